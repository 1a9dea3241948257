//! How much is dropped at once, and how long the others then have the store for themselves.

use std::num::NonZeroU32;
use std::time::Duration;

use super::BATCH;

/// How long a batch may hold the store, about.
const AIM: Duration = Duration::from_millis(10);

/// The longest rest between two batches.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// After a batch the store is left alone for so many times as long as it took.
const REST: u32 = 4;

/// The smallest batch: below it, the cost of a commit is what a batch costs.
const SMALLEST: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// The pace of one pass. It finds out how many rows can be dropped in the time that a batch may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    limit: NonZeroU32,
}

impl Pace {
    /// How many rows to drop next.
    #[must_use]
    pub const fn limit(self) -> NonZeroU32 {
        self.limit
    }

    /// Takes note of how long a batch took; gives how long to rest after it.
    pub fn rest_after(&mut self, took: Duration) -> Duration {
        let limit = self.limit.get();
        let next = if took > AIM * 2 {
            limit / 2
        } else if took < AIM / 2 {
            limit.saturating_mul(2)
        } else {
            limit
        };
        self.limit = NonZeroU32::new(next).unwrap_or(SMALLEST).clamp(SMALLEST, BATCH);
        (took * REST).min(LONGEST_REST)
    }
}

impl Default for Pace {
    fn default() -> Self {
        let limit = NonZeroU32::new(BATCH.get() / 4).unwrap_or(SMALLEST);
        Self { limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_shrink_where_they_are_slow_and_grow_where_they_are_quick_within_bounds() {
        let mut pace = Pace::default();
        let after = |pace: &mut Pace, millis| {
            let rest = pace.rest_after(Duration::from_millis(millis));
            (pace.limit().get(), rest.as_millis())
        };
        assert_eq!(after(&mut pace, 10), (250, 40));
        assert_eq!(after(&mut pace, 1), (500, 4));
        assert_eq!(after(&mut pace, 1), (1_000, 4));
        assert_eq!(after(&mut pace, 1), (1_000, 4));
        assert_eq!(after(&mut pace, 60), (500, 200));
        for _ in 0..9 {
            after(&mut pace, 60);
        }
        assert_eq!(pace.limit(), SMALLEST);
    }
}
