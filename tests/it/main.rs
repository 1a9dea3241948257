//! Black-box tests of the program, by subject.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod callbacks;
mod fairness;
mod incidents;
mod receipts;
mod replays;
