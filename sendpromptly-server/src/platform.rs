//! The only doors to the machine's clock and random numbers; the rules take both as arguments.

pub mod clock;
pub mod directory;
pub mod entropy;
pub mod programs;
pub mod seldom;
pub mod user;
