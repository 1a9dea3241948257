//! What holds for every input.

use proptest::prelude::*;

use crate::callback::{headers, verifier};

fn nonce() -> impl Strategy<Value = String> {
    any::<u128>().prop_map(|bits| format!("{bits:032x}"))
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..600)
}

proptest! {
    #[test]
    fn what_was_signed_in_the_window_verifies(
        timestamp in 0_i64..4_000_000_000, age in -300_i64..=300, nonce in nonce(), body in body(),
    ) {
        let verified = verifier().verify(&headers(timestamp, &nonce, &body), &body, timestamp + age).unwrap();
        prop_assert_eq!(verified.timestamp(), timestamp);
        prop_assert_eq!(verified.nonce().to_string(), nonce);
    }

    #[test]
    fn nothing_outside_the_window_verifies(
        timestamp in 0_i64..4_000_000_000, age in 301_i64.., body in body(), sign in prop_oneof![Just(1), Just(-1)],
    ) {
        let now = timestamp.saturating_add(age.saturating_mul(sign));
        prop_assert!(verifier().verify(&headers(timestamp, &"0".repeat(32), &body), &body, now).is_err());
    }

    #[test]
    fn no_single_changed_byte_verifies(
        nonce in nonce(), body in body(), part in 0_usize..4, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let timestamp = 1_769_851_800;
        let mut body = body;
        let signed = headers(timestamp, &nonce, &body);
        let mut parts: Vec<(&str, Vec<u8>)> =
            signed.iter().map(|(name, value)| (*name, value.clone().into_bytes())).collect();
        let changed = if part == 3 { &mut body } else { &mut parts[part].1 };
        prop_assume!(!changed.is_empty());
        let at = at.index(changed.len());
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        prop_assert!(verifier().verify(&parts, &body, timestamp).is_err());
    }

    #[test]
    fn no_signature_of_another_length_verifies(length in 0_usize..200) {
        prop_assume!(length != 64);
        let mut headers = headers(1_769_851_800, &"0".repeat(32), b"");
        let digits = headers[2].1[3..].repeat(4);
        headers[2].1 = format!("v1={}", &digits[..length]);
        prop_assert!(verifier().verify(&headers, b"", 1_769_851_800).is_err());
    }

    #[test]
    fn no_input_panics(
        headers in proptest::collection::vec((header_name(), proptest::collection::vec(any::<u8>(), 0..80)), 0..8),
        body in body(), now in any::<i64>(),
    ) {
        prop_assert!(verifier().verify(&headers, &body, now).is_err());
    }

    #[test]
    fn no_signature_header_panics(
        signature in "(v1=|v2=|=|,| |[0-9a-f]{64}|[0-9a-f]{0,70}|é){0,40}",
    ) {
        let mut headers = headers(1_769_851_800, &"0".repeat(32), b"");
        headers[2].1 = signature;
        prop_assert!(verifier().verify(&headers, b"", 1_769_851_800).is_err());
    }
}

fn header_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("X-SendPromptly-Timestamp".to_owned()),
        Just("x-sendpromptly-nonce".to_owned()),
        Just("X-SENDPROMPTLY-SIGNATURE".to_owned()),
        any::<String>(),
    ]
}
