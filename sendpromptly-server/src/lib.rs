//! The SendPromptly server: everything that has an effect. The rules it applies are in `sendpromptly-core`.

pub mod api;
pub mod callback;
pub mod http;
pub mod ingest;
pub mod operate;
pub mod platform;
pub mod store;
