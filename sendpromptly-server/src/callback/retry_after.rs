//! The `Retry-After` header as data (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

/// When an endpoint asks to be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Seconds from the answer on. More than fit are the greatest number that does.
    Seconds(u64),
    /// A point in time.
    At(SystemTime),
}

impl RetryAfter {
    /// Reads a header's value: a number of seconds or an HTTP date in any of its three forms. `None` for all else.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim_matches([' ', '\t']);
        if value.is_empty() {
            return None;
        }
        if value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Seconds(value.parse().unwrap_or(u64::MAX)));
        }
        httpdate::parse_http_date(value).ok().map(Self::At)
    }

    /// How long to wait, seen from `now`, when the answer came. Zero for a point in the past. Not capped: that is the
    /// retry policy's part.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use sendpromptly_server::callback::RetryAfter;
    ///
    /// let wait = RetryAfter::parse("120").map(|asked| asked.delay(SystemTime::UNIX_EPOCH));
    /// assert_eq!(wait, Some(Duration::from_secs(120)));
    /// ```
    #[must_use]
    pub fn delay(self, now: SystemTime) -> Duration {
        match self {
            Self::Seconds(seconds) => Duration::from_secs(seconds),
            Self::At(time) => time.duration_since(now).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOV_1994: u64 = 784_111_777; // Sun, 06 Nov 1994 08:49:37 GMT

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn reads_seconds() {
        assert_eq!(RetryAfter::parse("0"), Some(RetryAfter::Seconds(0)));
        assert_eq!(RetryAfter::parse(" 120\t"), Some(RetryAfter::Seconds(120)));
    }

    #[test]
    fn reads_every_form_of_an_http_date() {
        let forms = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ];
        for form in forms {
            assert_eq!(
                RetryAfter::parse(form),
                Some(RetryAfter::At(at(NOV_1994))),
                "{form}"
            );
        }
    }

    #[test]
    fn takes_a_number_too_great_as_the_greatest() {
        assert_eq!(
            RetryAfter::parse(&"9".repeat(30)),
            Some(RetryAfter::Seconds(u64::MAX))
        );
    }

    #[test]
    fn ignores_what_is_neither() {
        for text in [
            "",
            " ",
            "-1",
            "+1",
            "1.5",
            "soon",
            "1e3",
            "0x10",
            "١٢",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(RetryAfter::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_date_counts_from_now_and_a_past_one_is_no_wait() {
        let asked = RetryAfter::At(at(NOV_1994));
        assert_eq!(asked.delay(at(NOV_1994 - 90)), Duration::from_secs(90));
        assert_eq!(asked.delay(at(NOV_1994 + 90)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn never_panics(value in "\\PC*", now in 0..u64::from(u32::MAX)) {
            let _ = RetryAfter::parse(&value).map(|asked| asked.delay(at(now)));
        }
    }
}
