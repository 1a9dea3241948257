//! The audit log's old end: proven, signed, and then dropped.
//!
//! Entries are kept for 12 months, by whole UTC days. Before a part of a chain goes, it is walked and held against
//! the signed checkpoints, up to the first of them beyond it: a log that was tampered with keeps its evidence, and
//! one for which none of this node's checkpoints vouches is left to another node.
//! Then a checkpoint of kind `prune` is on disk, outside the database, and only then the entries go.

use std::sync::PoisonError;

use sendpromptly_core::audit::{Head, SignedCheckpoint, Walk};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::{DAY_MS, Timestamp};

use super::{Batch, Keeper};
use crate::checkpoints::CheckpointError;
use crate::store::audit_prunes::OldPart;
use crate::store::{Store, StoreError};

mod group;

pub(super) use group::Group;

/// 12 months are never less than this.
const KEPT_DAYS: i64 = 366;

/// How far beyond a part a checkpoint is looked for that has seen it. One is made at least hourly; where more was logged in
/// an hour, the chain gets milestones first, for which all of that hour is read at once. Where the hour is not over whole, it
/// waits for the next day.
const LOOK_ON: u64 = 2_000;

/// Entries from one milestone to the next.
const MILESTONE: u64 = LOOK_ON / 2;

/// Entries read at once.
const READ: u32 = 500;

/// Chains taken in one batch, whatever goes of them: each has to be looked at.
const CHAINS: usize = 16;

/// Entries of before this time are over.
const fn kept_from(now: Timestamp) -> Timestamp {
    let day = now.as_millis().div_euclid(DAY_MS) - KEPT_DAYS;
    Timestamp::from_millis(day * DAY_MS)
}

/// How many entries are over.
pub(super) async fn count(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let parts = store.chains_to_prune(kept_from(now), None, u32::MAX).await?;
    Ok(parts.iter().map(OldPart::count).sum())
}

/// Drops at most `limit` entries. Where a batch ends, the next one goes on with what was read for it.
pub(super) async fn prune(keeper: &Keeper, now: Timestamp, limit: u32) -> Result<Batch, StoreError> {
    let place = &keeper.places.audit;
    let left = place.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut group = match left {
        Some(group) => group,
        None => Group::read(keeper, kept_from(now), None).await?,
    };
    let pruned = prune_group(keeper, &mut group, now, u64::from(limit)).await;
    let next = match (group.is_done(), group.next()) {
        (true, None) => None,
        (true, Some(next)) => Some(Group::read(keeper, kept_from(now), Some(next)).await?),
        (false, _) => Some(group),
    };
    let more = next.is_some();
    *place.lock().unwrap_or_else(PoisonError::into_inner) = next;
    let rows = pruned?;
    Ok(Batch { rows, more })
}

/// Drops at most `limit` entries of these chains; gives how many.
async fn prune_group(
    keeper: &Keeper,
    group: &mut Group,
    now: Timestamp,
    limit: u64,
) -> Result<u64, StoreError> {
    let mut rows = 0;
    for _ in 0..CHAINS {
        let Some(part) = group.first() else {
            break;
        };
        let organization = part.organization;
        let proven = match prove_near(keeper, group, part, limit - rows, now).await {
            // What cannot even be read is no trouble of the store's, and holds up no other chain.
            Err(error) if !error.is_passing() => Err(Stays::Wrong(error.to_string())),
            proven => proven?,
        };
        let dropped = match proven {
            Ok(head) => drop_up_to(keeper, organization, part.first, head, now).await?,
            Err(Stays::Unseen | Stays::SeenFar(_)) => {
                tracing::info!(
                    %organization,
                    "the audit log is not pruned by this node yet: no checkpoint in its file vouches for the old end and what follows"
                );
                0
            }
            Err(Stays::Wrong(why)) => {
                tracing::warn!(
                    %organization,
                    %why,
                    "the audit log is not pruned: it was tampered with, and this is the evidence; see `audit verify`"
                );
                0
            }
        };
        group.dropped(dropped);
        rows += dropped;
        if rows >= limit {
            break;
        }
    }
    Ok(rows)
}

/// Why a part stays.
enum Stays {
    /// No checkpoint that this node has of it says what was there: another node's may.
    Unseen,
    /// The next checkpoint saw this entry, which is too far to walk to for each batch.
    SeenFar(u64),
    /// This is wrong with it.
    Wrong(String),
}

