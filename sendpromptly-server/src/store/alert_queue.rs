//! News on their way to whom they are told. They are written in the transaction of the change that they tell of, numbered
//! once for the whole project, and put into a message by the node that sends it.
//!
//! A destination has been told all news up to a number, and its message tells those up to another. So a claim, its end and
//! each further try cost the same however much waits. Who numbers, claims or ends locks the destination's row first; a
//! claim holds for a time only, so a node that dies hands it on.

use std::time::Duration;

use sendpromptly_core::alert::{Again, Channel};
use sendpromptly_core::id::{AlertId, ProjectId};

use super::Dialect;

mod claim;
mod content;
mod end;
mod escalations;
mod hand_on;
mod message;
mod note;
mod silence;
#[cfg(test)]
pub(super) mod tests;
mod told;

pub use claim::Room;
pub(super) use hand_on::news;
pub use message::{AlertMessage, Content, Named};
pub use silence::QuietProject;

/// How long a node has for one message.
pub const LEASE: Duration = Duration::from_secs(60);

/// News that are handed on together, or noted together. On SQLite receipts wait for as long as that takes, so few.
pub(super) const fn batch(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Sqlite => 25,
        Dialect::Postgres => 100,
    }
}

/// Incidents that a message names; of the others it tells how many there are.
pub const NAMED: u32 = 20;

/// A message that this node has claimed.
#[derive(Debug, Clone)]
pub struct ClaimedAlert {
    /// The project that it tells of.
    pub project: ProjectId,
    /// Whom it goes to.
    pub destination: AlertId,
    /// How.
    pub channel: Channel,
    /// Where, sealed.
    pub sealed: Vec<u8>,
    /// How many tries there were, this one included.
    pub tries: u32,
    /// How many of them in a row were begun without that anybody knows how they ended, this one included.
    pub begun: u32,
    /// What it says.
    pub message: AlertMessage,
    /// Whether it goes to a destination of incidents that stay open.
    pub(super) escalation: bool,
    /// It tells the news of its destination's kind after the first of these numbers, up to the second.
    pub(super) tells: (i64, i64),
    /// The newest number at the claim.
    newest: i64,
    token: [u8; 16],
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertEnd {
    /// The message was taken.
    Sent,
    /// It was not, for this reason, and goes again then.
    Waits(String, Again),
    /// It was not, for this reason, and will not go again.
    GivenUp(String),
    /// The server stopped before it was over. It goes again at once, and the try does not count.
    HandedBack,
}
