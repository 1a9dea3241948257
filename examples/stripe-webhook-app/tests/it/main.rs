//! The app against a stand-in for SendPromptly's ingest API.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod delivery;
mod event;
mod ingest;
mod kill;
mod settings;
mod webhook;
mod world;
