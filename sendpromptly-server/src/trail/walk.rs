//! Walking a stored chain from its first entry to its head, and holding it against signed checkpoints.

use sendpromptly_core::audit::{Fault, Head, Restore, SignedCheckpoint, Walk};
use sendpromptly_core::id::OrganizationId;

use crate::store::{Store, StoreError};

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
}

/// Walks an organization's chain; gives the first thing that is wrong with it, if any is.
///
/// # Errors
/// [`StoreError`] by its cause.
pub async fn walk(
    store: &Store,
    organization: OrganizationId,
    checkpoints: &[SignedCheckpoint],
) -> Result<Result<Sound, Fault>, StoreError> {
    let mut walk = Walk::new(organization, checkpoints);
    let walked = go_over(store, organization, &mut walk).await?;
    let redacted = walk.redacted();
    let restores = walk.restores().to_vec();
    let finished = walked.and_then(|stored_head| walk.finish(Some(stored_head)));
    Ok(finished.map(|head| Sound {
        head,
        redacted,
        restores,
    }))
}

/// Steps over the entries until the stored head does not lie ahead; gives that head. A server may append
/// meanwhile: entry and head come together, so a head read after the entries is never behind them.
async fn go_over(
    store: &Store,
    organization: OrganizationId,
    walk: &mut Walk,
) -> Result<Result<Head, Fault>, StoreError> {
    let mut walked = 0;
    loop {
        let before = walked;
        loop {
            let entries = store.audit_entries(organization, walked, BATCH).await?;
            let Some(last) = entries.last() else { break };
            walked = last.seq;
            if let Some(fault) = entries.iter().find_map(|entry| walk.step(entry).err()) {
                return Ok(Err(fault));
            }
        }
        let head = store.audit_head(organization).await?;
        if head.seq <= walked || walked == before {
            return Ok(Ok(head));
        }
    }
}
