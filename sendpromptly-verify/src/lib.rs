//! Verify signed repair callbacks.

pub mod signature;
