//! The `sendpromptly` program.

fn main() {}
