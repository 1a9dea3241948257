//! The endpoint, called as SendPromptly calls it.

// A test fails where it unwraps.
#![allow(clippy::unwrap_used)]

mod app;
mod callback;
mod crash;
mod repair;
mod shown;
