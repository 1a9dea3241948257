//! The clock of this machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sendpromptly_core::time::Timestamp;

/// How far this machine's clock and the database's may be apart for this node to be ready.
pub const TOLERATED_SKEW: Duration = Duration::from_secs(2);

/// The time now, cut to whole milliseconds.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
