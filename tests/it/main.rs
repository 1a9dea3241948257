//! Black-box tests of the program, by subject.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod account;
mod audit;
mod audit_tampering;
mod audit_vectors;
mod bodies;
mod browser;
mod callbacks;
mod canary;
mod commands;
mod connections;
mod console_incidents;
mod console_projects;
mod demo;
mod duplicates;
mod durability;
mod errors;
mod fairness;
mod harness;
mod headers;
mod idempotency;
mod incidents;
mod invitations;
mod keys;
mod kill_and_stop;
mod links;
mod live;
mod mail;
mod members;
mod metrics;
mod negotiation;
mod openapi;
mod outages;
mod protocol;
mod rates;
mod receipts;
mod repair_urls;
mod replays;
mod results;
mod retention;
mod routes;
mod schemathesis;
mod second_factor;
mod sessions;
mod sign_in;
mod sign_up;
mod snapshots;
mod step_up;
mod tidy;
mod tls;
mod tls_redirect;
mod two_nodes;
mod unavailable;
mod vectors;
