//! Stripe, as this server speaks with it.

pub mod signature;
