//! What Stripe is to be asked for, and what it has told: each event about a subscription is a reason to ask.
//!
//! A question is claimed for a time only, so a node that dies hands it on. An event that is heard while Stripe makes its
//! answer voids the claim: the answer may not know of it, so Stripe is asked again. So an answer that is recorded stands
//! for every event that was heard, and none is overwritten by an older one.
//!
//! Events may be lost as well. So each subscription that has not ended is asked for once a day, whatever was heard: that is
//! a look, which waits behind the questions, and which nothing depends on.

use std::time::Duration;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::billing::{Answer, Fact, Reading, Says, Status};
use sendpromptly_core::time::Timestamp;

use super::{FACT, READING, named_by};
use crate::platform::entropy;
use crate::store::retry::retried;
use crate::store::rows::{self, Sql};
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

/// How long a node has for one question; Stripe has a sixth of it for its answer.
pub const LEASE: Duration = Duration::from_secs(60);

/// How long events are gathered for one question: most come several together.
const GATHER: Duration = Duration::from_secs(1);

/// How often Stripe is asked for a subscription of which no event tells.
pub const LOOK_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// A question that this node has claimed.
#[derive(Debug, Clone)]
pub struct ClaimedRead {
    /// Stripe's id of the subscription.
    pub subscription: String,
    /// Why it is asked for.
    pub cause: Cause,
    customer: String,
    token: [u8; 16],
}

/// Why Stripe is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Something was heard.
    Event {
        /// How many tries there were since, this one included.
        tries: u32,
    },
    /// It was not asked for a day.
    Look,
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadEnd {
    /// Stripe, which was asked at this time, answered.
    Told(Answer, Timestamp),
    /// Stripe knows the subscription no longer: what its events said decides.
    Unknown,
    /// There was no answer; it is asked again then.
    Waits(Timestamp),
    /// There was no answer, and it is not asked again before another event, or another day.
    GivenUp,
    /// A look has found no answer; the next day's may.
    NotSeen,
}

/// In which order questions are asked, and what is noted of one that is claimed.
struct Queue {
    /// Which are due by a time.
    due: &'static str,
    /// What they are ordered by.
    by: &'static str,
    /// What is set, to another time first.
    claim: &'static str,
}

/// What events have ordered.
const EVENTS: Queue = Queue {
    due: "s.read_due_at <= {}",
    by: "s.read_due_at",
    claim: "read_due_at = {}, tries = tries + 1",
};

/// What nothing has ordered.
const LOOKS: Queue = Queue {
    due: "s.read_due_at IS NULL AND s.look_at <= {}",
    by: "s.look_at",
    claim: "look_at = {}",
};

impl Queue {
    /// Whether a question is due. The order leads to the index, whatever PostgreSQL knows of the table.
    fn any(&self, now: Timestamp) -> Sql {
        let Self { due, by, .. } = self;
        let query = Sql::new(format!(
            "SELECT 1 AS found FROM stripe_subscriptions s WHERE {due} ORDER BY {by} LIMIT 1"
        ));
        query.bind(now)
    }
}

/// Has Stripe asked for the fact's subscription, and for others of its customer of which nothing was known whose they
/// are.
pub(super) async fn order(tx: &DatabaseTransaction, fact: &Fact, now: Timestamp) -> Result<(), StoreError> {
    let due = now.plus(GATHER);
    let others = Sql::new(
        "INSERT INTO stripe_subscriptions (subscription, customer, heard_at, read_due_at)
         SELECT DISTINCT e.subscription, e.customer, CAST({} AS bigint), CAST({} AS bigint) FROM stripe_events e
         WHERE e.customer = {} ON CONFLICT (subscription) DO NOTHING",
    );
    let others = others.bind(now).bind(due).bind(fact.customer.as_str());
    others.run(tx).await?;
    let own = Sql::new(
        "UPDATE stripe_subscriptions SET heard_at = {}, read_due_at = {}, tries = 0, lease_token = NULL
         WHERE subscription = {}",
    );
    let own = own.bind(now).bind(due).bind(fact.subscription.as_str());
    own.run(tx).await?;
    Ok(())
}

