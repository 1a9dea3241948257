//! Snapshots: the payloads of receipts, where a project asks that they are kept. For how long, and why a person
//! may see one; see `docs/data.md`.

use std::str::FromStr;
use std::time::Duration;

use crate::time::Timestamp;

mod packed;

pub use packed::{LONGEST, UnpackError, pack, room_to_pack, unpack};

/// How long a payload is kept: 30 days.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The time up to which snapshots are too old, seen now: a payload that was received by then is kept no more.
#[must_use]
pub fn too_old_at(now: Timestamp) -> Timestamp {
    now.minus(KEPT)
}

/// Why a person wants to see a payload: 3 to 500 Unicode characters on one line. It stands in the audit log.
///
/// ```
/// use sendpromptly_core::snapshot::ReadReason;
///
/// assert_eq!(" ticket 4711 ".parse::<ReadReason>()?.as_str(), "ticket 4711");
/// assert!("?".parse::<ReadReason>().is_err());
/// # Ok::<(), sendpromptly_core::snapshot::ReadReasonError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadReason(String);

/// Why a text is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a reason must be {} to {} characters, on one line",
    ReadReason::MIN,
    ReadReason::MAX
)]
pub struct ReadReasonError;

impl ReadReason {
    /// The least Unicode characters of a reason, white space around it left out.
    pub const MIN: usize = 3;
    /// The most.
    pub const MAX: usize = 500;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReadReason {
    type Err = ReadReasonError;

    fn from_str(text: &str) -> Result<Self, ReadReasonError> {
        let reason = text.trim();
        let fits = (Self::MIN..=Self::MAX).contains(&reason.chars().count());
        if fits && !reason.chars().any(char::is_control) {
            Ok(Self(reason.to_owned()))
        } else {
            Err(ReadReasonError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_kept_for_30_days_to_the_millisecond() {
        let at = Timestamp::from_millis(1_800_000_000_000);
        assert!(too_old_at(at.plus(KEPT).plus_millis(-1)) < at);
        assert_eq!(too_old_at(at.plus(KEPT)), at);
    }

    #[test]
    fn a_reason_to_read_is_a_line_that_says_something() {
        for right in ["ask", "  ticket 4711  ", &"ü".repeat(500)] {
            assert_eq!(right.parse::<ReadReason>().unwrap().as_str(), right.trim());
        }
        for wrong in ["", "   ", " ab ", "a\nbc", "abc\u{0}", &"ü".repeat(501)] {
            assert_eq!(wrong.parse::<ReadReason>(), Err(ReadReasonError), "{wrong:?}");
        }
    }
}
