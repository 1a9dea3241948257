//! How many requests a project may send.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use sendpromptly_core::id::ProjectId;

use crate::http::ApiError;

/// A rate for each project, with bursts to twice as many.
#[derive(Debug)]
pub struct ProjectRate(Option<DefaultKeyedRateLimiter<ProjectId>>);

impl ProjectRate {
    /// So many requests a second; 0 for no limit.
    #[must_use]
    pub fn new(requests_per_second: u32) -> Self {
        Self(NonZeroU32::new(requests_per_second).map(|rate| {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(1));
            RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        }))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] where it is one too many.
    pub fn count(&self, project: ProjectId) -> Result<(), ApiError> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(&project).map_err(|not_until| {
            ApiError::RateLimited(not_until.wait_time_from(DefaultClock::default().now()))
        })
    }

    /// Forgets projects that have sent nothing lately.
    pub fn tidy(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_may_burst_to_twice_its_rate_and_others_are_not_touched() {
        let rate = ProjectRate::new(1);
        let [one, other] = [1, 2].map(|byte| ProjectId::from_bytes([byte; 16]));
        assert!(rate.count(one).is_ok() && rate.count(one).is_ok());
        assert!(matches!(rate.count(one), Err(ApiError::RateLimited(_))));
        assert!(rate.count(other).is_ok());
    }

    #[test]
    fn zero_lifts_the_limit() {
        let rate = ProjectRate::new(0);
        assert!((0..1_000).all(|_| rate.count(ProjectId::from_bytes([1; 16])).is_ok()));
    }
}
