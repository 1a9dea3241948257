//! The parts of the `sendpromptly` program.

pub mod callback;
