//! What an organization may do: during its trial, while its subscription is paid for, and after. See
//! `docs/billing.md`.

use std::time::Duration;

use super::Status;
use crate::time::Timestamp;

/// How long a new organization may try all of it: 14 days.
pub const TRIAL: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What is known of an organization's right to be monitored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// When the organization was made.
    pub made_at: Timestamp,
    /// What became of its subscription, where it has one.
    pub status: Option<Status>,
    /// Since when a payment is missing, where one is.
    pub past_due_since: Option<Timestamp>,
}

/// What an organization may do now, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// All, up to this time.
    Trial(Timestamp),
    /// All.
    Subscribed,
    /// All, up to this time: a payment is missing.
    Grace(Timestamp),
    /// Reading, exporting and billing.
    Ended,
}

impl Access {
    /// Whether payments are monitored and work is done.
    #[must_use]
    pub const fn allows(self) -> bool {
        !matches!(self, Self::Ended)
    }
}

impl Plan {
    /// When the trial ends.
    #[must_use]
    pub fn trial_ends(&self) -> Timestamp {
        self.made_at.plus(TRIAL)
    }

    /// What the organization may do now, where a missing payment may be made up for within `grace`. A subscription
    /// takes nothing away from the trial.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sendpromptly_core::billing::{Access, Plan, TRIAL};
    /// use sendpromptly_core::time::Timestamp;
    ///
    /// let made_at = Timestamp::from_millis(1_800_000_000_000);
    /// let plan = Plan { made_at, status: None, past_due_since: None };
    /// assert!(plan.access(made_at, Duration::ZERO).allows());
    /// assert_eq!(plan.access(made_at.plus(TRIAL), Duration::ZERO), Access::Ended);
    /// ```
    #[must_use]
    pub fn access(&self, now: Timestamp, grace: Duration) -> Access {
        if self.status == Some(Status::Active) {
            return Access::Subscribed;
        }
        let missing_since = self
            .past_due_since
            .filter(|_| self.status == Some(Status::PastDue));
        let ends = missing_since.map(|since| since.plus(grace));
        match ends {
            Some(ends) if now < ends => Access::Grace(ends),
            _ if now < self.trial_ends() => Access::Trial(self.trial_ends()),
            _ => Access::Ended,
        }
    }
}
