//! Walking a chain from its first stored entry to its head, to find where it was tampered with.

use std::collections::BTreeMap;

use super::{CheckpointKind, Entry, Head, SignedCheckpoint};
use crate::id::OrganizationId;

/// The first thing that is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Another entry should come here: one was inserted, dropped or moved.
    #[error("entry {expected} is missing: entry {found} comes in its place")]
    Sequence {
        /// The place that comes next.
        expected: u64,
        /// The place that the entry claims.
        found: u64,
    },
    /// The entry does not follow the one before it.
    #[error("entry {0} does not follow the entry before it: one of them was replaced")]
    Link(u64),
    /// The entry's fields are not those that were hashed.
    #[error("entry {0} was changed")]
    Changed(u64),
    /// The entry's details are not those that were committed to.
    #[error("the details of entry {0} were changed")]
    Details(u64),
    /// The entry is of another chain.
    #[error("entry {0} belongs to another organization")]
    Foreign(u64),
    /// The entry is older than the one before it.
    #[error("entry {0} is older than the entry before it")]
    Time(u64),
    /// A signed checkpoint saw another entry here.
    #[error("entry {0} is not the one that a signed checkpoint saw: the chain was rewritten")]
    Rewritten(u64),
    /// A signed checkpoint saw more entries than there are.
    #[error("the chain ends at entry {end}, but a signed checkpoint saw entry {seen}: its tail was cut off")]
    CutShort {
        /// The last entry there is.
        end: u64,
        /// The entry that the checkpoint saw.
        seen: u64,
    },
    /// The chain's stored head is not its last entry.
    #[error("the chain's stored head is not its last entry, {0}")]
    Head(u64),
}

/// A walk along one organization's chain.
#[derive(Debug)]
pub struct Walk {
    organization: OrganizationId,
    /// What signed checkpoints saw: place and hash.
    seen: BTreeMap<u64, [u8; 32]>,
    /// The last entry walked over, or where pruning ended.
    head: Head,
    redacted: u64,
}

impl Walk {
    /// A walk along this organization's chain, held against checkpoints whose signatures were checked, in the
    /// order in which they were made. Those of other organizations are passed over.
    ///
    /// A restore's checkpoint takes back what earlier ones saw beyond it: a loss that was declared is none. A
    /// prune's checkpoint is where the stored chain begins.
    pub fn new<'a>(
        organization: OrganizationId,
        checkpoints: impl IntoIterator<Item = &'a SignedCheckpoint>,
    ) -> Self {
        let mut walk = Self {
            organization,
            seen: BTreeMap::new(),
            head: Head::EMPTY,
            redacted: 0,
        };
        for SignedCheckpoint { checkpoint, .. } in checkpoints {
            if checkpoint.organization != organization {
                continue;
            }
            match checkpoint.kind {
                CheckpointKind::Periodic => {}
                CheckpointKind::Restore => {
                    walk.seen.retain(|seen, _| *seen <= checkpoint.seq);
                }
                CheckpointKind::Prune if checkpoint.seq > walk.head.seq => {
                    walk.head = Head {
                        seq: checkpoint.seq,
                        hash: checkpoint.head,
                        ..Head::EMPTY
                    };
                }
                CheckpointKind::Prune => {}
            }
            walk.seen.insert(checkpoint.seq, checkpoint.head);
        }
        walk
    }

    /// Goes over the next entry.
    ///
    /// # Errors
    /// [`Fault`] where the entry is not what it should be. The walk ends there.
    pub fn step(&mut self, entry: &Entry) -> Result<(), Fault> {
        let seq = entry.seq;
        if entry.organization != self.organization {
            return Err(Fault::Foreign(seq));
        }
        if seq.checked_sub(1) != Some(self.head.seq) {
            return Err(Fault::Sequence {
                expected: self.head.seq.saturating_add(1),
                found: seq,
            });
        }
        if entry.computed_hash() != entry.hash {
            return Err(Fault::Changed(seq));
        }
        if entry.prev != self.head.hash {
            return Err(Fault::Link(seq));
        }
        if entry.at < self.head.at {
            return Err(Fault::Time(seq));
        }
        match &entry.details {
            Some(details) if details.commitment() != entry.commitment => return Err(Fault::Details(seq)),
            Some(_) => {}
            None => self.redacted += 1,
        }
        if self.seen.get(&seq).is_some_and(|hash| *hash != entry.hash) {
            return Err(Fault::Rewritten(seq));
        }
        self.head = entry.as_head();
        Ok(())
    }

    /// The chain is over.
    ///
    /// # Errors
    /// [`Fault::CutShort`] where a checkpoint saw more, [`Fault::Head`] where the stored head is another one.
    pub fn finish(self, stored_head: Option<Head>) -> Result<Head, Fault> {
        if let Some((&seen, _)) = self.seen.last_key_value()
            && seen > self.head.seq
        {
            return Err(Fault::CutShort {
                end: self.head.seq,
                seen,
            });
        }
        match stored_head {
            Some(head) if (head.seq, head.hash) != (self.head.seq, self.head.hash) => {
                Err(Fault::Head(self.head.seq))
            }
            _ => Ok(self.head),
        }
    }

    /// How many entries had their details erased so far.
    #[must_use]
    pub const fn redacted(&self) -> u64 {
        self.redacted
    }
}