/// Up to where a part may go, and the checkpoint that vouches for it: one that saw the part whole, or as much of it
/// as one did see. That a chain agrees with itself proves nothing to whoever owns the database.
fn vouched_for(walk: &Walk, first: u64, last: u64) -> Result<(u64, u64), Stays> {
    let beyond = walk.seen_from(last);
    if let Some(near) = beyond.filter(|seq| *seq <= last + LOOK_ON) {
        return Ok((last, near));
    }
    match walk.seen_up_to(last) {
        Some(within) if within >= first => Ok((within, within)),
        _ => Err(beyond.map_or(Stays::Unseen, Stays::SeenFar)),
    }
}

/// Proves a part by a checkpoint that is near, made for it where there is none.
async fn prove_near(
    keeper: &Keeper,
    group: &mut Group,
    part: OldPart,
    limit: u64,
    now: Timestamp,
) -> Result<Result<Head, Stays>, StoreError> {
    let seen = group.seen(keeper, part.organization).await?;
    let until = match prove(keeper, part, &seen, limit).await? {
        Err(Stays::SeenFar(until)) => until,
        done => return Ok(done),
    };
    let mut heads = Vec::new();
    let walked = walk_on(keeper, part, &seen, until, |head| {
        if head.seq.is_multiple_of(MILESTONE) {
            heads.push(head);
        }
    });
    if let Err(why) = walked.await? {
        return Ok(Err(why));
    }
    let signed = keeper
        .checkpoints
        .append_seen(part.organization, &heads, now)
        .await;
    group.add_seen(part.organization, signed.map_err(unusable)?);
    let seen = group.seen(keeper, part.organization).await?;
    prove(keeper, part, &seen, limit).await
}

/// Walks over at most `limit` entries that are over, and on to the next checkpoint; gives the last of them, or why
/// they stay.
async fn prove(
    keeper: &Keeper,
    part: OldPart,
    seen: &[SignedCheckpoint],
    limit: u64,
) -> Result<Result<Head, Stays>, StoreError> {
    let Some(last) = part.last else {
        return Ok(Err(Stays::Wrong("entries are missing".to_owned())));
    };
    let last = last.min(part.first - 1 + limit);
    let (last, until) = match vouched_for(&Walk::new(part.organization, seen), part.first, last) {
        Ok(vouched) => vouched,
        Err(why) => return Ok(Err(why)),
    };
    let mut end = None;
    let walked = walk_on(keeper, part, seen, until, |head| {
        if head.seq == last {
            end = Some(head);
        }
    });
    if let Err(why) = walked.await? {
        return Ok(Err(why));
    }
    Ok(end.ok_or_else(|| Stays::Wrong(format!("entry {last} is missing"))))
}

/// Walks over a part and on until an entry that a checkpoint saw; gives each entry's place to whoever takes notes.
async fn walk_on(
    keeper: &Keeper,
    part: OldPart,
    seen: &[SignedCheckpoint],
    until: u64,
    mut note: impl FnMut(Head),
) -> Result<Result<(), Stays>, StoreError> {
    let mut walk = Walk::new(part.organization, seen);
    let mut walked = part.first - 1;
    while walked < until {
        let entries = keeper
            .store
            .chain(part.organization)
            .entries(walked, READ)
            .await?;
        if entries.is_empty() {
            return Ok(Err(Stays::Wrong(format!(
                "it ends at entry {walked}, and a checkpoint saw more"
            ))));
        }
        for entry in entries.iter().take_while(|entry| entry.seq <= until) {
            if let Err(fault) = walk.step(entry) {
                return Ok(Err(Stays::Wrong(fault.to_string())));
            }
            note(entry.as_head());
        }
        walked = entries.last().map_or(until, |entry| entry.seq);
    }
    Ok(Ok(()))
}

/// Signs where the old end of a chain ends, and drops it once that is on disk; gives how many entries.
pub(super) async fn drop_up_to(
    keeper: &Keeper,
    organization: OrganizationId,
    first: u64,
    end: Head,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let signed = keeper.checkpoints.append_prune(organization, end, now).await;
    keeper
        .store
        .prune_entries(first, &signed.map_err(unusable)?)
        .await
}

/// A file that cannot be used is waited for as the store is.
fn unusable(error: CheckpointError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests;
