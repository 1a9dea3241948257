//! What a project's settings may be, and when its signing secret may be rotated.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::request::MAX_TIMEOUT_MINUTES;

/// The most characters of a name.
pub const MAX_NAME: usize = 128;

/// A text that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_NAME} characters, none of them a control character")]
pub struct NameError;

/// What a project or an organization is called: 1 to [`MAX_NAME`] characters without white space around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, to keep.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = text.trim();
        let fits = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if fits {
            Ok(Self(name.to_owned()))
        } else {
            Err(NameError)
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of minutes from 1 to {MAX_TIMEOUT_MINUTES}")]
pub struct TimeoutError;

/// How long an event waits for its result: 1 to [`MAX_TIMEOUT_MINUTES`] minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timeout(u32);

impl Timeout {
    /// The minutes.
    #[must_use]
    pub const fn minutes(self) -> u32 {
        self.0
    }
}

impl Default for Timeout {
    /// 30 minutes.
    fn default() -> Self {
        Self(30)
    }
}

impl FromStr for Timeout {
    type Err = TimeoutError;

    fn from_str(text: &str) -> Result<Self, TimeoutError> {
        let minutes = text.trim().parse().ok();
        let minutes = minutes.filter(|minutes| (1..=MAX_TIMEOUT_MINUTES).contains(minutes));
        minutes.map(Self).ok_or(TimeoutError)
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no number of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a whole number of days from {} to {}",
    EventsKept::MIN,
    EventsKept::MAX
)]
pub struct EventsKeptError;

/// For how many days a project keeps its events, with their results and incidents: 30 to 3,660.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventsKept(u32);

impl EventsKept {
    /// The fewest days: the longest timeout, so that every time-out is found.
    pub const MIN: u32 = 30;
    /// The most days, ten years.
    pub const MAX: u32 = 3_660;

    /// The days.
    #[must_use]
    pub const fn days(self) -> u32 {
        self.0
    }
}

impl Default for EventsKept {
    /// 13 months.
    fn default() -> Self {
        Self(396)
    }
}

impl FromStr for EventsKept {
    type Err = EventsKeptError;

    fn from_str(text: &str) -> Result<Self, EventsKeptError> {
        let days = text.trim().parse().ok();
        let days = days.filter(|days| (Self::MIN..=Self::MAX).contains(days));
        days.map(Self).ok_or(EventsKeptError)
    }
}

impl fmt::Display for EventsKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is no number of orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 0 to {}", UnaskedOrders::MAX)]
pub struct UnaskedOrdersError;

/// How often at most the server has an incident reprocessed after a time-out without being asked: 0 to 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnaskedOrders(u32);

impl UnaskedOrders {
    /// The most.
    pub const MAX: u32 = 3;

    /// So many.
    ///
    /// # Errors
    /// [`UnaskedOrdersError`] where they are more than [`MAX`](Self::MAX).
    pub const fn new(number: u32) -> Result<Self, UnaskedOrdersError> {
        if number <= Self::MAX {
            Ok(Self(number))
        } else {
            Err(UnaskedOrdersError)
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl FromStr for UnaskedOrders {
    type Err = UnaskedOrdersError;

    fn from_str(text: &str) -> Result<Self, UnaskedOrdersError> {
        let number = text.trim().parse().map_err(|_| UnaskedOrdersError)?;
        Self::new(number)
    }
}

impl fmt::Display for UnaskedOrders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A longer overlap than any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a duration from 0s to 30d, such as 24h")]
pub struct OverlapError;

/// How long the signing secret before a new one still signs. None at all ends every other one at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap(Duration);

impl Overlap {
    /// The longest: what rotates for longer does not rotate.
    pub const MAX: Self = Self(Duration::from_secs(30 * 24 * 3_600));
    /// None: the others end at once.
    pub const NONE: Self = Self(Duration::ZERO);

    /// An overlap of this length.
    ///
    /// # Errors
    /// [`OverlapError`] where it is longer than [`MAX`](Self::MAX).
    pub fn new(length: Duration) -> Result<Self, OverlapError> {
        if length <= Self::MAX.0 {
            Ok(Self(length))
        } else {
            Err(OverlapError)
        }
    }

    /// Its length.
    #[must_use]
    pub const fn length(self) -> Duration {
        self.0
    }

    /// Whether a project with this many live secrets may rotate: verifiers have to take two at once, not three.
    #[must_use]
    pub const fn allows(self, live: usize) -> bool {
        self.0.is_zero() || live < 2
    }
}

impl Default for Overlap {
    /// 24 hours.
    fn default() -> Self {
        Self(Duration::from_secs(24 * 3_600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_128_characters_and_no_white_space_around_it() {
        for (text, name) in [(" the shop\n", "the shop"), ("ü", "ü")] {
            assert_eq!(text.parse::<Name>().map(Name::into_string), Ok(name.to_owned()));
        }
        assert!("ü".repeat(MAX_NAME).parse::<Name>().is_ok());
        for wrong in ["", " \t", "a\u{7}b", "a\nb", &"ü".repeat(MAX_NAME + 1)] {
            assert_eq!(wrong.parse::<Name>(), Err(NameError), "{wrong:?}");
        }
    }

    #[test]
    fn a_timeout_has_1_to_43200_minutes() {
        for (text, minutes) in [("1", 1), (" 30 ", 30), ("43200", 43_200)] {
            assert_eq!(text.parse::<Timeout>().map(Timeout::minutes), Ok(minutes));
        }
        for wrong in ["", "0", "-1", "43201", "1.5", "1e3", "soon", "99999999999"] {
            assert_eq!(wrong.parse::<Timeout>(), Err(TimeoutError), "{wrong:?}");
        }
    }

    #[test]
    fn events_are_kept_for_30_to_3660_days() {
        for (text, days) in [("30", 30), (" 396 ", 396), ("3660", 3_660)] {
            assert_eq!(text.parse::<EventsKept>().map(EventsKept::days), Ok(days));
        }
        for wrong in ["", "29", "-30", "3661", "30.5", "for ever"] {
            assert_eq!(wrong.parse::<EventsKept>(), Err(EventsKeptError), "{wrong:?}");
        }
        let longest_timeout = MAX_TIMEOUT_MINUTES / (24 * 60);
        assert!(EventsKept::MIN >= longest_timeout);
    }

    #[test]
    fn time_outs_are_reprocessed_unasked_0_to_3_times() {
        for (text, number) in [("0", 0), (" 1 ", 1), ("3", 3)] {
            assert_eq!(
                text.parse::<UnaskedOrders>().map(UnaskedOrders::number),
                Ok(number)
            );
        }
        for wrong in ["", "4", "-1", "1.5", "true"] {
            assert_eq!(
                wrong.parse::<UnaskedOrders>(),
                Err(UnaskedOrdersError),
                "{wrong:?}"
            );
        }
        assert_eq!(UnaskedOrders::default().number(), 0, "nothing happens unasked");
    }

    #[test]
    fn a_third_live_secret_is_refused_unless_the_others_end_at_once() {
        for (overlap, live, allowed) in [
            (Overlap::default(), 0, true),
            (Overlap::default(), 1, true),
            (Overlap::default(), 2, false),
            (Overlap::NONE, 2, true),
            (Overlap::MAX, 1, true),
        ] {
            assert_eq!(overlap.allows(live), allowed, "{overlap:?}, {live} live");
        }
        let longest = Overlap::MAX.length();
        assert_eq!(Overlap::new(longest), Ok(Overlap::MAX));
        assert_eq!(
            Overlap::new(longest + Duration::from_millis(1)),
            Err(OverlapError)
        );
    }
}
