//! Mails that wait to be sent. They are written, sealed, in the transaction of the change that causes them, and
//! leave their row when they have gone. A claim holds for a time only, so a node that dies hands them on.

use std::time::Duration;

use sendpromptly_core::time::Timestamp;

use super::rows::{self, Sql};
use super::{Store, StoreError};
use crate::platform::entropy;

/// How long a node has for one mail.
pub const LEASE: Duration = Duration::from_secs(60);

/// A mail that this node has claimed.
#[derive(Debug)]
pub struct ClaimedMail {
    /// Its row.
    pub id: [u8; 16],
    /// The mail, sealed.
    pub sealed: Vec<u8>,
    /// How many tries there were, this one included.
    pub tries: u32,
    /// When it was written.
    pub created_at: Timestamp,
    token: [u8; 16],
}

/// Puts a sealed mail into the outbox, as part of a transaction.
#[must_use]
pub fn insert(id: [u8; 16], sealed: Vec<u8>, now: Timestamp) -> Sql {
    Sql::new("INSERT INTO outbox (id, sealed, due_at, created_at) VALUES ({}, {}, {}, {})")
        .bind(id)
        .bind(sealed)
        .bind(now)
        .bind(now)
}

impl Store {
    /// Claims the mail that is due first, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn claim_mail(&self, now: Timestamp) -> Result<Option<ClaimedMail>, StoreError> {
        // On SQLite a look spares the one writer a transaction, when nothing is due.
        if any_due(now).one(&self.reader).await?.is_none() {
            return Ok(None);
        }
        let token = entropy::bytes();
        let skip = self.dialect.for_update_skip_locked("o");
        let claim = Sql::new(format!(
            "UPDATE outbox SET tries = tries + 1, due_at = {{}}, lease_token = {{}}
             WHERE id = (SELECT o.id FROM outbox o WHERE o.due_at <= {{}} ORDER BY o.due_at LIMIT 1{skip})
             RETURNING id, sealed, tries, created_at"
        ));
        let tx = self.begin().await?;
        let row = claim.bind(now.plus(LEASE)).bind(token).bind(now).one(&tx).await?;
        tx.commit().await?;
        let claimed = |row| {
            Ok(ClaimedMail {
                id: rows::id(&row, "id")?,
                sealed: rows::get(&row, "sealed")?,
                tries: rows::count(&row, "tries")?,
                created_at: rows::time(&row, "created_at")?,
                token,
            })
        };
        row.map(claimed).transpose()
    }

    /// Forgets a mail that has gone, or was given up.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn forget_mail(&self, mail: &ClaimedMail) -> Result<(), StoreError> {
        let delete = Sql::new("DELETE FROM outbox WHERE id = {} AND lease_token = {}");
        self.commit_together(vec![delete.bind(mail.id).bind(mail.token)])
            .await
    }

    /// Lets a mail wait until this time, and be claimed again then.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn postpone_mail(&self, mail: &ClaimedMail, until: Timestamp) -> Result<(), StoreError> {
        let update =
            Sql::new("UPDATE outbox SET due_at = {}, lease_token = NULL WHERE id = {} AND lease_token = {}");
        let update = update.bind(until).bind(mail.id).bind(mail.token);
        self.commit_together(vec![update]).await
    }
}

/// Whether a mail is due. The order leads to the index, whatever PostgreSQL knows of the table.
fn any_due(now: Timestamp) -> Sql {
    Sql::new("SELECT 1 AS found FROM outbox WHERE due_at <= {} ORDER BY due_at LIMIT 1").bind(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, World, over_many};

    async fn put(world: &World, at: Timestamp) -> [u8; 16] {
        let id = entropy::ordered_id(at);
        world.write(insert(id, b"sealed".to_vec(), at)).await;
        id
    }

    #[tokio::test]
    async fn whether_a_mail_is_due_is_found_by_its_time_also_in_a_table_never_analyzed() {
        let world = World::set_up().await;
        let fill = over_many(
            "INSERT INTO outbox (id, sealed, due_at, created_at) SELECT r.id, r.bytes, r.number, 0 FROM {rows}",
        );
        world.write(fill).await;
        let plan = any_due(NOW).plan(&world.store.reader).await;
        assert!(plan.contains("outbox_by_time"), "{plan}");
    }

    #[tokio::test]
    async fn a_mail_is_claimed_by_one_node_and_again_when_its_lease_is_over() {
        let world = World::set_up().await;
        let other = world.second_node().await;
        let id = put(&world, NOW).await;
        let claims = tokio::join!(world.store.claim_mail(NOW), other.claim_mail(NOW));
        let claims: Vec<_> = [claims.0.unwrap(), claims.1.unwrap()]
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(claims.len(), 1);
        assert_eq!((claims[0].id, claims[0].tries), (id, 1));
        let again = other.claim_mail(NOW.plus(LEASE)).await.unwrap().unwrap();
        assert_eq!(again.tries, 2);
        // Who was too slow changes nothing of what another has claimed.
        world.store.forget_mail(&claims[0]).await.unwrap();
        other.postpone_mail(&again, NOW).await.unwrap();
        let last = other.claim_mail(NOW).await.unwrap().unwrap();
        other.forget_mail(&last).await.unwrap();
        assert!(other.claim_mail(NOW.plus(LEASE * 2)).await.unwrap().is_none());
    }
}
