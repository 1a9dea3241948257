//! Black-box tests of the program, by subject.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod audit_vectors;
mod receipts;
mod vectors;
