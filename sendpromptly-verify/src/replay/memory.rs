//! A store of replays in memory, for one process.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Claimed, ReplayId, ReplayStore, Resolution, StoreError};

/// Seven days and one to spare, for it counts from the latest claim of any repair before the end of this one.
const KEPT_SECS: i64 = 8 * 24 * 60 * 60;

/// Keeps replays in memory: for tests, and for effects that are safe to repeat after a restart.
///
/// It forgets all when the process ends, doubts too, so a production endpoint keeps its replays in its
/// database. It is bounded: applied repairs are kept for 7 days at least and then forgotten, doubts until they
/// are resolved; a full one refuses with 503 and evicts none.
#[derive(Debug)]
pub struct MemoryReplays {
    capacity: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    states: HashMap<ReplayId, State>,
    /// The applied ones in the order of their end, with its time.
    applied: VecDeque<(i64, ReplayId)>,
    /// The latest time that a claim came with.
    now: i64,
    claims: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running { claim: u64, since: i64 },
    InDoubt { since: i64 },
    Applied,
}

/// A claim in a [`MemoryReplays`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryClaim {
    id: ReplayId,
    number: u64,
}

impl MemoryReplays {
    /// A store of at most so many replays.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            table: Mutex::default(),
        }
    }

    /// The repairs in doubt, with the Unix second since when.
    #[must_use]
    pub fn in_doubt(&self) -> Vec<(ReplayId, i64)> {
        let table = self.table();
        let doubts = table.states.iter().filter_map(|(id, state)| match state {
            State::InDoubt { since } => Some((*id, *since)),
            _ => None,
        });
        doubts.collect()
    }

    /// No step panics half done, so what a poisoned lock guards is whole.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryReplays {
    /// Room for 65,536 replays.
    fn default() -> Self {
        Self::new(1 << 16)
    }
}

impl ReplayStore for MemoryReplays {
    type Claim = MemoryClaim;

    fn claim(&self, id: ReplayId, now: i64) -> Result<Claimed<MemoryClaim>, StoreError> {
        let mut table = self.table();
        table.advance(now);
        let full = table.states.len() >= self.capacity;
        let number = table.claims + 1;
        match table.states.entry(id) {
            Entry::Occupied(entry) => Ok(match *entry.get() {
                State::Running { .. } => Claimed::Running,
                State::InDoubt { since } => Claimed::InDoubt { since },
                State::Applied => Claimed::Applied,
            }),
            Entry::Vacant(_) if full => Err(StoreError::Full),
            Entry::Vacant(entry) => {
                entry.insert(State::Running {
                    claim: number,
                    since: now,
                });
                table.claims = number;
                Ok(Claimed::Fresh(MemoryClaim { id, number }))
            }
        }
    }

    fn confirm(&self, claim: MemoryClaim) -> Result<(), StoreError> {
        let mut table = self.table();
        table.held_since(&claim)?;
        table.apply(claim.id);
        Ok(())
    }

    fn release(&self, claim: MemoryClaim) -> Result<(), StoreError> {
        let mut table = self.table();
        table.held_since(&claim)?;
        table.states.remove(&claim.id);
        Ok(())
    }

    fn doubt(&self, claim: MemoryClaim) {
        let mut table = self.table();
        if let Ok(since) = table.held_since(&claim) {
            table.states.insert(claim.id, State::InDoubt { since });
        }
    }

    fn resolve(&self, id: ReplayId, resolution: Resolution) -> Result<bool, StoreError> {
        let mut table = self.table();
        let Some(State::InDoubt { .. }) = table.states.get(&id) else {
            return Ok(false);
        };
        match resolution {
            Resolution::Applied => table.apply(id),
            Resolution::NotApplied => _ = table.states.remove(&id),
        }
        Ok(true)
    }
}

impl Table {
    fn held_since(&self, held: &MemoryClaim) -> Result<i64, StoreError> {
        match self.states.get(&held.id) {
            Some(State::Running { claim, since }) if *claim == held.number => Ok(*since),
            _ => Err(StoreError::ClaimLost),
        }
    }

    fn apply(&mut self, id: ReplayId) {
        self.states.insert(id, State::Applied);
        self.applied.push_back((self.now, id));
    }

    /// Forgets the applied repairs whose time is over.
    fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        while let Some((end, id)) = self.applied.front()
            && end.saturating_add(KEPT_SECS) < now
        {
            self.states.remove(id);
            self.applied.pop_front();
        }
    }
}
