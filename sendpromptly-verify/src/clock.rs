//! The system's clock, for those who do not pass a time of their own.

use std::time::{SystemTime, UNIX_EPOCH};

/// The Unix seconds of the system's clock. (Not on `wasm32-unknown-unknown`, which has none: pass the time there.)
#[must_use]
pub fn unix_now() -> i64 {
    let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()),
        Err(before) => i64::try_from(before.duration().as_secs()).map(|seconds| -seconds),
    };
    seconds.unwrap_or(i64::MAX)
}
