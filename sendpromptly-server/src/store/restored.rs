//! What a restore sets right in what it brings back.

use sendpromptly_core::time::Timestamp;

use super::rows::Sql;
use super::{links, organization_deletion, sessions};

/// What is written in the transaction of a restore. Since the backup a session may have been ended, a link used, and the
/// order to delete an organization taken back: so everybody signs in again, no link that was mailed before is good, and
/// what is to be deleted has its time of grace anew.
#[must_use]
pub fn set_right(now: Timestamp) -> Vec<Sql> {
    vec![
        sessions::end_all(),
        links::void_all(now),
        organization_deletion::begin_grace_anew(now),
    ]
}

#[cfg(test)]
mod tests {
    use sendpromptly_core::id::UserId;

    use super::*;
    use crate::account::link::{Link, LinkKind};
    use crate::platform::entropy;
    use crate::store::links::NewLink;
    use crate::testing::{NOW, World};

    async fn mail_link(world: &World, user: UserId) -> Link {
        let link = Link {
            kind: LinkKind::Reset,
            id: entropy::ordered_id(NOW),
            expires_at: NOW.plus(LinkKind::Reset.life()),
        };
        let new = NewLink {
            link,
            subject: *user.as_bytes(),
            email: None,
        };
        world.write(links::insert(&new)).await;
        link
    }

    #[tokio::test]
    async fn after_a_restore_no_session_goes_on_and_no_link_is_good() {
        let world = World::set_up().await;
        let user = world.add_user("ada@example.com").await;
        let ((_, token), link) = (
            world.begin_session(user, None).await,
            mail_link(&world, user).await,
        );
        assert!(world.store.session(&token, NOW).await.unwrap().is_some());
        assert!(world.store.link_subject(&link).await.unwrap().is_some());
        world.store.commit_together(set_right(NOW)).await.unwrap();
        assert!(world.store.session(&token, NOW).await.unwrap().is_none());
        assert!(world.store.link_subject(&link).await.unwrap().is_none());
    }
}
