//! Whether a clock may be believed where rows go for good: one that is ahead would drop what is not old.
//!
//! PostgreSQL has a clock of its own to be held against. On SQLite the store remembers when retention last began, and
//! a leap from there is not believed until somebody has said so.

use std::time::Duration;

use sendpromptly_core::time::{DAY_MS, Timestamp};

use crate::platform::clock::TOLERATED_SKEW;
use crate::store::{Store, StoreError};

/// The longest standstill that passes for one.
const LONGEST_PAUSE_MS: i64 = 40 * DAY_MS;

/// Why a clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// The database says otherwise.
    #[error(
        "this machine's clock is {} ms ahead of the database's, so what is old cannot be told; let both be set by NTP",
        .0.as_millis()
    )]
    Ahead(Duration),
    /// It has leapt, or the server stood still for that long.
    #[error(
        "it is {now} by this machine's clock, more than 40 days after retention last ran ({last}); if that is right, \
         let it be done once by hand: retention run --clock-is-right"
    )]
    Leapt {
        /// When it last ran.
        last: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
}

/// Holds a time that this machine's clock gave against what the store knows.
///
/// # Errors
/// [`StoreError`] by its cause.
pub async fn doubt(store: &Store, now: Timestamp) -> Result<Option<Doubt>, StoreError> {
    // Theirs is read after ours, so only a clock that is ahead is ahead.
    if let Some(theirs) = store.clock().await? {
        let ahead = now.since(theirs);
        return Ok((ahead > TOLERATED_SKEW).then_some(Doubt::Ahead(ahead)));
    }
    let last = store.retained_at().await?;
    let leapt = last.filter(|last| now > last.plus_millis(LONGEST_PAUSE_MS));
    Ok(leapt.map(|last| Doubt::Leapt { last, now }))
}
