//! Walking a chain from its first stored entry to its head, to find where it was tampered with.

use std::collections::BTreeSet;

use super::{Checkpoint, CheckpointKind, Entry, Head, SignedCheckpoint};
use crate::id::OrganizationId;
use crate::time::Timestamp;

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

impl Fault {
    /// The place of the first entry that is wrong or missing.
    #[must_use]
    pub const fn entry(&self) -> u64 {
        match *self {
            Self::Sequence { expected, .. } => expected,
            Self::Link(seq)
            | Self::Changed(seq)
            | Self::Details(seq)
            | Self::Foreign(seq)
            | Self::Time(seq)
            | Self::Rewritten(seq)
            | Self::Head(seq) => seq,
            Self::CutShort { end, .. } => end + 1,
        }
    }
}

/// A restore that a signed checkpoint declares. What was lost by it was declared, and is no fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restore {
    /// The last entry of what was restored.
    pub back_to: u64,
    /// The last entry that a checkpoint had seen beyond it, if any had.
    pub lost: Option<u64>,
    /// When it was declared.
    pub at: Timestamp,
}

/// A place in a chain and the hash of the entry there.
type Mark = (u64, [u8; 32]);

/// A walk along one organization's chain.
#[derive(Debug)]
pub struct Walk {
    organization: OrganizationId,
    /// What signed checkpoints saw and no restore has taken back. Two that contradict each other both stand
    /// here, so that a chain which was rewritten and signed anew fails one of them.
    seen: BTreeSet<Mark>,
    /// Where the stored chain may begin: at its first entry, or where pruning ended. A backup from before a
    /// pruning begins earlier, so each of them stays.
    starts: BTreeSet<Mark>,
    restores: Vec<Restore>,
    /// The last entry walked over.
    head: Option<Head>,
    redacted: u64,
}

