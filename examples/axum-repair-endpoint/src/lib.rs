//! An app that lets SendPromptly repair what was paid and never applied.
//!
//! Read [`repair`] first: the endpoint, and the one transaction that makes an effect happen exactly once.

pub mod database;
pub mod repair;
