//! How many organizations there are by the state of their subscription, for those who watch the server.

use std::collections::BTreeMap;

use sendpromptly_core::billing::Status;

use crate::store::rows::{self, Sql};
use crate::store::{Store, StoreError};

/// What is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillingCounts {
    /// Organizations, by the state of their subscription; each state is there.
    pub organizations: BTreeMap<Option<Status>, u64>,
    /// Subscriptions that Stripe is to be asked for.
    pub to_read: u64,
    /// Subscriptions that it was asked for in vain, and is not asked for again before another event or another day.
    pub given_up: u64,
}

impl Store {
    /// Counts them, by indexes alone.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn billing_counts(&self) -> Result<BillingCounts, StoreError> {
        let states = Sql::new(
            "SELECT subscription_status, COUNT(*) AS n FROM organizations GROUP BY subscription_status",
        );
        let reads = Sql::new(
            "SELECT (SELECT COUNT(*) FROM stripe_subscriptions WHERE read_due_at IS NOT NULL) AS waiting,
                (SELECT COUNT(*) FROM stripe_subscriptions WHERE read_due_at IS NULL AND tries > 0) AS given_up",
        );
        let all = Status::ALL.iter().copied().map(Some);
        let mut organizations: BTreeMap<_, u64> = all.chain([None]).map(|status| (status, 0)).collect();
        for row in states.all(&self.reader).await? {
            let status = rows::optional_word(&row, "subscription_status")?;
            organizations.insert(status, rows::get::<i64>(&row, "n")?.unsigned_abs());
        }
        let mut counts = BillingCounts {
            organizations,
            ..BillingCounts::default()
        };
        if let Some(row) = reads.one(&self.reader).await? {
            counts.to_read = rows::get::<i64>(&row, "waiting")?.unsigned_abs();
            counts.given_up = rows::get::<i64>(&row, "given_up")?.unsigned_abs();
        }
        Ok(counts)
    }
}
