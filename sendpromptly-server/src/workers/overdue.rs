//! Decides on cases that are overdue, a batch in one transaction.
//!
//! A case that another transaction has locked is passed over and left to the next look. One that the store
//! refuses does not hold up the others.

use std::collections::BTreeMap;

use sendpromptly_core::case::{Case, Decision};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use super::rounds::Left;
use crate::store::cases::{CaseChanges, CaseKey};
use crate::store::overdue::DueCase;
use crate::store::{Store, StoreError};

/// Cases in one transaction.
pub(super) const BATCH: u32 = 256;

/// Decides on a batch of cases. There is more to do where it was full and every case was decided on.
pub(super) async fn settle(
    store: &Store,
    due: Vec<DueCase>,
    now: Timestamp,
    rule: impl Fn(Case) -> Decision,
) -> Result<Left, StoreError> {
    if due.is_empty() {
        return Ok(Left::Nothing);
    }
    let found = due.len();
    let owners: BTreeMap<CaseKey, OrganizationId> = due.into_iter().collect();
    let decided = match commit(store, &owners, now, &rule).await {
        Err(error) if !error.is_passing() && found > 1 => one_by_one(store, owners, now, &rule).await?,
        done => done?,
    };
    let full = found == BATCH as usize;
    Ok(if full && decided == found {
        Left::More
    } else {
        Left::Nothing
    })
}

async fn one_by_one(
    store: &Store,
    owners: BTreeMap<CaseKey, OrganizationId>,
    now: Timestamp,
    rule: &impl Fn(Case) -> Decision,
) -> Result<usize, StoreError> {
    let mut decided = 0;
    for (key, organization) in owners {
        match commit(store, &BTreeMap::from([(key, organization)]), now, rule).await {
            Err(error) if !error.is_passing() => {
                let (project, event) = key;
                tracing::error!(%project, %event, %error, "an overdue case could not be decided on");
            }
            done => decided += done?,
        }
    }
    Ok(decided)
}

/// Gives how many cases were decided on.
async fn commit(
    store: &Store,
    owners: &BTreeMap<CaseKey, OrganizationId>,
    now: Timestamp,
    rule: &impl Fn(Case) -> Decision,
) -> Result<usize, StoreError> {
    let keys = owners.keys().copied().collect();
    let tx = store.begin().await?;
    let cases = store.lock_free_cases(&tx, &keys).await?;
    let mut changes = CaseChanges::default();
    for (stored, organization) in cases
        .iter()
        .filter_map(|(key, stored)| Some((stored, owners.get(key)?)))
    {
        changes.take(stored, *organization, rule(stored.case.clone()), now);
    }
    if let Err(error) = store.write_cases(&tx, &changes.into_vec(), Vec::new()).await {
        // Awaited, so that whoever goes on does not meet the locks of this transaction and pass over its cases.
        tx.rollback().await?;
        return Err(error);
    }
    tx.commit().await?;
    Ok(cases.len())
}
