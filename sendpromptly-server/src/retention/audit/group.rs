//! Chains that are pruned one after another, and what the checkpoint file tells of them: it grows for ever, so it is
//! read once for many.

use std::collections::{BTreeMap, VecDeque};

use sendpromptly_core::audit::{CheckpointKind, SignedCheckpoint};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use super::{Keeper, LOOK_ON, unusable};
use crate::store::StoreError;
use crate::store::audit_prunes::OldPart;

/// Chains for which the file is read once. What it tells of them is held in memory.
pub(super) const CHAINS: u32 = 256;

/// The checkpoints of each chain that count for the part that is to go.
type Seen = BTreeMap<OrganizationId, Vec<SignedCheckpoint>>;

/// Some chains with entries that are over.
#[derive(Debug)]
pub(in crate::retention) struct Group {
    parts: VecDeque<OldPart>,
    seen: Seen,
    /// The last of them, where more may follow.
    last: Option<OrganizationId>,
}

impl Group {
    /// The first chains behind this one, with what is known of them.
    pub(super) async fn read(
        keeper: &Keeper,
        kept_from: Timestamp,
        behind: Option<OrganizationId>,
    ) -> Result<Self, StoreError> {
        let parts = keeper.store.chains_to_prune(kept_from, behind, CHAINS).await?;
        let is_full = parts.len() >= CHAINS as usize;
        Ok(Self {
            seen: read_file(keeper, &parts).await?,
            last: parts.last().map(|part| part.organization).filter(|_| is_full),
            parts: parts.into(),
        })
    }

    /// The part that is to go first.
    pub(super) fn first(&self) -> Option<OldPart> {
        self.parts.front().copied()
    }

    /// Whether none is left.
    pub(super) fn is_done(&self) -> bool {
        self.parts.is_empty()
    }

    /// Behind which chain more may follow.
    pub(super) const fn next(&self) -> Option<OrganizationId> {
        self.last
    }

    /// The checkpoints that can tell of a chain: from the file, and its last pruning.
    pub(super) async fn seen(
        &self,
        keeper: &Keeper,
        organization: OrganizationId,
    ) -> Result<Vec<SignedCheckpoint>, StoreError> {
        let mut seen = self.seen.get(&organization).cloned().unwrap_or_default();
        let known = keeper.checkpoints.known_keys();
        let pruned = keeper.store.chain(organization).prune_checkpoint().await?;
        seen.extend(pruned.filter(|signed| known.have_signed(signed)));
        Ok(seen)
    }

    /// Adds what was signed since the file was read.
    pub(super) fn add_seen(&mut self, organization: OrganizationId, signed: Vec<SignedCheckpoint>) {
        self.seen.entry(organization).or_default().extend(signed);
    }

    /// So many entries of the first part are gone. Of one of which nothing goes, or nothing more, the rest waits for
    /// another time.
    pub(super) fn dropped(&mut self, entries: u64) {
        if let Some(part) = self.parts.front_mut() {
            part.first += entries;
            if entries == 0 || part.count() == 0 {
                self.parts.pop_front();
            }
        }
    }
}

/// The checkpoints of the file that can tell of these parts.
async fn read_file(keeper: &Keeper, parts: &[OldPart]) -> Result<Seen, StoreError> {
    if parts.is_empty() {
        return Ok(Seen::new());
    }
    let ranges: BTreeMap<_, _> = parts
        .iter()
        .map(|part| {
            (
                part.organization,
                part.first - 1..=part.last.unwrap_or(part.first) + LOOK_ON,
            )
        })
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
    Ok(seen)
}
