//! How durations spread, kept as counts: a median over any stretch of time can be had by adding the counts of its
//! parts, without the durations themselves.
//!
//! A duration counts for the [`Step`] it falls in. Steps are an eighth of a power of two wide, so a duration that is
//! told from them is at most about 6 % off; below 16 ms it is exact.

use std::collections::BTreeMap;
use std::time::Duration;

/// Steps to a power of two, as a power of two.
const FINENESS: u32 = 3;

/// Durations below this many milliseconds have a step each.
const EXACT: u64 = 2 << FINENESS;

/// A range of durations that count as alike. Longer durations have higher steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(u32);

impl Step {
    /// The highest there is.
    const LAST: u32 = (63 - FINENESS) * (1 << FINENESS) + (2 << FINENESS) - 1;

    /// The step that a duration falls in; it is looked at in whole milliseconds.
    #[must_use]
    pub fn of(duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let Some(power) = millis.checked_ilog2().filter(|_| millis >= EXACT) else {
            return Self(u32::try_from(millis).unwrap_or(0)); // below EXACT
        };
        let within = (millis >> (power - FINENESS)) & ((1 << FINENESS) - 1);
        let steps_below = (power - FINENESS + 1) << FINENESS;
        Self(steps_below + u32::try_from(within).unwrap_or(0))
    }

    /// Its number, to be stored.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The step of this number; `None` where there is none.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        if number <= Self::LAST {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The duration that stands for all of the step.
    #[must_use]
    pub fn middle(self) -> Duration {
        if u64::from(self.0) < EXACT {
            return Duration::from_millis(self.0.into());
        }
        let power = (self.0 >> FINENESS) + FINENESS - 1;
        let within = u64::from(self.0) & ((1 << FINENESS) - 1);
        let width = 1 << (power - FINENESS);
        Duration::from_millis(((1 << FINENESS) + within) * width + width / 2)
    }
}

/// How often durations of each step were seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread(BTreeMap<Step, u64>);

impl Spread {
    /// Counts so many durations of a step.
    pub fn add(&mut self, step: Step, count: u64) {
        if count > 0 {
            let counted = self.0.entry(step).or_default();
            *counted = counted.saturating_add(count);
        }
    }

    /// Counts everything that another one has counted.
    pub fn join(&mut self, other: &Self) {
        for (step, count) in &other.0 {
            self.add(*step, *count);
        }
    }

    /// How many durations were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Each step that was seen with its count, the shortest first.
    pub fn steps(&self) -> impl Iterator<Item = (Step, u64)> {
        self.0.iter().map(|(step, count)| (*step, *count))
    }

    /// The duration that so many per cent did not exceed; `None` where nothing was counted.
    ///
    /// ```
    /// use sendpromptly_core::spread::{Spread, Step};
    /// use std::time::Duration;
    ///
    /// let mut spread = Spread::default();
    /// for seconds in [1, 2, 60] {
    ///     spread.add(Step::of(Duration::from_secs(seconds)), 1);
    /// }
    /// let median = spread.percentile(50).unwrap();
    /// assert!(median.abs_diff(Duration::from_secs(2)) < Duration::from_millis(200));
    /// ```
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<Duration> {
        let rank = u128::from(self.total()) * u128::from(percent.min(100));
        let rank = rank.div_ceil(100).max(1);
        let mut passed = 0;
        for (step, count) in &self.0 {
            passed += u128::from(*count);
            if passed >= rank {
                return Some(step.middle());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_durations_are_exact_and_the_longest_has_the_last_step() {
        for millis in 0..EXACT {
            let duration = Duration::from_millis(millis);
            assert_eq!(Step::of(duration).middle(), duration);
        }
        assert_eq!(Step::of(Duration::MAX).number(), Step::LAST);
        assert_eq!(Step::from_number(Step::LAST + 1), None);
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Spread::default().percentile(50), None);
    }

    proptest! {
        #[test]
        fn a_duration_is_told_within_a_sixteenth(millis: u64) {
            let told = Step::of(Duration::from_millis(millis)).middle();
            let off = told.abs_diff(Duration::from_millis(millis));
            prop_assert!(off <= Duration::from_millis(millis / 16 + 1), "{told:?} for {millis}");
        }

        #[test]
        fn longer_durations_have_higher_steps(a: u64, b: u64) {
            let [a, b] = [a.min(b), a.max(b)].map(|millis| Step::of(Duration::from_millis(millis)));
            prop_assert!(a <= b);
            prop_assert_eq!(Step::from_number(b.number()), Some(b));
        }

        #[test]
        fn a_percentile_is_that_of_the_sorted_durations(
            millis in prop::collection::vec(0u64..10_000_000, 1..60), percent in 0u8..=100, cut: prop::sample::Index,
        ) {
            // Counted in two parts, as hours are.
            let (first, second) = millis.split_at(cut.index(millis.len()));
            let mut spread = Spread::default();
            for part in [first, second] {
                let mut counted = Spread::default();
                for millis in part {
                    counted.add(Step::of(Duration::from_millis(*millis)), 1);
                }
                spread.join(&counted);
            }
            let mut sorted = millis.clone();
            sorted.sort_unstable();
            let rank = (sorted.len() * usize::from(percent)).div_ceil(100).max(1);
            let expected = Step::of(Duration::from_millis(sorted[rank - 1])).middle();
            prop_assert_eq!(spread.percentile(percent), Some(expected));
            prop_assert_eq!(spread.total(), millis.len() as u64);
        }
    }
}
