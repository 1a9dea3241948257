//! Walking a stored chain from its first entry to its head, and holding it against signed checkpoints.

use sendpromptly_core::audit::{Fault, Head, Restore, SignedCheckpoint, Walk};
use sendpromptly_core::id::OrganizationId;

use crate::store::{Store, StoreError};
use crate::vault::audit_key::KnownKeys;

/// Entries read at once.
const BATCH: u32 = 500;

/// A chain in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Where it ends.
    pub head: Head,
    /// Entries whose details were erased.
    pub redacted: u64,
    /// Restores that were declared.
    pub restores: Vec<Restore>,
    /// The last entry that was dropped when its time was over; 0 before the first.
    pub pruned: u64,
}

/// Walks an organization's chain; gives the first thing that is wrong with it, if any is. Where the chain begins
/// after a pruning, the store's own word for that counts only if it was signed by a known key.
///
/// # Errors
/// [`StoreError`] by its cause.
pub async fn walk(
    store: &Store,
    organization: OrganizationId,
    checkpoints: &[SignedCheckpoint],
    known: Option<&KnownKeys>,
) -> Result<Result<Sound, Fault>, StoreError> {
    loop {
        let pruned = store.chain(organization).prune_checkpoint().await?;
        let mut seen = checkpoints.to_vec();
        seen.extend(pruned.filter(|signed| known.is_some_and(|known| known.have_signed(signed))));
        let walked = walk_against(store, organization, &seen).await?;
        // What was pruned while it was walked is no fault.
        if walked.is_ok() || store.chain(organization).prune_checkpoint().await? == pruned {
            return Ok(walked);
        }
    }
}

async fn walk_against(
    store: &Store,
    organization: OrganizationId,
    checkpoints: &[SignedCheckpoint],
) -> Result<Result<Sound, Fault>, StoreError> {
    let mut walk = Walk::new(organization, checkpoints);
    let walked = go_over(store, organization, &mut walk).await?;
    let redacted = walk.redacted();
    let restores = walk.restores().to_vec();
    let begin = walked.map(|(begin, _)| begin).unwrap_or_default();
    let finished = walked.and_then(|(_, stored_head)| walk.finish(Some(stored_head)));
    Ok(finished.map(|head| Sound {
        head,
        redacted,
        restores,
        pruned: begin.unwrap_or(head.seq),
    }))
}

/// Steps over the entries until the stored head does not lie ahead, or stays ahead of them; gives the place before the
/// first of them, and that head. A server may append meanwhile: entry and head come together, so a head read after the
/// entries is never behind them.
async fn go_over(
    store: &Store,
    organization: OrganizationId,
    walk: &mut Walk,
) -> Result<Result<(Option<u64>, Head), Fault>, StoreError> {
    let (mut walked, mut begin, mut last) = (0, None, None);
    loop {
        let before = walked;
        loop {
            let entries = store.chain(organization).entries(walked, BATCH).await?;
            let Some(last) = entries.last() else { break };
            walked = last.seq;
            begin = begin.or(entries.first().map(|entry| entry.seq.saturating_sub(1)));
            if let Some(fault) = entries.iter().find_map(|entry| walk.step(entry).err()) {
                return Ok(Err(fault));
            }
        }
        let head = store.chain(organization).head().await?;
        if head.seq <= walked || (walked == before && last == Some(head)) {
            return Ok(Ok((begin, head)));
        }
        last = Some(head);
    }
}
