//! The audit log: a SHA-256 hash chain for each organization, see `docs/data.md`.

mod draft;

pub use draft::{Action, Actor, Draft, Origin};
