//! Declaring a restore: a signed checkpoint of each chain says to which entry it went back. What earlier
//! checkpoints saw beyond it is then a declared loss, and no fault.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sendpromptly_core::audit::{Checkpoint, CheckpointKind, Head, SignedCheckpoint, Walk};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;
use serde::Serialize;

use super::{CheckpointError, Checkpoints, file, unusable};

/// A chain that went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declared {
    /// Whose chain.
    pub organization_id: String,
    /// Its last entry.
    pub back_to: u64,
    /// The last entry that a checkpoint saw beyond it, if any did.
    pub lost_up_to: Option<u64>,
}

/// What was signed before, as far as the files at hand tell.
#[derive(Debug)]
pub struct Seen(Vec<SignedCheckpoint>);

impl Seen {
    /// Reads the own checkpoint file, and further ones.
    ///
    /// # Errors
    /// [`CheckpointError`] where one cannot be read.
    pub fn read(checkpoints: &Checkpoints, more: &[PathBuf]) -> Result<Self, CheckpointError> {
        let own = checkpoints.read()?;
        warn_of(&checkpoints.path, &own);
        let mut seen = own.checkpoints;
        for path in more {
            let read = file::read(path, checkpoints.known_keys()).map_err(|error| unusable(path, error))?;
            warn_of(path, &read);
            seen.extend(read.checkpoints);
        }
        Ok(Self(seen))
    }
}

/// Appends a checkpoint of kind `restore` for each chain: of the store, which ends at these heads, and of those that only checkpoints have
/// seen, which are gone whole.
///
/// # Errors
/// [`CheckpointError`] where the file cannot be written.
pub async fn declare(
    heads: Vec<(OrganizationId, Head)>,
    checkpoints: &Checkpoints,
    Seen(seen): &Seen,
    now: Timestamp,
) -> Result<Vec<Declared>, CheckpointError> {
    let latest = seen.iter().map(|signed| signed.checkpoint.at).max();
    // It takes back only what was signed before.
    let at = latest.map_or(now, |latest| latest.max(now));
    let mut chains: BTreeMap<OrganizationId, Head> = seen
        .iter()
        .map(|signed| (signed.checkpoint.organization, Head::EMPTY))
        .collect();
    chains.extend(heads);
    let restores: Vec<_> = chains
        .iter()
        .map(|(organization, head)| {
            let checkpoint = Checkpoint::new(*organization, CheckpointKind::Restore, *head, at);
            checkpoints.key.sign(checkpoint)
        })
        .collect();
    checkpoints.append(&restores).await?;
    Ok(restores.iter().map(|restore| declared(restore, seen)).collect())
}

fn declared(restore: &SignedCheckpoint, seen: &[SignedCheckpoint]) -> Declared {
    let Checkpoint {
        organization, seq, ..
    } = restore.checkpoint;
    let walk = Walk::new(organization, seen.iter().chain([restore]));
    Declared {
        organization_id: organization.to_string(),
        back_to: seq,
        lost_up_to: walk.restores().last().and_then(|restore| restore.lost),
    }
}

fn warn_of(path: &Path, read: &file::CheckpointFile) {
    for bad in &read.bad {
        tracing::warn!("{}: {bad}; it is passed over", path.display());
    }
}