impl Store {
    /// Claims the question that is due first of those that events have ordered, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn claim_read(&self, now: Timestamp) -> Result<Option<ClaimedRead>, StoreError> {
        self.claim_from(&EVENTS, now.plus(LEASE), now, |tries| Cause::Event { tries })
            .await
    }

    /// Claims the look that is due first, if there is one. The next one at this subscription is a day later, however this
    /// one ends.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn claim_look(&self, now: Timestamp) -> Result<Option<ClaimedRead>, StoreError> {
        self.claim_from(&LOOKS, now.plus(LOOK_EVERY), now, |_| Cause::Look)
            .await
    }

    async fn claim_from(
        &self,
        queue: &Queue,
        next: Timestamp,
        now: Timestamp,
        cause: fn(u32) -> Cause,
    ) -> Result<Option<ClaimedRead>, StoreError> {
        if queue.any(now).one(&self.reader).await?.is_none() {
            return Ok(None);
        }
        let Queue { due, by, claim } = queue;
        let token: [u8; 16] = entropy::bytes();
        let skip = self.dialect.for_update_skip_locked("s");
        let claim = Sql::new(format!(
            "UPDATE stripe_subscriptions SET {claim}, lease_token = {{}}
             WHERE subscription IN (SELECT s.subscription FROM stripe_subscriptions s WHERE {due}
                ORDER BY {by} LIMIT 1{skip})
             RETURNING subscription, customer, tries"
        ));
        let tx = self.begin().await?;
        let claim = claim.bind(next).bind(token).bind(now);
        let claimed = claim.one(&tx).await?;
        let claimed = claimed.map(|row| -> Result<_, StoreError> {
            Ok(ClaimedRead {
                subscription: rows::get(&row, "subscription")?,
                cause: cause(rows::count(&row, "tries")?),
                customer: rows::get(&row, "customer")?,
                token,
            })
        });
        let claimed = claimed.transpose()?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Records how a question ended, together with what follows from it. `false` where nothing was recorded, for an
    /// event was heard meanwhile, or the node was too slow.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn end_read(
        &self,
        claimed: &ClaimedRead,
        end: ReadEnd,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| self.try_end_read(claimed, end, now)).await
    }

    async fn try_end_read(
        &self,
        claimed: &ClaimedRead,
        end: ReadEnd,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tx = self.begin_to_settle(&claimed.customer).await?;
        let lock = self.dialect.for_update_of("s");
        let held = Sql::new(format!(
            "SELECT {READING} FROM stripe_subscriptions s
             WHERE s.subscription = {{}} AND s.lease_token = {{}}{lock}"
        ));
        let held = held.bind(claimed.subscription.as_str()).bind(claimed.token);
        let Some(row) = held.one(&tx).await? else {
            tx.rollback().await?;
            return Ok(false);
        };
        match end {
            ReadEnd::Told(answer, at) => {
                let facts = facts_of(&tx, claimed).await?;
                let before = super::reading(&row)?;
                let reading = Reading::of(&claimed.subscription, answer, at, &facts, before.as_ref());
                let goes_on = reading.status != Status::Canceled;
                note(&tx, claimed, Some(&reading), goes_on, now).await?;
                self.settle_all(&tx, claimed, now).await?;
            }
            ReadEnd::Unknown => {
                let facts = facts_of(&tx, claimed).await?;
                let has_ended = facts.iter().any(|fact| fact.says == Says::Canceled);
                note(&tx, claimed, None, !has_ended, now).await?;
                self.settle_all(&tx, claimed, now).await?;
            }
            ReadEnd::Waits(until) => leave(&tx, claimed, "read_due_at = {}", until).await?,
            ReadEnd::GivenUp => {
                let again = "read_due_at = NULL, look_at = {}";
                leave(&tx, claimed, again, now.plus(LOOK_EVERY)).await?;
            }
            ReadEnd::NotSeen => leave(&tx, claimed, "look_at = {}", now.plus(LOOK_EVERY)).await?,
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn settle_all(
        &self,
        tx: &DatabaseTransaction,
        claimed: &ClaimedRead,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let organizations = named_by(tx, &claimed.customer).await?;
        self.settle_subscriptions(tx, &organizations, now).await
    }
}

async fn facts_of(tx: &DatabaseTransaction, claimed: &ClaimedRead) -> Result<Vec<Fact>, StoreError> {
    let query = Sql::new(format!(
        "SELECT {FACT} FROM stripe_events WHERE customer = {{}} AND subscription = {{}}
         ORDER BY at DESC LIMIT {most}",
        most = super::MOST_FACTS
    ));
    let query = query.bind(claimed.customer.as_str());
    let found = query.bind(claimed.subscription.as_str()).all(tx).await?;
    found.iter().map(super::fact).collect()
}

/// Notes what Stripe has told, which stands for every fact that is there; `None`: that it knows nothing, which may be for
/// the key of another mode. What has ended is not looked at again.
async fn note(
    tx: &DatabaseTransaction,
    claimed: &ClaimedRead,
    reading: Option<&Reading>,
    goes_on: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let told = Sql::new(
        "UPDATE stripe_subscriptions SET read_due_at = NULL, lease_token = NULL, tries = 0, look_at = {}, read_at = {},
             status = {}, past_due_since = {}, paid_until = {} WHERE subscription = {}",
    )
    .bind(goes_on.then(|| now.plus(LOOK_EVERY)))
    .bind(reading.map(|reading| reading.at))
    .bind(reading.map(|reading| reading.status.as_str()))
    .bind(reading.and_then(|reading| reading.past_due_since))
    .bind(reading.and_then(|reading| reading.paid_until))
    .bind(claimed.subscription.as_str());
    told.run(tx).await?;
    let read = Sql::new(
        "UPDATE stripe_events SET is_read = 1 WHERE customer = {} AND subscription = {} AND is_read = 0",
    );
    let read = read.bind(claimed.customer.as_str());
    read.bind(claimed.subscription.as_str()).run(tx).await?;
    Ok(())
}

/// Leaves a question without an answer, and says when to ask again.
async fn leave(
    tx: &DatabaseTransaction,
    claimed: &ClaimedRead,
    again: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let left = Sql::new(format!(
        "UPDATE stripe_subscriptions SET {again}, lease_token = NULL WHERE subscription = {{}}"
    ));
    let left = left.bind(at).bind(claimed.subscription.as_str());
    left.run(tx).await?;
    Ok(())
}
