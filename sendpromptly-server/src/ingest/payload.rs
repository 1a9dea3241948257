//! The payload of a receipt on its way to the store.

use std::fmt;

use tokio::sync::OwnedSemaphorePermit;

use crate::store::snapshots::Era;

/// What is kept of a receipt's payload.
#[derive(Debug)]
pub enum Kept {
    /// Nothing: it has none, or its project keeps none.
    Nothing,
    /// All of it, sealed.
    Sealed(SealedPayload),
    /// It should be kept and could not be sealed. Such a receipt makes no event, and may be the repeat of one that did.
    Unsealed,
}

/// A payload, sealed for the row of its event.
pub struct SealedPayload {
    /// The era in which it was sealed.
    pub era: Era,
    /// The payload, sealed.
    pub sealed: Vec<u8>,
    /// Where it waits.
    pub room: Room,
}

/// Room in memory for one payload, for as long as it waits.
#[derive(Debug)]
pub struct Room(#[expect(dead_code, reason = "what counts is that it is held")] OwnedSemaphorePermit);

impl Room {
    pub(super) const fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(permit)
    }
}

impl fmt::Debug for SealedPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedPayload({} bytes)", self.sealed.len())
    }
}
