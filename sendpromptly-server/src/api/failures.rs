//! How often what is shown to get in was unknown, from one address: API keys, and the console's session tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use moka::sync::Cache;

use crate::http::{ApiError, network};

/// Failures from one address in a window before they are refused without a look-up.
const ALLOWED: u32 = 100;
/// How long a window lasts, from its first failure.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered.
const ADDRESSES: u64 = 10_000;

/// The failures of the last minute, by address.
#[derive(Debug)]
pub(crate) struct Failures(Cache<IpAddr, Arc<Window>>);

/// The failures from one address since the first of them.
#[derive(Debug)]
pub(crate) struct Window {
    began: Instant,
    failures: AtomicU32,
}

impl Default for Failures {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(ADDRESSES)
                .time_to_live(WINDOW)
                .build(),
        )
    }
}

impl Failures {
    /// Counts a failure.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] where it is one too many.
    pub(crate) fn count(&self, client: IpAddr) -> Result<Arc<Window>, ApiError> {
        let window = self.0.get_with(network(client), || {
            Arc::new(Window {
                began: Instant::now(),
                failures: AtomicU32::new(0),
            })
        });
        if window.failures.fetch_add(1, Ordering::Relaxed) < ALLOWED {
            return Ok(window);
        }
        window.take_back();
        Err(ApiError::RateLimited(
            WINDOW.saturating_sub(window.began.elapsed()),
        ))
    }
}

impl Window {
    /// What was counted turned out to be none.
    pub(crate) fn take_back(&self) {
        self.failures.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn a_hundred_failures_are_answered_and_the_next_must_wait() {
        let failures = Failures::default();
        assert!((0..ALLOWED).all(|_| failures.count(CLIENT).is_ok()));
        assert!(matches!(failures.count(CLIENT), Err(ApiError::RateLimited(wait)) if wait <= WINDOW));
        assert!(failures.count(IpAddr::from([192, 0, 2, 8])).is_ok());
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let failures = Failures::default();
        assert!((0..ALLOWED * 2).all(|_| failures.count(CLIENT).map(|failure| failure.take_back()).is_ok()));
    }
}
