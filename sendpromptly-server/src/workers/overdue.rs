//! Decides on cases that are overdue, a batch in one transaction.
//!
//! A case that another transaction has locked is passed over and left to the next look. One that the store
//! refuses holds up no other project, and makes no round fail: it says nothing of the store.

use std::collections::BTreeMap;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::Origin;
use sendpromptly_core::case::{Case, Decision};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::replay::RetrySchedule;
use sendpromptly_core::time::Timestamp;

use super::refused::RefusedProjects;
use super::rounds::Left;
use super::standing::Standing;
use crate::store::cases::{CaseChanges, CaseKey};
use crate::store::overdue::{DueCase, DuePlace};
use crate::store::{Store, StoreError};

/// Cases in one transaction.
pub(super) const BATCH: u32 = 256;

/// A worker's pass over all cases that are overdue, batch by batch.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    /// Where the next batch begins.
    pub(super) after: DuePlace,
    refused: RefusedProjects,
}

impl Pass {
    /// The first one, before its first batch.
    pub(super) fn first() -> Self {
        Self {
            after: DuePlace::first(),
            refused: RefusedProjects::default(),
        }
    }
}

/// How cases that are overdue are decided on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overdue<'a> {
    pub(super) store: &'a Store,
    pub(super) origin: &'a Origin,
    /// Whether the standing orders of projects are followed, and then the schedule of the attempts.
    pub(super) follows: Option<&'a RetrySchedule>,
    pub(super) now: Timestamp,
}

impl Overdue<'_> {
    /// Decides on a batch of cases. Where it was full there may be more to do behind it, whatever became of its cases:
    /// the next one then begins at the place that is set. Else the pass is over, and the next one begins anew.
    pub(super) async fn settle(
        &self,
        due: Vec<DueCase>,
        pass: &mut Pass,
        rule: impl Fn(Case) -> Decision,
    ) -> Result<Left, StoreError> {
        pass.after = DuePlace::first(); // where this fails, the next round begins anew
        let last = due.last().filter(|_| due.len() == BATCH as usize).copied();
        let free = due.iter().filter(|due| !pass.refused.contain(due.key.0));
        let owners: BTreeMap<_, _> = free.map(|due| (due.key, due.organization)).collect();
        match self.commit(&owners, &rule).await {
            Err(error) if !error.is_passing() => self.one_by_one(owners, pass, &rule).await?,
            done => done?,
        }
        let Some(last) = last else {
            pass.refused.begin_pass();
            return Ok(Left::Nothing);
        };
        pass.after = last.place;
        Ok(Left::More)
    }

    async fn one_by_one(
        &self,
        owners: BTreeMap<CaseKey, OrganizationId>,
        pass: &mut Pass,
        rule: &impl Fn(Case) -> Decision,
    ) -> Result<(), StoreError> {
        for (key, organization) in owners {
            match self.commit(&BTreeMap::from([(key, organization)]), rule).await {
                Err(StoreError::Taken(_)) => {} // somebody else got on instead
                Err(error) if !error.is_passing() => {
                    let (project, event) = key;
                    tracing::error!(%project, %event, %error, "an overdue case could not be decided on");
                    pass.refused.note(project);
                }
                done => done?,
            }
        }
        Ok(())
    }

    async fn commit(
        &self,
        owners: &BTreeMap<CaseKey, OrganizationId>,
        rule: &impl Fn(Case) -> Decision,
    ) -> Result<(), StoreError> {
        if owners.is_empty() {
            return Ok(());
        }
        let tx = self.store.begin().await?;
        match self.decide(&tx, owners, rule).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(error) => {
                // Awaited, so that whoever goes on does not meet the locks of this transaction and pass over its cases.
                tx.rollback().await?;
                Err(error)
            }
        }
    }

    async fn decide(
        &self,
        tx: &DatabaseTransaction,
        owners: &BTreeMap<CaseKey, OrganizationId>,
        rule: &impl Fn(Case) -> Decision,
    ) -> Result<(), StoreError> {
        let (store, now) = (self.store, self.now);
        let cases = store
            .lock_free_cases(tx, &owners.keys().copied().collect())
            .await?;
        let mut standing = match self.follows {
            Some(schedule) => Some(Standing::look_up(store, tx, &cases, (schedule, self.origin), now).await?),
            None => None,
        };
        let mut changes = CaseChanges::default();
        for (key, stored) in &cases {
            let Some(&organization) = owners.get(key) else {
                continue;
            };
            let decision = rule(stored.case.clone());
            match &mut standing {
                Some(standing) => standing.take(&mut changes, stored, organization, decision, now),
                None => changes.take(stored, organization, decision, now),
            }
        }
        let orders = standing.map(Standing::into_sql).into_iter().collect();
        store.write_cases(tx, &changes.into_vec(), orders).await
    }
}
