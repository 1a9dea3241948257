//! Nonces, and the memory of those that have been seen.

use core::fmt;
use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::error::VerifyError;
use crate::signature::bytes_from_hex;
use crate::verifier::Verified;

/// What is new for every attempt: 128 random bits, on the wire 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; 16]);

impl Nonce {
    pub(crate) fn from_hex(digits: &[u8]) -> Option<Self> {
        bytes_from_hex(digits).map(Self)
    }

    /// Its bits.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({self})")
    }
}

/// Remembers the nonces of verified callbacks for twice the window, so that an attempt which was overheard
/// can't be sent again.
///
/// It is shared by the threads of one process. Two processes have two memories: there, what keeps a repair
/// from being applied twice is its `replay_id`.
#[derive(Debug)]
pub struct NonceMemory {
    capacity: usize,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    nonces: HashSet<Nonce>,
    /// When each may be forgotten, in the order they came.
    expiries: VecDeque<(i64, Nonce)>,
}

impl NonceMemory {
    /// A memory of at most so many nonces. A full one refuses with 503: it forgets none before its time.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            seen: Mutex::default(),
        }
    }

    /// Remembers the nonce of a callback that has been verified. `now` is in Unix seconds.
    ///
    /// # Errors
    /// [`VerifyError::ReplayedNonce`] where it has been seen, [`VerifyError::NonceMemoryFull`] where there is
    /// no room.
    pub fn remember(&self, verified: &Verified<'_>, now: i64) -> Result<(), VerifyError> {
        // A panic elsewhere can't leave the two collections apart, so a poisoned lock is as good as any.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.forget_expired(now);
        if seen.nonces.contains(&verified.nonce()) {
            return Err(VerifyError::ReplayedNonce);
        }
        if seen.nonces.len() >= self.capacity {
            return Err(VerifyError::NonceMemoryFull);
        }
        seen.nonces.insert(verified.nonce());
        seen.expiries
            .push_back((verified.remember_until(now), verified.nonce()));
        Ok(())
    }
}

impl Default for NonceMemory {
    /// Room for 65,536 nonces: a hundred attempts a second, all day.
    fn default() -> Self {
        Self::new(1 << 16)
    }
}

impl Seen {
    fn forget_expired(&mut self, now: i64) {
        while let Some((until, nonce)) = self.expiries.front()
            && *until < now
        {
            self.nonces.remove(nonce);
            self.expiries.pop_front();
        }
    }
}
