//! The SendPromptly server: everything that has an effect. The rules it applies are in `sendpromptly-core`.

pub mod account;
pub mod alerts;
pub mod api;
pub mod backup;
pub mod callback;
pub mod checkpoints;
pub mod cli;
pub mod command;
pub mod config;
pub mod console;
pub mod http;
pub mod ingest;
pub mod logging;
pub mod mail;
pub mod metrics;
pub mod operate;
pub mod payload;
pub mod platform;
pub mod projects;
pub mod provider_intake;
pub mod redirect;
pub mod retention;
pub mod site;
pub mod store;
pub mod stripe;
pub mod takeout;
#[cfg(test)]
mod testing;
pub mod trail;
pub mod vault;
pub mod workers;
