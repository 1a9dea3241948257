//! How many test callbacks may be sent: few, for each is a call to wherever a customer likes.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sendpromptly_core::id::ProjectId;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::PageError;

/// Test callbacks a minute for each project, and of this node at once.
const A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
const AT_ONCE: usize = 16;

/// The bounds of test callbacks on this node.
#[derive(Debug)]
pub struct Trials {
    rate: DefaultKeyedRateLimiter<ProjectId>,
    under_way: Semaphore,
}

impl Default for Trials {
    fn default() -> Self {
        Self {
            rate: RateLimiter::keyed(Quota::per_minute(A_MINUTE)),
            under_way: Semaphore::new(AT_ONCE),
        }
    }
}

impl Trials {
    /// Lets one more go; it lasts until the permit is dropped.
    ///
    /// # Errors
    /// [`PageError::TooMany`] where it is one too many.
    pub fn begin(&self, project: ProjectId) -> Result<SemaphorePermit<'_>, PageError> {
        let permit = self.under_way.try_acquire();
        let permit = permit.map_err(|_| PageError::TooMany(Duration::from_secs(10)))?;
        self.rate.check_key(&project).map_err(|not_until| {
            PageError::TooMany(not_until.wait_time_from(DefaultClock::default().now()))
        })?;
        Ok(permit)
    }

    /// Forgets projects that were not tried lately.
    pub fn tidy(&self) {
        self.rate.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_tried_five_times_a_minute_and_others_are_not_touched() {
        let trials = Trials::default();
        let [one, other] = [1, 2].map(|byte| ProjectId::from_bytes([byte; 16]));
        assert!((0..5).all(|_| trials.begin(one).is_ok()));
        assert!(matches!(trials.begin(one), Err(PageError::TooMany(_))));
        assert!(trials.begin(other).is_ok());
    }

    #[test]
    fn only_so_many_are_under_way_at_once() {
        let trials = Trials::default();
        let project = |byte| ProjectId::from_bytes([byte; 16]);
        let held: Vec<_> = (0..16).map(|byte| trials.begin(project(byte)).unwrap()).collect();
        assert!(matches!(trials.begin(project(99)), Err(PageError::TooMany(_))));
        drop(held);
        assert!(trials.begin(project(99)).is_ok());
    }
}
