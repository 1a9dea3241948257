//! What is left of organizations that have ended: their audit logs, and then their rows.
//!
//! A log goes from its old end, part by part. Before each part a checkpoint of kind `prune` is on disk, outside the
//! database; the last of them stands at the log's head and proves what was there. Unlike a log that gets old, one
//! that was tampered with goes as well, for its owner has ordered that; the checkpoints tell of it even so.

use sendpromptly_core::time::Timestamp;

use super::{Batch, Keeper, audit};
use crate::store::StoreError;

/// Removes at most `limit` entries of one organization's log. One that has none any more is removed itself.
pub(super) async fn remove(keeper: &Keeper, now: Timestamp, limit: u32) -> Result<Batch, StoreError> {
    let store = &keeper.store;
    let Some(remains) = store.organization_to_remove(now).await? else {
        return Ok(Batch { rows: 0, more: false });
    };
    let organization = remains.organization;
    let Some(first) = remains.first else {
        store.remove_organization(organization).await?;
        return Ok(Batch { rows: 1, more: true });
    };
    let part = store.chain(organization).entries(first - 1, limit).await?;
    let Some(last) = part.last() else {
        return Ok(Batch { rows: 0, more: true }); // another node was faster
    };
    let rows = audit::drop_up_to(keeper, organization, first, last.as_head(), now).await?;
    Ok(Batch { rows, more: true })
}
