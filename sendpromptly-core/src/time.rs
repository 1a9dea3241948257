//! Times: whole Unix milliseconds inside, RFC 3339 in UTC with three fraction digits on the wire.
//!
//! Nothing here reads a clock: the caller passes `now`.

use std::fmt;
use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 time with an offset, such as 2026-01-31T09:30:00Z")]
pub struct TimestampError;

/// One minute in milliseconds.
pub const MINUTE_MS: i64 = 60_000;

/// One hour in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;

/// One day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

impl Timestamp {
    /// The time of so many milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Reads an RFC 3339 time that bears an offset; what is finer than a millisecond is cut.
    ///
    /// # Errors
    /// [`TimestampError`] for any other form, also for the looser ones of ISO 8601.
    ///
    /// ```
    /// use sendpromptly_core::time::Timestamp;
    /// let time = Timestamp::parse("2026-01-31T10:30:00.1239+01:00")?;
    /// assert_eq!(time.to_string(), "2026-01-31T09:30:00.123Z");
    /// # Ok::<(), sendpromptly_core::time::TimestampError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        // The standard's separator is the letter; the parser below would take any character.
        if !matches!(text.as_bytes().get(10), Some(b'T' | b't')) {
            return Err(TimestampError);
        }
        let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError)?;
        // An offset may lead beyond the years that can be written.
        let in_utc = time.checked_to_offset(UtcOffset::UTC).ok_or(TimestampError)?;
        if in_utc.year() < 0 {
            return Err(TimestampError);
        }
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis).map(Self).map_err(|_| TimestampError)
    }

    /// The time so much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        self.plus_millis(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    /// The time so much earlier.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sendpromptly_core::time::Timestamp;
    ///
    /// let now = Timestamp::from_millis(5_000);
    /// assert_eq!(now.minus(Duration::from_secs(2)), Timestamp::from_millis(3_000));
    /// ```
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        self.plus_millis(-i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    /// The time so many milliseconds later, or earlier where negative.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The time so many minutes later.
    #[must_use]
    pub const fn plus_minutes(self, minutes: u32) -> Self {
        self.plus_millis(minutes as i64 * MINUTE_MS)
    }

    /// How long it is from `earlier` to this; zero where it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000) else {
            return write!(f, "{} ms", self.0); // beyond the year 9999
        };
        let (date, clock) = (time.date(), time.time());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second(),
            clock.millisecond()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_looser_forms_are_refused() {
        for text in [
            "2026-01-31",
            "2026-01-31T09:30:00",
            "2026-01-31 09:30:00Z",
            "2026-01-31T09:30Z",
            "2026-01-31T09:30:00+0100",
            "2026-01-31T09:30:00,5Z",
            "2026-02-30T09:30:00Z",
            "2026-01-31T24:00:00Z",
            "20260131T093000Z",
            " 2026-01-31T09:30:00Z",
            "2026-01-31T09:30:00Z ",
            "1769851800",
            "",
        ] {
            assert_eq!(Timestamp::parse(text), Err(TimestampError), "{text}");
        }
    }

    #[test]
    fn a_time_that_has_no_four_digit_year_in_utc_is_refused() {
        for text in ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            assert_eq!(Timestamp::parse(text), Err(TimestampError), "{text}");
        }
        for text in ["0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_offset_is_taken_into_account_and_times_before_1970_read() {
        assert_eq!(
            Timestamp::parse("1970-01-01T01:00:00+02:00"),
            Ok(Timestamp::from_millis(-3_600_000))
        );
        assert_eq!(
            Timestamp::parse("1969-12-31T23:59:59.9999Z"),
            Ok(Timestamp::from_millis(-1))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in -60_000_000_000_000i64..253_402_300_799_999) {
            let time = Timestamp::from_millis(millis);
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Ok(time));
        }

        #[test]
        fn no_arithmetic_panics(a: i64, b: i64) {
            let time = Timestamp::from_millis(a).plus_millis(b).plus(Duration::MAX).plus_minutes(u32::MAX);
            let _ = (time.since(Timestamp::from_millis(b)), time.as_secs(), time.to_string());
        }
    }
}
