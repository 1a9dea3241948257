//! Black-box tests of the program, by subject.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod audit;
mod audit_tampering;
mod audit_vectors;
mod callbacks;
mod canary;
mod commands;
mod durability;
mod fairness;
mod incidents;
mod kill_and_stop;
mod outages;
mod receipts;
mod repair_urls;
mod replays;
mod two_nodes;
mod vectors;
