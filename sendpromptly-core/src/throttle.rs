//! How guesses at passwords and codes are slowed down.
//!
//! A guess counts in several *budgets* at once, and must find room in each. A budget has some tries that are
//! free; each failure beyond them doubles the wait before the next try, up to a longest wait, and each longest
//! wait that passes forgives one failure. So a guesser gets a few tries, then one for each longest wait, however
//! patient he is; and an owner who has mistyped is soon free of it.
//!
//! Browsers in which the account's owner has signed in before have budgets that strangers do not count in:
//! whatever these do, the owner is not made to wait for them.

use std::time::Duration;

use crate::event::words;
use crate::time::Timestamp;

/// The wait after the last free try; it doubles with each failure from there on.
const FIRST_WAIT: Duration = Duration::from_secs(15);

/// A budget in which nothing was counted for so long is forgiven, whatever it held, and need not be kept.
pub const FORGIVEN_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

words! {
    /// What is guessed at.
    Guessed {
        /// A password.
        Password = "password",
        /// A code of the second factor, a recovery code among them.
        Code = "code",
    }

    /// Whose tries a budget holds.
    Share {
        /// Those for one account from one browser in which its owner has signed in before.
        KnownDevice = "known_device",
        /// Those for one account from all such browsers together.
        KnownDevices = "known_devices",
        /// Those for one account from one network, by strangers.
        AccountFromNetwork = "account_from_network",
        /// Those for one account by strangers, from wherever.
        Account = "account",
        /// Those for any account from one network, by strangers.
        Network = "network",
    }
}

impl Share {
    /// The budgets that a stranger's try counts in.
    pub const STRANGER: &[Self] = &[Self::AccountFromNetwork, Self::Account, Self::Network];

    /// The budgets that a try from a known device counts in.
    ///
    /// A browser also becomes known by a mailed link, as often as one is asked for, and each comes with a budget
    /// of its own. So codes count in one of all known browsers as well: whoever reads the mail gets no more
    /// guesses at the second factor by it. Strangers do not count there and so cannot keep the owner out.
    #[must_use]
    pub const fn known(guessed: Guessed) -> &'static [Self] {
        match guessed {
            Guessed::Password => &[Self::KnownDevice],
            Guessed::Code => &[Self::KnownDevice, Self::KnownDevices],
        }
    }

    /// Whether a success wipes the budget out. It does where account and place are the same; in the others
    /// one who may sign in would make room for his guesses at other accounts.
    #[must_use]
    pub const fn ends_with_success(self) -> bool {
        matches!(self, Self::KnownDevice | Self::AccountFromNetwork)
    }
}

/// How many tries are free, and how long the wait becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    free: u32,
    longest: Duration,
}

/// The failures in a budget. A try counts as one until it turns out to be none, so that guesses at once get
/// no further than guesses one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many, as of `last_at`.
    pub count: u32,
    /// When the last one was counted.
    pub last_at: Timestamp,
}

impl Budget {
    /// The budget for this share of the tries. Six digits are guessed sooner than a password, so codes have
    /// longer waits.
    #[must_use]
    pub const fn of(guessed: Guessed, share: Share) -> Self {
        let (free, longest) = match (guessed, share) {
            (Guessed::Password, Share::KnownDevice) => (10, MINUTE.saturating_mul(15)),
            (Guessed::Password, Share::AccountFromNetwork) => (5, MINUTE.saturating_mul(15)),
            (Guessed::Password, Share::Account) => (20, MINUTE.saturating_mul(15)),
            (Guessed::Code, Share::KnownDevice) => (5, HOUR),
            (Guessed::Code, Share::AccountFromNetwork) => (5, HOUR.saturating_mul(4)),
            (Guessed::Code, Share::Account | Share::KnownDevices) => (10, HOUR.saturating_mul(4)),
            // Of passwords, which a new link sets, none counts here.
            (Guessed::Password, Share::KnownDevices) => (20, MINUTE.saturating_mul(15)),
            (_, Share::Network) => (50, MINUTE),
        };
        Self { free, longest }
    }

    /// Counts a try.
    ///
    /// # Errors
    /// How long to wait before the next one; then it is not counted.
    pub fn count(self, failures: Option<Failures>, now: Timestamp) -> Result<Failures, Duration> {
        let wait = self.wait(failures, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        Ok(Failures {
            count: failures
                .map_or(0, |failures| self.left(failures, now))
                .saturating_add(1),
            last_at: failures.map_or(now, |failures| failures.last_at.max(now)),
        })
    }

    /// How long the next try must wait; zero where it may come now.
    #[must_use]
    pub fn wait(self, failures: Option<Failures>, now: Timestamp) -> Duration {
        let Some(failures) = failures else {
            return Duration::ZERO;
        };
        // What two clocks differ by must not lengthen the wait.
        let last_at = failures.last_at.min(now);
        last_at.plus(self.wait_after(failures.count)).since(now)
    }

    fn wait_after(self, count: u32) -> Duration {
        let Some(beyond) = count.checked_sub(self.free) else {
            return Duration::ZERO;
        };
        FIRST_WAIT
            .saturating_mul(2_u32.saturating_pow(beyond))
            .min(self.longest)
    }

    /// The failures that time has not forgiven yet.
    fn left(self, failures: Failures, now: Timestamp) -> u32 {
        let forgiven = now.since(failures.last_at).as_millis() / self.longest.as_millis().max(1);
        failures
            .count
            .saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
