//! Black-box tests of the program, by subject.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod callbacks;
mod durability;
mod fairness;
mod incidents;
mod kill_and_stop;
mod outages;
mod receipts;
mod repair_urls;
mod replays;
mod tidy;
mod two_nodes;
mod vectors;
