//! User accounts: what an e-mail address and a password may be, and how passwords are kept.

pub mod deletion;
pub mod device;
pub mod email;
mod guess;
pub mod guesses;
pub mod hasher;
pub mod link;
pub mod mac;
pub mod password;
pub mod passwords;
mod quota;
pub mod second_factor;
