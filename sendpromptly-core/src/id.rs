//! Typed ids: a short prefix and a UUIDv7 in 32 lower-case hex digits, as in `evt_0190…`.
//!
//! The prefix lives on the wire only; stores keep the 16 bytes. Ids made in one millisecond differ by the
//! caller's entropy, and ids made later sort after earlier ones (RFC 9562, section 5.7).

use std::fmt;
use std::str::FromStr;

use crate::hex;
use crate::time::Timestamp;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `{prefix}_` and 32 lower-case hex digits")]
pub struct IdError {
    /// The prefix that this kind of id bears.
    pub prefix: &'static str,
}

fn parse(prefix: &'static str, text: &str) -> Result<[u8; 16], IdError> {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
    digits.and_then(hex::decode).ok_or(IdError { prefix })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The prefix on the wire, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id: UUIDv7 of this time, unique by ten random bytes.
            #[must_use]
            pub fn new(now: Timestamp, entropy: [u8; 10]) -> Self {
                let millis = u64::try_from(now.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &entropy).into_uuid().into_bytes())
            }

            /// When it was made, to the millisecond.
            #[must_use]
            pub fn made_at(&self) -> Timestamp {
                let [a, b, c, d, e, f, ..] = self.0;
                Timestamp::from_millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
            }

            /// The id that a store holds as these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes that a store holds.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{:032x}"), u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(Self::PREFIX, text).map(Self)
            }
        }
    )*};
}

ids! {
    /// A destination of alerts.
    AlertId = "alr";
    /// A message of alerts, the same over all its tries.
    MessageId = "msg";
    /// An API key's id (not the key itself).
    KeyId = "key";
    /// An audit entry.
    AuditId = "aud";
    /// The stored record of a receipt.
    EventId = "evt";
    /// An incident.
    IncidentId = "inc";
    /// An organization.
    OrganizationId = "org";
    /// A project: one monitored payment flow.
    ProjectId = "prj";
    /// A replay: one order to reprocess.
    ReplayId = "rpl";
    /// One HTTP request, as in `X-Request-Id`.
    RequestId = "req";
    /// A user.
    UserId = "usr";
}

impl ReplayId {
    /// A new id that sorts after this one, also where the clock that gives `now` is behind the one that this
    /// was made by: replays of an incident are told in the order of their ids.
    #[must_use]
    pub fn next(self, now: Timestamp, entropy: [u8; 10]) -> Self {
        Self::new(now.max(self.made_at().plus_millis(1)), entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_of_a_later_time_sort_after_earlier_ones() {
        let earlier = EventId::new(Timestamp::from_millis(1_000), [0xff; 10]);
        let later = EventId::new(Timestamp::from_millis(1_001), [0; 10]);
        assert!(earlier < later);
        assert!(earlier.to_string() < later.to_string());
    }

    #[test]
    fn an_id_tells_when_it_was_made() {
        let at = Timestamp::from_millis(1_769_851_800_999);
        assert_eq!(EventId::new(at, [0xff; 10]).made_at(), at);
    }

    #[test]
    fn the_next_replay_sorts_after_the_last_also_by_a_clock_that_is_behind() {
        let at = Timestamp::from_millis;
        let last = ReplayId::new(at(5_000), [0xff; 10]);
        for (now, time) in [(1_000, 5_001), (5_000, 5_001), (9_000, 9_000)] {
            assert_eq!(last.next(at(now), [0; 10]), ReplayId::new(at(time), [0; 10]));
        }
        assert!(last < last.next(at(1_000), [0; 10]));
    }

    #[test]
    fn another_prefix_upper_case_and_wrong_lengths_are_refused() {
        let id = EventId::new(Timestamp::from_millis(1_000), [7; 10]).to_string();
        for wrong in [
            id.replace("evt", "inc"),
            id.replace("evt_", "evt"),
            id.to_uppercase(),
            format!("{id}0"),
            id[..id.len() - 1].to_owned(),
            "evt_00000000-0000-7000-8000-000000000000".to_owned(),
            "evt_+0000000000000000000000000000000".to_owned(),
            String::new(),
        ] {
            assert_eq!(
                wrong.parse::<EventId>(),
                Err(IdError { prefix: "evt" }),
                "{wrong}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes: [u8; 16]) {
            let id = ReplayId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }
}
