//! Who may do what: the roles of an organization's members, and when a second factor is asked for again.

use std::time::Duration;

use crate::event::words;
use crate::time::Timestamp;

words! {
    /// A member's role. Each may do what the ones before it may, and more.
    Role {
        /// Reads.
        Viewer = "viewer",
        /// Works on incidents: reprocesses, dismisses, reopens, takes notes.
        Operator = "operator",
        /// All but billing and the deletion of the organization.
        Admin = "admin",
        /// All.
        Owner = "owner",
    }
}

/// What must have been shown lately before something is done, beside being signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepUp {
    /// Nothing.
    No,
    /// A code of the second factor. Whoever has none is led to set it up.
    Code,
    /// The password, for whoever has no second factor yet; a code, for whoever has.
    Password,
}

/// How long a code or a password that was shown counts as lately.
pub const LATELY: Duration = Duration::from_secs(10 * 60);

/// How far ahead of this clock another node's may be by which it was shown: twice what a node may differ from the
/// database (`docs/deploy.md`), and a little more.
pub const AHEAD: Duration = Duration::from_secs(5);

/// What a session has shown, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// When a code of the second factor was taken last.
    pub code_at: Option<Timestamp>,
    /// When the password was taken last.
    pub password_at: Option<Timestamp>,
    /// Whether the user has a second factor.
    pub has_second_factor: bool,
}

/// What is still missing before something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A code of the second factor.
    Code,
    /// The password.
    Password,
    /// A second factor: the user has none yet and must set one up.
    SecondFactor,
}

impl StepUp {
    /// What is missing now; `None` where it may be done.
    ///
    /// ```
    /// use sendpromptly_core::access::{Missing, Shown, StepUp};
    /// use sendpromptly_core::time::Timestamp;
    ///
    /// let shown = Shown { has_second_factor: true, ..Shown::default() };
    /// let now = Timestamp::from_millis(1_000_000);
    /// assert_eq!(StepUp::Code.missing(&shown, now), Some(Missing::Code));
    /// ```
    #[must_use]
    pub fn missing(self, shown: &Shown, now: Timestamp) -> Option<Missing> {
        let is_recent = |at: Timestamp| now.since(at) <= LATELY && at.since(now) <= AHEAD;
        let lately = |at: Option<Timestamp>| at.is_some_and(is_recent);
        match (self, shown.has_second_factor) {
            (Self::No, _) => None,
            (Self::Code | Self::Password, true) => (!lately(shown.code_at)).then_some(Missing::Code),
            (Self::Code, false) => Some(Missing::SecondFactor),
            (Self::Password, false) => (!lately(shown.password_at)).then_some(Missing::Password),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn shown(has_second_factor: bool, code: Option<i64>, password: Option<i64>) -> Shown {
        Shown {
            code_at: code.map(|ago| NOW.plus_millis(-ago)),
            password_at: password.map(|ago| NOW.plus_millis(-ago)),
            has_second_factor,
        }
    }

    #[test]
    fn a_role_may_do_what_those_below_it_may() {
        assert!(Role::Owner > Role::Admin && Role::Admin > Role::Operator && Role::Operator > Role::Viewer);
    }

    #[test]
    fn a_code_counts_for_ten_minutes() {
        let ten = 600_000;
        for (ago, missing) in [
            (0, None),
            (ten, None),
            (ten + 1, Some(Missing::Code)),
            (-5_000, None),
            (-5_001, Some(Missing::Code)),
        ] {
            assert_eq!(
                StepUp::Code.missing(&shown(true, Some(ago), None), NOW),
                missing,
                "{ago}"
            );
        }
        assert_eq!(
            StepUp::Code.missing(&shown(true, None, Some(0)), NOW),
            Some(Missing::Code)
        );
    }

    #[test]
    fn whoever_has_no_second_factor_is_led_to_set_it_up_with_the_password() {
        let without = shown(false, Some(0), Some(0));
        assert_eq!(StepUp::Code.missing(&without, NOW), Some(Missing::SecondFactor));
        assert_eq!(StepUp::Password.missing(&without, NOW), None);
        assert_eq!(
            StepUp::Password.missing(&shown(false, None, None), NOW),
            Some(Missing::Password)
        );
        assert_eq!(
            StepUp::Password.missing(&shown(true, None, Some(0)), NOW),
            Some(Missing::Code)
        );
    }
}
