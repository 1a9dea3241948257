//! What a customer's endpoint relies on, by subject.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod allocations;
mod callback;
mod crash;
#[cfg(feature = "serde")]
mod endpoint;
mod nonces;
mod properties;
mod repairs;
mod secrets;
mod signatures;
mod vectors;
