//! Black-box tests of the program, by subject.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod audit_vectors;
mod bodies;
mod connections;
mod duplicates;
mod errors;
mod idempotency;
mod keys;
mod negotiation;
mod openapi;
mod protocol;
mod rates;
mod receipts;
mod results;
mod routes;
mod schemathesis;
mod unavailable;