impl Walk {
    /// A walk along this organization's chain, held against checkpoints whose signatures were checked, in any
    /// order: they are sorted by their times. Those of other organizations are passed over.
    ///
    /// A restore's checkpoint takes back what earlier ones saw beyond it: a loss that was declared is none. It
    /// may also leave what came after a restore before it for another branch; so of several restores, what was
    /// seen up to the earliest place that any went back to still holds.
    pub fn new<'a>(
        organization: OrganizationId,
        checkpoints: impl IntoIterator<Item = &'a SignedCheckpoint>,
    ) -> Self {
        let mut made: Vec<&Checkpoint> = checkpoints
            .into_iter()
            .map(|signed| &signed.checkpoint)
            .filter(|checkpoint| checkpoint.organization == organization)
            .collect();
        made.sort_unstable_by_key(|checkpoint| (checkpoint.at, checkpoint.kind, mark(checkpoint)));
        made.dedup();

        let mut walk = Self {
            organization,
            seen: BTreeSet::new(),
            starts: BTreeSet::from([(0, Head::EMPTY.hash)]),
            restores: Vec::new(),
            head: None,
            redacted: 0,
        };
        for checkpoint in made {
            match checkpoint.kind {
                CheckpointKind::Periodic => {}
                CheckpointKind::Prune => {
                    walk.starts.insert(mark(checkpoint));
                }
                CheckpointKind::Restore => walk.restore(checkpoint),
            }
            walk.seen.insert(mark(checkpoint));
        }
        walk
    }

    fn restore(&mut self, checkpoint: &Checkpoint) {
        let back_to = checkpoint.seq;
        let last = self.seen.last().map(|(seq, _)| *seq);
        self.restores.push(Restore {
            back_to,
            lost: last.filter(|seen| *seen > back_to),
            at: checkpoint.at,
        });
        let common = self.restores.iter().map(|restore| restore.back_to).min();
        self.seen
            .retain(|(seq, _)| common.is_none_or(|common| *seq <= common));
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
        let before = match self.head {
            Some(head) => head,
            None => self.begin_before(entry)?,
        };
        if before.seq.checked_add(1) != Some(seq) {
            return Err(Fault::Sequence {
                expected: before.seq.saturating_add(1),
                found: seq,
            });
        }
        if entry.computed_hash() != entry.hash {
            return Err(Fault::Changed(seq));
        }
        if entry.prev != before.hash {
            return Err(Fault::Link(seq));
        }
        if entry.at < before.at {
            return Err(Fault::Time(seq));
        }
        match &entry.details {
            Some(details) if details.commitment() != entry.commitment => return Err(Fault::Details(seq)),
            Some(_) => {}
            None => self.redacted += 1,
        }
        self.must_have_been_seen(&entry.as_head())?;
        self.head = Some(entry.as_head());
        Ok(())
    }

    /// The start that the chain's first stored entry claims to follow; the nearest one, if there is none.
    fn begin_before(&self, entry: &Entry) -> Result<Head, Fault> {
        let claimed = (entry.seq.saturating_sub(1), entry.prev);
        let nearest = || self.starts.range(..=(claimed.0, [0xff; 32])).next_back();
        let start = self.starts.get(&claimed).or_else(nearest).copied();
        let start = head_at(start.unwrap_or((0, Head::EMPTY.hash)));
        self.must_have_been_seen(&start)?;
        Ok(start)
    }

    /// No checkpoint saw another entry at this place.
    fn must_have_been_seen(&self, head: &Head) -> Result<(), Fault> {
        let mut seen = self.seen.range((head.seq, [0; 32])..=(head.seq, [0xff; 32]));
        if seen.any(|(_, hash)| *hash != head.hash) {
            return Err(Fault::Rewritten(head.seq));
        }
        Ok(())
    }

    /// The chain is over.
    ///
    /// # Errors
    /// [`Fault::CutShort`] where a checkpoint saw more, [`Fault::Head`] where the stored head is another one.
    pub fn finish(self, stored_head: Option<Head>) -> Result<Head, Fault> {
        let end = self.head.unwrap_or_else(|| self.end_without_entries(stored_head));
        if let Some(&(seen, _)) = self.seen.last()
            && seen > end.seq
        {
            return Err(Fault::CutShort { end: end.seq, seen });
        }
        match stored_head {
            Some(head) if (head.seq, head.hash) != (end.seq, end.hash) => Err(Fault::Head(end.seq)),
            _ => Ok(end),
        }
    }

    /// A chain without entries is new, or was pruned whole.
    fn end_without_entries(&self, stored_head: Option<Head>) -> Head {
        let stored = stored_head.map(|head| (head.seq, head.hash));
        let known = stored.filter(|stored| self.starts.contains(stored));
        head_at(known.or(self.starts.last().copied()).unwrap_or_default())
    }

    /// The first place from this one on where a checkpoint saw the chain, unless a restore has taken that back.
    #[must_use]
    pub fn seen_from(&self, seq: u64) -> Option<u64> {
        self.seen.range((seq, [0; 32])..).next().map(|(seq, _)| *seq)
    }

    /// The last place up to this one where a checkpoint saw the chain, unless a restore has taken that back.
    #[must_use]
    pub fn seen_up_to(&self, seq: u64) -> Option<u64> {
        self.seen
            .range(..=(seq, [0xff; 32]))
            .next_back()
            .map(|(seq, _)| *seq)
    }

    /// How many entries had their details erased so far.
    #[must_use]
    pub const fn redacted(&self) -> u64 {
        self.redacted
    }

    /// The restores that checkpoints declare, oldest first.
    #[must_use]
    pub fn restores(&self) -> &[Restore] {
        &self.restores
    }
}

const fn mark(checkpoint: &Checkpoint) -> Mark {
    (checkpoint.seq, checkpoint.head)
}

const fn head_at((seq, hash): Mark) -> Head {
    Head {
        seq,
        hash,
        ..Head::EMPTY
    }
}
