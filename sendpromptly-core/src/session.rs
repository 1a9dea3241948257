//! How long a signed-in session lives.

use std::time::Duration;

use crate::time::Timestamp;

/// How long a session may lie idle.
pub const IDLE: Duration = Duration::from_secs(60 * 60);

/// How long a session may last in all.
pub const ABSOLUTE: Duration = Duration::from_secs(12 * 60 * 60);

/// How exactly the last use of a session is noted: writing it at each request would cost more than it tells.
pub const NOTED_EVERY: Duration = Duration::from_secs(60);

/// When a session was begun and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When it was used last, as it is noted.
    pub seen_at: Timestamp,
}

impl Life {
    /// Whether the session is still good. One whose use is noted late never lives longer than [`IDLE`].
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        now.since(self.created_at) >= ABSOLUTE || now.since(self.seen_at) >= IDLE
    }

    /// Whether its use must be noted anew.
    #[must_use]
    pub fn is_to_be_noted(self, now: Timestamp) -> bool {
        now.since(self.seen_at) >= NOTED_EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BEGAN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn life(seen: Duration) -> Life {
        Life {
            created_at: BEGAN,
            seen_at: BEGAN.plus(seen),
        }
    }

    #[test]
    fn a_session_ends_after_an_hour_idle_and_after_twelve_hours() {
        let minute = Duration::from_secs(60);
        assert!(!life(Duration::ZERO).is_over(BEGAN.plus(59 * minute)));
        assert!(life(Duration::ZERO).is_over(BEGAN.plus(60 * minute)));
        assert!(!life(700 * minute).is_over(BEGAN.plus(719 * minute)));
        assert!(life(700 * minute).is_over(BEGAN.plus(720 * minute)));
    }

    proptest! {
        #[test]
        fn what_is_over_stays_over(seen in 0_u64..50_000, at in 0_u64..100_000, later in 0_u64..100_000) {
            let life = life(Duration::from_secs(seen));
            let now = BEGAN.plus(Duration::from_secs(seen + at));
            prop_assert!(!life.is_over(now) || life.is_over(now.plus(Duration::from_secs(later))));
        }
    }
}
