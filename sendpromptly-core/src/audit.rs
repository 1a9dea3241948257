//! The audit log: a SHA-256 hash chain for each organization, held against signed checkpoints that lie
//! outside the database. The bytes are told in `docs/data.md`.
//!
//! Decisions carry [`Draft`]s; [`chain`] links them once the head of the chain is locked; a [`Walk`] finds
//! the first entry that was changed, inserted, dropped or reordered, and checkpoints find a tail that was cut
//! off and a chain that was rewritten whole.

mod checkpoint;
mod draft;
mod entry;
mod erasure;
mod export;
#[cfg(test)]
mod tests;
mod walk;

pub use checkpoint::{AuditKey, AuditPublicKey, Checkpoint, CheckpointKind, SignedCheckpoint};
pub use draft::{Action, Actor, Draft, Origin};
pub use entry::{Details, Entry, Head, chain};
pub use erasure::{addresses_in, names_address};
pub use export::{ExportError, ExportLine};
pub use walk::{Fault, Restore, Walk};

use crate::id::OrganizationId;

/// The chain of what belongs to no organization, such as unknown accounts and restores.
pub const INSTANCE: OrganizationId = OrganizationId::from_bytes([0; 16]);
