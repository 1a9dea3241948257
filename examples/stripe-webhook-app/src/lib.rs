//! An app that sells something through Stripe, and tells SendPromptly of each payment and of what became of it.
//!
//! Read [`webhook`] first, then [`jobs`], [`outbox`] and [`sender`].

pub mod clock;
pub mod database;
pub mod jobs;
pub mod outbox;
pub mod sender;
pub mod stripe_event;
pub mod stripe_signature;
pub mod webhook;
