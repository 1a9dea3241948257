//! What an operator may order about an incident: reprocess, dismiss, reopen. Each is one transaction.

use std::collections::BTreeSet;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::Origin;
use sendpromptly_core::case::{
    Case, Decision, DismissalReason, DismissalReasonError, OrderKey, OrderKeyError, PlacedOrder, Refusal,
    ReprocessOrder,
};
use sendpromptly_core::id::{IncidentId, ProjectId, ReplayId};
use sendpromptly_core::replay::RetrySchedule;
use sendpromptly_core::time::Timestamp;

use crate::platform::entropy;
use crate::store::cases::{CaseChanges, StoredCase};
use crate::store::orders::{self, IncidentFacts, KeptOrder};
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

/// Tries of an order that others get in the way of.
const TRIES: u32 = 5;

/// Why an order is not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperateError {
    /// The project has no such incident.
    #[error("there is no such incident")]
    NotFound,
    /// The rules do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody can be called.
    #[error("the project has no repair URL to call; set one first")]
    NoRepairUrl,
    /// The event's receipt never came, and the provider did not tell whom it is about.
    #[error(
        "whom to repair is not known: no receipt has come, and the provider's event bears no reference of the app's; \
         send the receipt, or dismiss the incident"
    )]
    EffectUnknown,
    /// The reason for a dismissal is none.
    #[error(transparent)]
    Reason(#[from] DismissalReasonError),
    /// An order key is malformed.
    #[error(transparent)]
    Key(#[from] OrderKeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An incident as an operator names it, and who gives the order.
#[derive(Debug, Clone, Copy)]
pub struct Desk<'a> {
    /// Where it is stored.
    pub store: &'a Store,
    /// The project.
    pub project: ProjectId,
    /// The incident.
    pub incident: IncidentId,
    /// Who gives the order.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

/// An order to reprocess.
#[derive(Debug, Clone, Copy)]
pub struct Reprocess<'a> {
    /// Two orders under one key are one order, and make one replay.
    pub key: Option<&'a str>,
    /// Whether the operator knows that the effect may have been applied, and orders it all the same.
    pub again: bool,
    /// The schedule of the attempts.
    pub schedule: &'a RetrySchedule,
}

impl Desk<'_> {
    /// Orders the effect to be run again; gives the replay that the order has made.
    ///
    /// # Errors
    /// [`OperateError`] where it is refused, or not known to be carried out.
    pub async fn reprocess(&self, order: &Reprocess<'_>) -> Result<ReplayId, OperateError> {
        let key = order
            .key
            .map(str::parse::<OrderKey>)
            .transpose()?
            .map(|key| key.digest());
        let mut made = None;
        let mut tries = 1;
        loop {
            match self.try_reprocess(order, key, &mut made).await {
                Err(OperateError::Store(error)) if may_go_again(&error) && tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    /// `made` is the replay that the try before may have made, and then the one that this try makes.
    async fn try_reprocess(
        &self,
        order: &Reprocess<'_>,
        key: Option<[u8; 16]>,
        made: &mut Option<ReplayId>,
    ) -> Result<ReplayId, OperateError> {
        let facts = self.facts().await?;
        let tx = self.store.begin().await?;
        let stored = self.lock(&tx, &facts).await?;
        if let Some(key) = key
            && let Some(given) = self.store.given_order(&tx, self.project, key).await?
        {
            return Ok(given.repeated_for(self.incident)?);
        }
        if let Some(made) = *made
            && stored.case.replays.iter().any(|replay| replay.id == made)
        {
            return Ok(made); // by a commit that was not confirmed; it may have ended since
        }
        let replay = stored.case.next_replay_id(self.now, entropy::for_id());
        let asked = ReprocessOrder {
            replay_id: replay,
            again: order.again,
            schedule: order.schedule,
        };
        let decision = stored.case.clone().reprocess(asked, self.origin, self.now)?;
        if !facts.has_repair_url {
            return Err(OperateError::NoRepairUrl);
        }
        let body = facts.replay_body(self.project, self.incident, replay);
        let body = body.ok_or(OperateError::EffectUnknown)?;
        let mut changes = CaseChanges::default();
        changes.take(&stored, facts.organization, decision, self.now);
        changes.set_replay_body(&stored, body);
        let placed = PlacedOrder {
            incident_id: self.incident,
            replay_id: replay,
        };
        let kept = key.map(|key_digest| {
            orders::insert(&[KeptOrder {
                project: self.project,
                key_digest,
                placed,
                at: self.now,
            }])
        });
        self.store
            .write_cases(&tx, &changes.into_vec(), kept.into_iter().collect())
            .await?;
        *made = Some(replay);
        tx.commit().await.map_err(StoreError::from)?;
        Ok(replay)
    }

    /// Puts the incident aside.
    ///
    /// # Errors
    /// [`OperateError`] where it is refused, or not known to be carried out.
    pub async fn dismiss(&self, reason: &str) -> Result<(), OperateError> {
        let reason: DismissalReason = reason.parse()?;
        self.decide(|case| case.dismiss(&reason, self.origin, self.now))
            .await
    }

    /// Opens the dismissed incident again.
    ///
    /// # Errors
    /// [`OperateError`] where it is refused, or not known to be carried out.
    pub async fn reopen(&self) -> Result<(), OperateError> {
        self.decide(|case| case.reopen(self.origin, self.now)).await
    }

    async fn decide(&self, rule: impl Fn(Case) -> Result<Decision, Refusal>) -> Result<(), OperateError> {
        let mut tries = 1;
        loop {
            match self.try_decide(&rule).await {
                Err(OperateError::Store(StoreError::Again(_) | StoreError::Taken(_))) if tries < TRIES => {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_decide(&self, rule: impl Fn(Case) -> Result<Decision, Refusal>) -> Result<(), OperateError> {
        let facts = self.facts().await?;
        let tx = self.store.begin().await?;
        let stored = self.lock(&tx, &facts).await?;
        let decision = rule(stored.case.clone())?;
        let mut changes = CaseChanges::default();
        changes.take(&stored, facts.organization, decision, self.now);
        self.store
            .write_cases(&tx, &changes.into_vec(), Vec::new())
            .await?;
        Ok(tx.commit().await.map_err(StoreError::from)?)
    }

    async fn facts(&self) -> Result<IncidentFacts, OperateError> {
        let facts = self
            .store
            .incident_facts(self.project, self.incident, self.now)
            .await?;
        facts.ok_or(OperateError::NotFound)
    }

    async fn lock(
        &self,
        tx: &DatabaseTransaction,
        facts: &IncidentFacts,
    ) -> Result<StoredCase, OperateError> {
        let key = (self.project, facts.event);
        let mut cases = self.store.lock_cases(tx, &BTreeSet::from([key])).await?;
        cases.remove(&key).ok_or(OperateError::NotFound)
    }
}

/// Whether an order that makes a replay of a known id may be tried again: then also after a commit that was
/// not confirmed, for what it made is recognized.
const fn may_go_again(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Again(_) | StoreError::Taken(_) | StoreError::Broken(_)
    )
}
