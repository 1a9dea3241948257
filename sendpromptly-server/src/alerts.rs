//! Alerts: whom a project tells of its incidents, what the messages say, and how they are sent.

pub mod message;
pub mod office;
pub mod sender;
pub mod target;

pub use office::AlertError;
pub use sender::{SendFailure, Sender};
pub use target::{CheckedTarget, Target};
