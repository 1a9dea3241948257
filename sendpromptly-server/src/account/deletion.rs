//! Deleting an account: the user goes at once, and then what the audit logs tell of the user's addresses.

use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::UserId;
use sendpromptly_core::time::Timestamp;
use tokio::time::Instant;

use crate::retention::pace::Pace;
use crate::store::deleted_users::UserDeletion;
use crate::store::erasures::Erased;
use crate::store::{Store, StoreError};

/// Deletes a user, and erases what names the user from the audit logs as far as so many batches reach. What is left
/// then is erased by the workers, within the hour.
///
/// # Errors
/// [`StoreError`] by its cause; the user is then as before.
pub async fn delete(
    store: &Store,
    user: UserId,
    origin: &Origin,
    batches: u32,
    now: Timestamp,
) -> Result<UserDeletion, StoreError> {
    let end = store.delete_user(user, origin, now).await?;
    if end == UserDeletion::Done
        && let Err(error) = erase(store, batches, now).await
    {
        tracing::warn!(%error, "what names a deleted user is erased later");
    }
    Ok(end)
}

async fn erase(store: &Store, batches: u32, now: Timestamp) -> Result<(), StoreError> {
    let mut pace = Pace::default();
    for _ in 0..batches {
        let begin = Instant::now();
        if store.erase_details(now, pace.limit().get()).await? == Erased::Nothing {
            break;
        }
        tokio::time::sleep(pace.rest_after(begin.elapsed())).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sendpromptly_core::audit::{Action, Draft};

    use super::*;
    use crate::store::audit::drafts_of;
    use crate::store::rows::Sql;
    use crate::testing::{NOW, World, operator};

    #[tokio::test]
    async fn erasing_holds_the_store_no_longer_than_retention_does() {
        let world = World::set_up().await;
        let user = world.add_user("ada@example.com").await;
        let first = Pace::default().limit().get();
        let entries = first + 50;
        let reason = [("reason", "asked by ada@example.com")];
        let drafts = (0..entries).map(|_| {
            Draft::new(
                &operator(),
                Action::IncidentDismissed,
                world.organization,
                &reason,
            )
        });
        let drafts = drafts_of(world.organization, NOW, drafts.collect());
        world.store.commit_audited(&[], &drafts).await.unwrap();
        let told = async || {
            let told =
                Sql::new("SELECT count(*) AS n FROM audit_details WHERE details LIKE '%ada@example.com%'");
            world.number(told).await
        };
        assert_eq!(told().await, i64::from(entries));
        delete(&world.store, user, &operator(), 1, NOW).await.unwrap();
        assert!(told().await >= 50, "one batch is of {first} at most");
        erase(&world.store, u32::MAX, NOW).await.unwrap();
        assert_eq!(told().await, 0);
    }
}
