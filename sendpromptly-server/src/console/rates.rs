//! How many requests the console takes from whom. The API has its own rates, and neither eats into the other's.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

use super::PageError;
use crate::api::failures::{Failures, Window};
use crate::http::network;
use crate::store::sessions::SessionId;

/// Requests a second of a session, and how many may come at once: a person with several tabs and live updates.
const OF_A_SESSION: (u32, u32) = (20, 200);
/// Requests a second from one network without a session, and how many may come at once: an office at nine.
const OF_A_NETWORK: (u32, u32) = (10, 100);
/// Forms that visitors send from one network (to sign in, to sign up, to ask for a link): one in so long …
const A_FORM_EVERY: Duration = Duration::from_secs(2);
/// … and so many at once.
const FORMS_AT_ONCE: u32 = 30;

/// Sessions, and networks, that are remembered.
const REMEMBERED: u64 = 20_000;
/// Whoever has sent nothing for so long has all of the rate again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(5 * 60);

/// The console's rates.
#[derive(Debug)]
pub struct Rates {
    sessions: Rate<SessionId>,
    networks: Rate<IpAddr>,
    forms: Rate<IpAddr>,
    unknown: Failures,
}

/// A rate for each of many.
#[derive(Debug)]
struct Rate<K: Eq + Hash + Send + Sync + 'static> {
    quota: Quota,
    limiters: Cache<K, Arc<DefaultDirectRateLimiter>>,
}

impl Default for Rates {
    fn default() -> Self {
        let forms = Quota::with_period(A_FORM_EVERY).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        Self {
            sessions: Rate::new(a_second(OF_A_SESSION)),
            networks: Rate::new(a_second(OF_A_NETWORK)),
            forms: Rate::new(forms.allow_burst(at_least_one(FORMS_AT_ONCE))),
            unknown: Failures::default(),
        }
    }
}

impl Rates {
    /// Counts a request of a session.
    ///
    /// # Errors
    /// [`PageError::TooMany`] where it is one too many.
    pub fn count_session(&self, session: SessionId) -> Result<(), PageError> {
        self.sessions.count(session)
    }

    /// Counts a request without a session.
    ///
    /// # Errors
    /// [`PageError::TooMany`] where it is one too many.
    pub fn count_visitor(&self, address: IpAddr) -> Result<(), PageError> {
        self.networks.count(network(address))
    }

    /// Counts a session's token as unknown, before it is looked up. What turns out to be known is taken back.
    ///
    /// # Errors
    /// [`PageError::TooMany`] where there were too many unknown ones from this network.
    pub(super) fn count_unknown(&self, address: IpAddr) -> Result<Arc<Window>, PageError> {
        Ok(self.unknown.count(address)?)
    }

    /// Counts a form that a visitor sends.
    ///
    /// # Errors
    /// [`PageError::TooMany`] where it is one too many.
    pub fn count_form(&self, address: IpAddr) -> Result<(), PageError> {
        self.forms.count(network(address))
    }
}

impl<K: Eq + Hash + Send + Sync + 'static> Rate<K> {
    fn new(quota: Quota) -> Self {
        let limiters = Cache::builder().max_capacity(REMEMBERED);
        Self {
            quota,
            limiters: limiters.time_to_idle(FORGOTTEN_AFTER).build(),
        }
    }

    fn count(&self, key: K) -> Result<(), PageError> {
        let limiter = self
            .limiters
            .get_with(key, || Arc::new(RateLimiter::direct(self.quota)));
        limiter
            .check()
            .map_err(|not_until| PageError::TooMany(not_until.wait_time_from(DefaultClock::default().now())))
    }
}

fn a_second((requests, burst): (u32, u32)) -> Quota {
    Quota::per_second(at_least_one(requests)).allow_burst(at_least_one(burst))
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn visitors_are_counted_by_network_and_sessions_by_themselves() {
        let rates = Rates::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let refused = counted(100, Duration::from_millis(100), |seen| {
            // Two of one network share what they may.
            rates.count_visitor(address(&format!("2001:db8::{}", seen % 2)))
        });
        assert!(matches!(refused, PageError::TooMany(wait) if wait <= Duration::from_millis(100)));
        assert!(rates.count_visitor(address("2001:db8:0:1::1")).is_ok());
        counted(200, Duration::from_millis(50), |_| rates.count_session([1; 16]));
        assert!(rates.count_session([2; 16]).is_ok());
    }

    /// Counts until one is refused, which is given: after a burst, and what time has given back meanwhile.
    fn counted<T>(
        burst: u128,
        one_more_each: Duration,
        mut count: impl FnMut(u128) -> Result<T, PageError>,
    ) -> PageError {
        let begin = Instant::now();
        let (taken, refused) = (0..)
            .find_map(|taken| Some((taken, count(taken).err()?)))
            .unwrap();
        let given_back = begin.elapsed().as_millis() / one_more_each.as_millis() + 1;
        assert!(
            (burst..=burst + given_back).contains(&taken),
            "{taken} of {burst}, and {given_back}"
        );
        refused
    }

    #[test]
    fn a_network_has_a_hundred_unknown_tokens_a_minute_and_known_ones_cost_nothing() {
        let rates = Rates::default();
        let address = IpAddr::from([192, 0, 2, 7]);
        for _ in 0..200 {
            rates.count_unknown(address).unwrap().take_back();
        }
        let refused = counted(100, Duration::from_millis(600), |_| rates.count_unknown(address));
        assert!(matches!(refused, PageError::TooMany(_)));
        assert!(rates.count_unknown(IpAddr::from([192, 0, 2, 8])).is_ok());
    }

    #[test]
    fn thirty_forms_at_once_are_taken_and_then_one_every_two_seconds() {
        let rates = Rates::default();
        let address = IpAddr::from([192, 0, 2, 7]);
        assert!((0..30).all(|_| rates.count_form(address).is_ok()));
        let Err(PageError::TooMany(wait)) = rates.count_form(address) else {
            panic!("the 31st form is taken");
        };
        assert!(
            wait > Duration::from_secs(1) && wait <= Duration::from_secs(2),
            "{wait:?}"
        );
        assert!(
            rates.count_visitor(address).is_ok(),
            "pages have a rate of their own"
        );
    }
}
