//! Where a moment lies in a time line: when it was, and its key among those of the same millisecond.

use std::fmt;
use std::str::FromStr;

use sendpromptly_core::time::Timestamp;

/// The place of a moment. Places are in the order of the moments; in an address it is `MILLISECONDS-KEY`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// When it was.
    pub(super) at: Timestamp,
    key: String,
}

/// A text is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoPlace;

impl Place {
    /// The longest key, in bytes.
    const MAX_KEY: usize = 64;

    /// The place of a moment. The key is of ASCII letters, digits, `_` and `-`.
    pub(super) fn new(at: Timestamp, key: impl Into<String>) -> Self {
        Self { at, key: key.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at.as_millis(), self.key)
    }
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (millis, key) = text.split_once('-').ok_or(NoPlace)?;
        let digits = (1..=15).contains(&millis.len()) && millis.bytes().all(|byte| byte.is_ascii_digit());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !digits || key.is_empty() || key.len() > Self::MAX_KEY || !key.bytes().all(plain) {
            return Err(NoPlace);
        }
        let millis = millis.parse().map_err(|_| NoPlace)?;
        Ok(Self::new(Timestamp::from_millis(millis), key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_from_its_address() {
        let place = Place::new(Timestamp::from_millis(1_800_000_000_000), "drep_0aZ-00001");
        assert_eq!(place.to_string().parse(), Ok(place));
        for other in [
            "",
            "5",
            "-f",
            "5-",
            "5-a/b",
            "5-a\"b",
            "x-f",
            "-5-f",
            "9999999999999999-f",
        ] {
            assert_eq!(other.parse::<Place>(), Err(NoPlace), "{other}");
        }
    }

    #[test]
    fn places_are_ordered_by_time_and_then_by_key() {
        let at = |millis, key| Place::new(Timestamp::from_millis(millis), key);
        assert!(at(9, "z") < at(10, "a") && at(10, "a") < at(10, "b"));
    }
}
