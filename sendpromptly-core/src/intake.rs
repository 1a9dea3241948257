//! Events that providers send to us themselves: which of them count, and what they say of an effect.
//!
//! A project may give a provider an endpoint of ours beside its own. What the provider tells there is an
//! *announcement* of an event, whose receipt the app still has to send: a webhook that was lost before the app saw it
//! is found so. See `docs/intake.md`.

mod announcement;
mod mapping;
mod pointer;

pub use announcement::{Announcement, NotAnEvent, ShopifyHeaders};
pub use mapping::{MAX_RULES, Mapping, MappingError, Rule};
pub use pointer::{Pointer, PointerError};
