//! User accounts: what an e-mail address and a password may be, and how passwords are kept.

pub mod email;
mod guess;
pub mod link;
pub mod password;
