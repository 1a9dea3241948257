//! The audit log's old end: proven, signed, and then dropped.
//!
//! Entries are kept for 12 months, by whole UTC days. Before a part of a chain goes, it is walked and held against
//! the signed checkpoints, up to the first of them beyond it: a log that was tampered with keeps its evidence, and
//! one for which none of this node's checkpoints vouches is left to another node.
//! Then a checkpoint of kind `prune` is on disk, outside the database, and only then the entries go.

use std::collections::BTreeMap;

use sendpromptly_core::audit::{CheckpointKind, Head, SignedCheckpoint, Walk};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::{DAY_MS, Timestamp};

use super::{Batch, Keeper};
use crate::checkpoints::CheckpointError;
use crate::store::audit_prunes::OldPart;
use crate::store::{Store, StoreError};

/// 12 months are never less than this.
const KEPT_DAYS: i64 = 366;

/// How far beyond a part a checkpoint is looked for that has seen it. One is made at least hourly.
const LOOK_ON: u64 = 2_000;

/// Entries read at once.
const READ: u32 = 500;

/// The checkpoints of each chain that count for the part that is to go.
type Seen = BTreeMap<OrganizationId, Vec<SignedCheckpoint>>;

/// Entries of before this time are over.
const fn kept_from(now: Timestamp) -> Timestamp {
    let day = now.as_millis().div_euclid(DAY_MS) - KEPT_DAYS;
    Timestamp::from_millis(day * DAY_MS)
}

/// How many entries are over.
pub(super) async fn count(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let parts = store.chains_to_prune(kept_from(now)).await?;
    Ok(parts.iter().map(OldPart::count).sum())
}

/// Drops at most `limit` entries.
pub(super) async fn prune(keeper: &Keeper, now: Timestamp, limit: u32) -> Result<Batch, StoreError> {
    let limit = u64::from(limit);
    let mut rows = 0;
    let parts = keeper.store.chains_to_prune(kept_from(now)).await?;
    let seen = seen_of(keeper, &parts, limit).await?;
    for part in parts {
        let organization = part.organization;
        let seen = seen.get(&organization).map_or(&[][..], Vec::as_slice);
        match prove(keeper, part, seen, limit - rows).await? {
            Ok(head) => rows += drop_up_to(keeper, part, head, now).await?,
            Err(Stays::Unseen) => tracing::info!(
                %organization,
                "the audit log is not pruned by this node: no checkpoint vouches for its old end in this node's file"
            ),
            Err(Stays::Wrong(why)) => tracing::warn!(
                %organization,
                %why,
                "the audit log is not pruned: it was tampered with, and this is the evidence; see `audit verify`"
            ),
        }
        if rows >= limit {
            return Ok(Batch { rows, more: true });
        }
    }
    Ok(Batch { rows, more: false })
}

/// The checkpoints that can tell of these parts: from the checkpoint file, and each chain's last pruning.
async fn seen_of(keeper: &Keeper, parts: &[OldPart], limit: u64) -> Result<Seen, StoreError> {
    if parts.is_empty() {
        return Ok(Seen::new());
    }
    let ranges: BTreeMap<_, _> = parts
        .iter()
        .map(|part| (part.organization, part.first - 1..=part.first + limit + LOOK_ON))
        .collect();
    let checkpoints = keeper.checkpoints.clone();
    let counts = move |signed: &SignedCheckpoint| {
        let checkpoint = &signed.checkpoint;
        ranges.get(&checkpoint.organization).is_some_and(|range| {
            // A restore takes back what others saw, wherever it went back to.
            range.contains(&checkpoint.seq) || checkpoint.kind == CheckpointKind::Restore
        })
    };
    let read = tokio::task::spawn_blocking(move || checkpoints.read_some(counts)).await;
    let read = read.map_err(|error| StoreError::Internal(error.to_string()))?;
    let mut seen = Seen::new();
    for signed in read.map_err(unusable)? {
        seen.entry(signed.checkpoint.organization)
            .or_default()
            .push(signed);
    }
    let key = keeper.checkpoints.public_key();
    for part in parts {
        let pruned = keeper.store.prune_checkpoint(part.organization).await?;
        let pruned = pruned.filter(|signed| key.has_signed(signed));
        seen.entry(part.organization).or_default().extend(pruned);
    }
    Ok(seen)
}

/// Why a part stays.
enum Stays {
    /// No checkpoint that this node has of it says what was there: another node's may.
    Unseen,
    /// This is wrong with it.
    Wrong(String),
}

fn wrong(why: impl Into<String>) -> Result<Head, Stays> {
    Err(Stays::Wrong(why.into()))
}

/// Up to where a part may go, and the checkpoint that vouches for it: one that saw the part whole, or as much of it
/// as one did see. That a chain agrees with itself proves nothing to whoever owns the database.
fn vouched_for(walk: &Walk, first: u64, last: u64) -> Option<(u64, u64)> {
    if let Some(beyond) = walk.seen_from(last).filter(|seq| *seq <= last + LOOK_ON) {
        return Some((last, beyond));
    }
    let within = walk.seen_up_to(last).filter(|seq| *seq >= first)?;
    Some((within, within))
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
        return Ok(wrong("entries are missing"));
    };
    let last = last.min(part.first - 1 + limit);
    let mut walk = Walk::new(part.organization, seen);
    let Some((last, until)) = vouched_for(&walk, part.first, last) else {
        return Ok(Err(Stays::Unseen));
    };
    let (mut walked, mut head) = (part.first - 1, None);
    while walked < until {
        let entries = keeper
            .store
            .audit_entries(part.organization, walked, READ)
            .await?;
        if entries.is_empty() {
            return Ok(wrong(format!(
                "it ends at entry {walked}, and a checkpoint saw more"
            )));
        }
        for entry in entries.iter().take_while(|entry| entry.seq <= until) {
            if let Err(fault) = walk.step(entry) {
                return Ok(wrong(fault.to_string()));
            }
            if entry.seq == last {
                head = Some(entry.as_head());
            }
        }
        walked = entries.last().map_or(until, |entry| entry.seq);
    }
    Ok(head.ok_or_else(|| Stays::Wrong(format!("entry {last} is missing"))))
}

/// Signs where a part ends, and drops it once that is on disk.
async fn drop_up_to(keeper: &Keeper, part: OldPart, end: Head, now: Timestamp) -> Result<u64, StoreError> {
    let signed = keeper.checkpoints.append_prune(part.organization, end, now).await;
    keeper
        .store
        .prune_entries(part.first, &signed.map_err(unusable)?)
        .await
}

/// A file that cannot be written is waited for as the store is.
pub(super) fn unusable(error: CheckpointError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests;
