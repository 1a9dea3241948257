//! Follows the standing orders of projects, in the transaction of the decision that opens the incident: neither is there
//! without the other, whatever is killed.

use std::collections::BTreeMap;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::Origin;
use sendpromptly_core::case::{Case, Decision, PlacedOrder, StandingOrder};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::replay::RetrySchedule;
use sendpromptly_core::time::Timestamp;

use crate::platform::entropy;
use crate::store::cases::{CaseChanges, CaseKey, ReplayBody, StoredCase};
use crate::store::orders::{self, KeptOrder, StandingFacts};
use crate::store::rows::Sql;
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

/// The standing orders that may apply to some cases, and those that were followed.
pub(super) struct Standing<'a> {
    schedule: &'a RetrySchedule,
    origin: &'a Origin,
    facts: BTreeMap<CaseKey, StandingFacts>,
    followed: Vec<KeptOrder>,
}

impl<'a> Standing<'a> {
    /// Looks up, for all of these locked cases at once, what may be ordered without being asked.
    pub(super) async fn look_up(
        store: &Store,
        tx: &DatabaseTransaction,
        cases: &BTreeMap<CaseKey, StoredCase>,
        (schedule, origin): (&'a RetrySchedule, &'a Origin),
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let left = |stored: &&StoredCase| stored.case.is_left_to_the_server();
        let keys = cases.values().filter(left).map(StoredCase::key);
        Ok(Self {
            schedule,
            origin,
            facts: store.standing_orders(tx, keys, now).await?,
            followed: Vec::new(),
        })
    }

    /// Takes a decision about a case, with the order that follows from it.
    pub(super) fn take(
        &mut self,
        changes: &mut CaseChanges,
        stored: &StoredCase,
        organization: OrganizationId,
        decision: Decision,
        at: Timestamp,
    ) {
        let Some((order, body)) = self.prepare(stored, &decision.case, at) else {
            changes.take(stored, organization, decision, at);
            return;
        };
        let decision = decision.and_follow(&order, self.origin, at);
        let kept = kept(stored, &decision.case, &order, at);
        changes.take(stored, organization, decision, at);
        if let Some(kept) = kept {
            changes.set_replay_body(stored, body);
            self.followed.push(kept);
        }
    }

    /// The order about a case as it would be, with what its callbacks would say.
    fn prepare(
        &self,
        stored: &StoredCase,
        case: &Case,
        at: Timestamp,
    ) -> Option<(StandingOrder<'a>, ReplayBody)> {
        let known = self.facts.get(&stored.key())?;
        let incident = case.incident.as_ref()?.id;
        let order = StandingOrder {
            at_most: known.at_most,
            replay_id: case.next_replay_id(at, entropy::for_id()),
            schedule: self.schedule,
        };
        let body = known
            .facts
            .replay_body(stored.project, incident, order.replay_id)?;
        Some((order, body))
    }

    /// What keeps the orders that were followed under keys of their own.
    pub(super) fn into_sql(self) -> Sql {
        orders::insert(&self.followed)
    }
}

/// The order as it is kept, if the case says that it was followed.
fn kept(stored: &StoredCase, case: &Case, order: &StandingOrder<'_>, at: Timestamp) -> Option<KeptOrder> {
    let placed = PlacedOrder {
        incident_id: case.incident.as_ref()?.id,
        replay_id: order.replay_id,
    };
    let is_placed = case.replays.last()?.id == order.replay_id;
    let key_digest = case.unasked_order_digest().filter(|_| is_placed)?;
    Some(KeptOrder {
        project: stored.project,
        key_digest,
        placed,
        at,
    })
}
