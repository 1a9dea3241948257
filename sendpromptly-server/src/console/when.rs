//! Times as people read them. All are in UTC and say so.

use std::time::Duration;

use sendpromptly_core::time::Timestamp;

/// A time, for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// For machines: RFC 3339.
    pub datetime: String,
    /// For people.
    pub text: String,
}

impl When {
    /// Day, month, year and time of day.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let datetime = at.to_string();
        let text = match (datetime.get(..4), datetime.get(11..16)) {
            (Some(year), Some(clock)) => format!("{} {year}, {clock} UTC", day(at)),
            _ => datetime.clone(),
        };
        Self { datetime, text }
    }
}

/// The day in a few characters: `25 Nov`.
#[must_use]
pub fn day(at: Timestamp) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = at.to_string();
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<usize>().ok());
    let month = number(text.get(5..7)).and_then(|month| MONTHS.get(month.checked_sub(1)?));
    match (number(text.get(8..10)), month) {
        (Some(day), Some(month)) => format!("{day} {month}"),
        _ => text,
    }
}

/// The time of day: `13:05`.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..16).map_or_else(|| text.clone(), str::to_owned)
}

/// A duration in words, as a person would say it.
#[must_use]
pub fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 if duration.is_zero() => "0 s".to_owned(),
        0 => "under 1 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..86_400 if minutes % 60 == 0 => format!("{hours} h"),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ if hours % 24 == 0 => format!("{days} d"),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_with_its_day_and_in_utc() {
        let at = Timestamp::parse("2026-11-05T09:03:59.999Z").unwrap();
        assert_eq!(When::of(at).text, "5 Nov 2026, 09:03 UTC");
        assert_eq!(When::of(at).datetime, "2026-11-05T09:03:59.999Z");
        assert_eq!((day(at), clock(at)), ("5 Nov".to_owned(), "09:03".to_owned()));
    }

    #[test]
    fn a_time_beyond_the_calendar_is_told_all_the_same() {
        assert!(!When::of(Timestamp::from_millis(i64::MAX)).text.is_empty());
        assert!(!day(Timestamp::from_millis(i64::MIN)).is_empty());
    }

    #[test]
    fn durations_are_told_as_people_say_them() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (5_400, "1 h 30 min"),
            (86_400, "1 d"),
            (100_000, "1 d 3 h"),
        ] {
            assert_eq!(words(Duration::from_secs(seconds)), said);
        }
        assert_eq!(words(Duration::from_millis(3)), "under 1 s");
    }
}
