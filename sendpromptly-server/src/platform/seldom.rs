//! What strangers can cause as often as they like is told seldom: a log that grows by each of their requests fills a disk.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long after it was told last it is told again.
const PAUSE: Duration = Duration::from_secs(60);

/// Counts what happens, and says when to tell of it.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told_at: Option<Instant>,
    untold: u64,
}

impl Seldom {
    /// It happened once more. Where it is to be told of: how often it did since it was told last.
    pub fn count(&self) -> Option<u64> {
        self.count_at(Instant::now())
    }

    fn count_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold = state.untold.saturating_add(1);
        let just_told = state
            .told_at
            .is_some_and(|told_at| now.duration_since(told_at) < PAUSE);
        if just_told {
            return None;
        }
        state.told_at = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_rest_once_a_minute_counted() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let at = |seconds| seldom.count_at(start + Duration::from_secs(seconds));
        assert_eq!(at(0), Some(1));
        assert!((1..60).all(|second| at(second).is_none()));
        assert_eq!(at(60), Some(60));
        assert_eq!(at(60), None);
        assert_eq!(at(1_000), Some(2));
    }
}
