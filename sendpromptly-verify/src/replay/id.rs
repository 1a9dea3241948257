//! The id of a replay.

use core::fmt;
use core::str::FromStr;

use crate::signature::bytes_from_hex;

const PREFIX: &str = "rpl_";

/// The id of a replay, one order to repair: `rpl_` and 32 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplayId([u8; 16]);

impl ReplayId {
    /// The id of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes: half as long as its text, for a column or a key.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// A text is not the id of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a replay_id is `rpl_` and 32 lower-case hex digits")]
pub struct InvalidReplayId;

impl FromStr for ReplayId {
    type Err = InvalidReplayId;

    fn from_str(text: &str) -> Result<Self, InvalidReplayId> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidReplayId)?;
        bytes_from_hex(digits.as_bytes()).map(Self).ok_or(InvalidReplayId)
    }
}

impl fmt::Display for ReplayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ReplayId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ReplayId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_is_one() {
        let text = "rpl_00112233445566778899aabbccddeeff";
        assert_eq!(text.parse::<ReplayId>().unwrap().to_string(), text);
        for wrong in [
            "",
            "rpl_",
            &text[4..],
            &text[..35],
            "rpl_00112233445566778899aabbccddeeff0",
            "rpl_00112233445566778899AABBCCDDEEFF",
            "evt_00112233445566778899aabbccddeeff",
        ] {
            assert_eq!(wrong.parse::<ReplayId>(), Err(InvalidReplayId), "{wrong}");
        }
    }
}
