//! The retry schedule: when a callback goes again.

use std::time::Duration;

/// The longest wait that an endpoint can ask for with `Retry-After`.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Delays before each attempt, the first counted from the order, each other from the end of the attempt
/// before. It has at least one entry, and as many attempts are made as it has entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    first: Duration,
    rest: Vec<Duration>,
}

/// Why a list of delays is no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The list is empty.
    #[error("a retry schedule needs at least one delay, such as 0s")]
    Empty,
    /// The list is longer than [`RetrySchedule::MAX_ENTRIES`].
    #[error("a retry schedule has at most {} delays", RetrySchedule::MAX_ENTRIES)]
    TooLong,
    /// A delay is longer than [`RetrySchedule::MAX_DELAY`].
    #[error("a delay of a retry schedule is at most 7 days")]
    DelayTooLong,
}

impl RetrySchedule {
    /// The most entries that a schedule may have.
    pub const MAX_ENTRIES: usize = 32;
    /// The longest single delay.
    pub const MAX_DELAY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    /// A schedule of these delays.
    ///
    /// # Errors
    /// [`ScheduleError`] where the list is empty, too long, or holds a delay of over seven days.
    pub fn new(delays: &[Duration]) -> Result<Self, ScheduleError> {
        let (first, rest) = delays.split_first().ok_or(ScheduleError::Empty)?;
        if delays.len() > Self::MAX_ENTRIES {
            return Err(ScheduleError::TooLong);
        }
        if delays.iter().any(|delay| *delay > Self::MAX_DELAY) {
            return Err(ScheduleError::DelayTooLong);
        }
        Ok(Self {
            first: *first,
            rest: rest.to_vec(),
        })
    }

    /// How many attempts are made at most.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.rest.len() + 1).unwrap_or(u32::MAX)
    }

    /// Never: a schedule has an entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// The delay before the first attempt.
    #[must_use]
    pub const fn first(&self) -> Duration {
        self.first
    }

    /// The delay before the attempt after `steps` entries were used, or `None` where none is left.
    ///
    /// What the endpoint asked for may lengthen it, up to [`MAX_RETRY_AFTER`], and never shortens it.
    #[must_use]
    pub fn delay(&self, steps: u32, jitter: Jitter, asked: Option<Duration>) -> Option<Duration> {
        let entry = match usize::try_from(steps).ok()?.checked_sub(1) {
            None => self.first,
            Some(index) => *self.rest.get(index)?,
        };
        let asked = asked.unwrap_or_default().min(MAX_RETRY_AFTER);
        Some(jitter.apply(entry).max(asked))
    }
}

impl Default for RetrySchedule {
    /// At once, then after 1 minute, 10 minutes, 1 hour and 6 hours.
    fn default() -> Self {
        let rest = [60, 600, 3_600, 21_600].map(Duration::from_secs).to_vec();
        Self {
            first: Duration::ZERO,
            rest,
        }
    }
}

/// A spread of up to 10 % to either side, so that callbacks that failed together do not return together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    thousandths: i32,
}

impl Jitter {
    /// No spread.
    pub const NONE: Self = Self { thousandths: 0 };

    /// A spread drawn evenly from −10 % to +10 % by four random bytes.
    #[must_use]
    pub const fn from_entropy(entropy: [u8; 4]) -> Self {
        Self {
            thousandths: (u32::from_be_bytes(entropy) % 201) as i32 - 100,
        }
    }

    fn apply(self, delay: Duration) -> Duration {
        delay * 1_000_u32.saturating_add_signed(self.thousandths) / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_default_is_five_attempts_from_at_once_to_six_hours() {
        let schedule = RetrySchedule::default();
        let delays: Vec<_> = (0..6)
            .map(|step| schedule.delay(step, Jitter::NONE, None))
            .collect();
        let expected = [0, 60, 600, 3_600, 21_600].map(|secs| Some(Duration::from_secs(secs)));
        assert_eq!(delays[..5], expected);
        assert_eq!((delays[5], schedule.len()), (None, 5));
    }

    #[test]
    fn retry_after_lengthens_a_step_up_to_a_day_and_never_shortens_it() {
        let schedule = RetrySchedule::new(&[SECOND, 60 * SECOND]).unwrap();
        let delay = |asked| schedule.delay(1, Jitter::NONE, Some(asked));
        assert_eq!(delay(SECOND), Some(60 * SECOND));
        assert_eq!(delay(90 * SECOND), Some(90 * SECOND));
        assert_eq!(delay(Duration::MAX), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn a_schedule_without_entries_or_with_an_endless_delay_is_refused() {
        assert_eq!(RetrySchedule::new(&[]), Err(ScheduleError::Empty));
        assert_eq!(RetrySchedule::new(&[SECOND; 33]), Err(ScheduleError::TooLong));
        assert_eq!(
            RetrySchedule::new(&[Duration::MAX]),
            Err(ScheduleError::DelayTooLong)
        );
    }

    proptest! {
        #[test]
        fn jitter_stays_within_ten_percent(entropy: [u8; 4], secs in 0u64..604_800) {
            let delay = Duration::from_secs(secs);
            let spread = Jitter::from_entropy(entropy).apply(delay);
            prop_assert!(spread >= delay * 9 / 10 && spread <= delay * 11 / 10);
        }
    }
}
