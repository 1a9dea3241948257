//! How fast a project's endpoint is called: a few calls at once, and one alone while it fails.

use super::AttemptOutcome;

/// The most calls under way for a project at once.
pub const MOST_IN_FLIGHT: u32 = 5;

/// After so many failures in a row, one call goes as a probe before the rest.
pub const PROBE_AFTER: u32 = 5;

/// How many more calls may begin for a project with so many under way and so many failures in a row.
#[must_use]
pub const fn room(in_flight: u32, failures: u32) -> u32 {
    let most = if failures < PROBE_AFTER { MOST_IN_FLIGHT } else { 1 };
    most.saturating_sub(in_flight)
}

/// What outcomes, in their order, make of a count of failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streak {
    /// Whether one of them was a delivery, so that what was counted before is over.
    pub broken: bool,
    /// Failures since that delivery, or in all.
    pub failures: u32,
}

impl Streak {
    /// Takes the next outcome into account. One that no endpoint had a part in changes nothing: a call cut
    /// off, an address that is never called, or a payload that is gone.
    pub const fn take(&mut self, outcome: AttemptOutcome) {
        match outcome {
            AttemptOutcome::Answered {
                status: 200..=299, ..
            } => {
                *self = Self {
                    broken: true,
                    failures: 0,
                };
            }
            AttemptOutcome::Answered { .. } | AttemptOutcome::NetworkError => self.failures += 1,
            AttemptOutcome::Refused | AttemptOutcome::PayloadGone | AttemptOutcome::CutOff => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn answered(status: u16) -> AttemptOutcome {
        AttemptOutcome::Answered {
            status,
            retry_after: None,
            effect: None,
        }
    }

    #[test]
    fn five_calls_go_at_once_and_a_probe_goes_alone() {
        assert_eq!([0, 3, 5, 6].map(|in_flight| room(in_flight, 4)), [5, 2, 0, 0]);
        assert_eq!([0, 1, 5].map(|in_flight| room(in_flight, 5)), [1, 0, 0]);
    }

    #[test]
    fn a_delivery_ends_the_failures_in_a_row_and_our_own_stop_counts_for_nothing() {
        let mut streak = Streak::default();
        for outcome in [
            answered(500),
            AttemptOutcome::CutOff,
            AttemptOutcome::NetworkError,
        ] {
            streak.take(outcome);
        }
        assert_eq!((streak.broken, streak.failures), (false, 2));
        for outcome in [
            answered(204),
            answered(404),
            AttemptOutcome::Refused,
            AttemptOutcome::PayloadGone,
        ] {
            streak.take(outcome);
        }
        assert_eq!((streak.broken, streak.failures), (true, 1));
    }
}
