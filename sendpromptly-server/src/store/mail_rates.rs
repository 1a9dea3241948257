//! How many mails may be caused in an hour: for an address, so that nobody floods it through us, and by a user.
//!
//! Each kind of mail to an address has a budget of its own: whoever asks for mails of one kind to a stranger's
//! address does not use up those of another.

use std::net::IpAddr;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::dedupe;
use sendpromptly_core::id::UserId;
use sendpromptly_core::time::{HOUR_MS, Timestamp};

use super::old_rows::OldRows;
use super::rows::Sql;
use super::{Store, StoreError};
use crate::account::link::LinkKind;

/// Mails of one kind to one address in an hour.
pub const TO_AN_ADDRESS: u32 = 5;
/// Sign-ups from one network in an hour, for each causes a mail.
pub const SIGN_UPS_FROM_A_NETWORK: u32 = 20;
/// Mails that one user may cause in an hour.
pub const BY_A_USER: u32 = 30;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted<'a> {
    /// Mails with links of this kind to the address of this unique form.
    To(LinkKind, &'a str),
    /// Sign-ups from this network, whatever their addresses.
    SignUpsFrom(IpAddr),
    /// Mails that this user causes.
    By(UserId),
}

impl Counted<'_> {
    fn digest(self) -> [u8; 16] {
        match self {
            Self::To(kind, email_key) => dedupe::digest(&format!("to {} {email_key}", kind.as_str())),
            Self::SignUpsFrom(network) => dedupe::digest(&format!("sign-ups from {network}")),
            Self::By(user) => dedupe::digest(&format!("by {user}")),
        }
    }

    const fn most(self) -> u32 {
        match self {
            Self::To(..) => TO_AN_ADDRESS,
            Self::SignUpsFrom(_) => SIGN_UPS_FROM_A_NETWORK,
            Self::By(_) => BY_A_USER,
        }
    }
}

impl Store {
    /// Counts a mail. Gives whether it may be sent; where it may not, the transaction must be undone.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub(super) async fn count_mail(
        &self,
        tx: &DatabaseTransaction,
        counted: &[Counted<'_>],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let hour = now.as_millis().div_euclid(HOUR_MS);
        for counted in counted {
            let count = Sql::new(
                "INSERT INTO mail_rates (digest, hour, mails) VALUES ({}, {}, 1)
                 ON CONFLICT (digest) DO UPDATE SET
                    mails = CASE WHEN mail_rates.hour = excluded.hour THEN mail_rates.mails + 1 ELSE 1 END,
                    hour = excluded.hour
                 WHERE mail_rates.hour <> excluded.hour OR mail_rates.mails < {}",
            );
            let count = count.bind(counted.digest()).bind(hour).bind(counted.most());
            if count.run(tx).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The counts of hours that are over.
#[must_use]
pub fn old_mail_rates(now: Timestamp) -> OldRows {
    OldRows::up_to("mail_rates", "hour", now.as_millis().div_euclid(HOUR_MS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, World};

    async fn count(store: &Store, counted: Counted<'_>, now: Timestamp) -> bool {
        let tx = store.begin().await.unwrap();
        let may = store.count_mail(&tx, &[counted], now).await.unwrap();
        if may {
            tx.commit().await.unwrap();
        }
        may
    }

    #[tokio::test]
    async fn an_address_gets_five_mails_of_a_kind_an_hour_from_all_nodes_together() {
        let world = World::set_up().await;
        let nodes = [world.store.clone(), world.second_node().await];
        let counts = (0..12_usize).map(|turn| {
            let store = nodes[turn % 2].clone();
            tokio::spawn(
                async move { count(&store, Counted::To(LinkKind::Reset, "ada@example.com"), NOW).await },
            )
        });
        let counts: Vec<_> = counts.collect();
        let mut sent = 0;
        for counted in counts {
            sent += u32::from(counted.await.unwrap());
        }
        assert_eq!(sent, TO_AN_ADDRESS);
        let to = |email| Counted::To(LinkKind::Reset, email);
        assert!(count(&world.store, to("bob@example.com"), NOW).await);
        let network = Counted::SignUpsFrom(IpAddr::from([192, 0, 2, 7]));
        for _ in 0..SIGN_UPS_FROM_A_NETWORK {
            assert!(count(&world.store, network, NOW).await);
        }
        assert!(!count(&world.store, network, NOW).await);
        let elsewhere = Counted::SignUpsFrom(IpAddr::from([192, 0, 2, 8]));
        assert!(count(&world.store, elsewhere, NOW).await);
        let other_kind = Counted::To(LinkKind::SignUp, "ada@example.com");
        assert!(count(&world.store, other_kind, NOW).await);
        let later = NOW.plus_millis(HOUR_MS);
        assert!(count(&world.store, to("ada@example.com"), later).await);
    }
}
