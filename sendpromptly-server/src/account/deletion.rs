//! Deleting an account: the user goes at once, and then what the audit logs tell of the user's addresses.

use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::UserId;
use sendpromptly_core::time::Timestamp;

use crate::retention::BATCH;
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
    for _ in 0..batches {
        if store.erase_details(now, BATCH.get()).await? == Erased::Nothing {
            break;
        }
    }
    Ok(())
}
