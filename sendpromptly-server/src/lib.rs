//! The SendPromptly server: everything that has an effect. The rules it applies are in `sendpromptly-core`.

pub mod callback;
pub mod ingest;
pub mod platform;
pub mod store;
