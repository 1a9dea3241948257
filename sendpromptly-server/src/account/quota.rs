//! How many passwords one user, signed in already, may have checked: each takes a place in the queue of the
//! hasher, which all who sign in share. A right one is no failure, so the budgets of guesses do not end that.
//!
//! It is counted at each node, for each has a hasher of its own.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;
use sendpromptly_core::id::UserId;

/// One password in so long …
const ONE_EVERY: Duration = Duration::from_secs(5);
/// … and so many at once, which leaves most of the hasher's queue to others.
const AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(14);

/// Users that are remembered.
const REMEMBERED: u64 = 20_000;

/// Counts the passwords of each user.
#[derive(Debug, Clone)]
pub(super) struct PasswordQuota(Cache<UserId, Arc<DefaultDirectRateLimiter>>);

impl PasswordQuota {
    pub(super) fn new() -> Self {
        let full_again = ONE_EVERY.saturating_mul(AT_ONCE.get());
        let limiters = Cache::builder().max_capacity(REMEMBERED);
        Self(limiters.time_to_idle(full_again).build())
    }

    /// Counts one.
    ///
    /// # Errors
    /// How long to wait, where it is one too many.
    pub(super) fn count(&self, user: UserId) -> Result<(), Duration> {
        let limiter = self.0.get_with(user, || {
            let quota = Quota::with_period(ONE_EVERY).unwrap_or(Quota::per_minute(AT_ONCE));
            Arc::new(RateLimiter::direct(quota.allow_burst(AT_ONCE)))
        });
        limiter
            .check()
            .map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}
