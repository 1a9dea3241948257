//! What makes two requests the same, and two receipts one event.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::event::EffectType;
use crate::time::Timestamp;

/// How long the answer under an Idempotency-Key is remembered.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Which endpoint a request was sent to: a receipt and a result are never the same request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /api/v1/receipt`
    Receipt,
    /// `POST /api/v1/result`
    Result,
}

/// What tells a request from another one under the same Idempotency-Key: SHA-256 over the endpoint's name, a
/// NUL, and the bytes of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a request.
    #[must_use]
    pub fn of(endpoint: Endpoint, body: &[u8]) -> Self {
        let name: &[u8] = match endpoint {
            Endpoint::Receipt => b"receipt\0",
            Endpoint::Result => b"result\0",
        };
        Self(
            Sha256::new()
                .chain_update(name)
                .chain_update(body)
                .finalize()
                .into(),
        )
    }

    /// The fingerprint that a store holds as these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes that a store holds.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What a request's Idempotency-Key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The key is free: the request runs.
    Fresh,
    /// The same request was accepted: its answer is given again.
    Repeat,
    /// Another request was accepted under the key.
    Conflict,
}

/// Judges a request by what is remembered under its key: the fingerprint, and when it was accepted.
#[must_use]
pub fn key_verdict(
    remembered: Option<(&Fingerprint, Timestamp)>,
    asked: &Fingerprint,
    now: Timestamp,
) -> KeyVerdict {
    match remembered {
        Some((_, at)) if now.since(at) >= IDEMPOTENCY_KEPT => KeyVerdict::Fresh,
        Some((first, _)) if first == asked => KeyVerdict::Repeat,
        Some(_) => KeyVerdict::Conflict,
        None => KeyVerdict::Fresh,
    }
}

/// The longest key that a sender may give, in characters.
pub(crate) const MAX_KEY: usize = 255;

/// Whether these bytes may name a request or an order: 1 to 255 visible ASCII characters.
pub(crate) fn is_key(bytes: &[u8]) -> bool {
    (1..=MAX_KEY).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// The first 16 bytes of the SHA-256 of this text: what the unique keys of a store hold in its place, for
/// long random keys make wide indexes.
#[must_use]
pub fn digest(text: &str) -> [u8; 16] {
    let whole: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    std::array::from_fn(|index| whole[index])
}

/// What an event's receipts should agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptFacts<'a> {
    /// The provider's type of the event.
    pub event_type: &'a str,
    /// The business effect.
    pub effect_type: EffectType,
    /// The app's own reference.
    pub internal_reference: &'a str,
}

/// In which fields a later receipt differs from the event's first one.
#[must_use]
pub fn differs(first: &ReceiptFacts<'_>, again: &ReceiptFacts<'_>) -> Vec<&'static str> {
    let fields = [
        ("event_type", first.event_type != again.event_type),
        ("effect_type", first.effect_type != again.effect_type),
        (
            "internal_reference",
            first.internal_reference != again.internal_reference,
        ),
    ];
    fields
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Timestamp = Timestamp::from_millis(1_000);

    #[test]
    fn a_key_repeats_conflicts_or_is_free_after_24_hours() {
        let (one, other) = (
            Fingerprint::of(Endpoint::Receipt, b"a"),
            Fingerprint::of(Endpoint::Receipt, b"b"),
        );
        let verdict = |now| key_verdict(Some((&one, AT)), &other, now);
        assert_eq!(key_verdict(None, &one, AT), KeyVerdict::Fresh);
        assert_eq!(key_verdict(Some((&one, AT)), &one, AT), KeyVerdict::Repeat);
        assert_eq!(verdict(AT), KeyVerdict::Conflict);
        assert_eq!(
            verdict(AT.plus(IDEMPOTENCY_KEPT).plus_millis(-1)),
            KeyVerdict::Conflict
        );
        assert_eq!(verdict(AT.plus(IDEMPOTENCY_KEPT)), KeyVerdict::Fresh);
    }

    #[test]
    fn a_receipt_and_a_result_with_one_body_are_two_requests() {
        assert_ne!(
            Fingerprint::of(Endpoint::Receipt, b"{}"),
            Fingerprint::of(Endpoint::Result, b"{}")
        );
    }

    #[test]
    fn every_difference_is_named_in_order() {
        let first = ReceiptFacts {
            event_type: "invoice.paid",
            effect_type: EffectType::AccessUnlock,
            internal_reference: "a",
        };
        let again = ReceiptFacts {
            effect_type: EffectType::CreditGrant,
            internal_reference: "b",
            ..first
        };
        assert_eq!(differs(&first, &first), Vec::<&str>::new());
        assert_eq!(differs(&first, &again), ["effect_type", "internal_reference"]);
    }

    proptest! {
        /// Against a memory that forgets nothing: of what was accepted under a key in the last 24 hours, there
        /// is one request, and it alone is repeated.
        #[test]
        fn a_key_stands_for_one_request_for_24_hours(
            asked in proptest::collection::vec((0..2_usize, 0..3_u8, 0..30_u32, any::<bool>()), 0..60),
        ) {
            let mut now = AT;
            let mut accepted: Vec<(usize, Fingerprint, Timestamp)> = Vec::new();
            let mut stored = [None; 2];
            for (key, body, hours, is_refused) in asked {
                now = now.plus_minutes(hours * 60);
                let print = Fingerprint::of(Endpoint::Receipt, &[body]);
                let mut recent = accepted
                    .iter()
                    .filter(|(name, _, at)| *name == key && now < at.plus_minutes(24 * 60));
                let expected = match recent.next() {
                    None => KeyVerdict::Fresh,
                    Some((_, first, _)) if *first == print => KeyVerdict::Repeat,
                    Some(_) => KeyVerdict::Conflict,
                };
                prop_assert!(recent.next().is_none());
                let remembered = stored[key].as_ref().map(|(first, at)| (first, *at));
                prop_assert_eq!(key_verdict(remembered, &print, now), expected);
                // What is refused leaves the key free.
                if expected == KeyVerdict::Fresh && !is_refused {
                    accepted.push((key, print, now));
                    stored[key] = Some((print, now));
                }
            }
        }

        #[test]
        fn only_the_same_endpoint_and_bytes_are_one_request(one: Vec<u8>, other: Vec<u8>) {
            let receipt = Fingerprint::of(Endpoint::Receipt, &one);
            prop_assert_eq!(receipt == Fingerprint::of(Endpoint::Receipt, &other), one == other);
            prop_assert_ne!(receipt, Fingerprint::of(Endpoint::Result, &other));
        }
    }
}
