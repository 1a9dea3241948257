//! Forms of the signed headers, beyond those of the vectors.

use sendpromptly_verify::{CallbackHeader, MAX_CANDIDATES, MAX_SECRETS, Verifier, VerifyError, WINDOW};

use crate::callback::{BODY, NONCE, NOW, SECRET, headers, verifier, verify_signature};

const MALFORMED: Option<VerifyError> = Some(VerifyError::MalformedHeader(CallbackHeader::Signature));

#[test]
fn a_verified_callback_tells_what_it_bears() {
    let headers = headers(NOW, NONCE, BODY);
    let verified = verifier().verify(&headers, BODY, NOW + 5).unwrap();
    assert_eq!(verified.timestamp(), NOW);
    assert_eq!(verified.nonce().to_string(), NONCE);
    assert_eq!(verified.attempt(), Some(2));
    assert_eq!(verified.body(), BODY);
    assert!(
        !format!("{verified:?}").contains("123, 34"),
        "a body is not printed"
    );
}

#[test]
fn an_attempt_that_can_not_be_read_is_none() {
    for attempt in ["", "0", "-1", "two", "99999999999"] {
        let mut headers = headers(NOW, NONCE, BODY);
        headers[3].1 = attempt.to_owned();
        let verified = verifier().verify(&headers, BODY, NOW).unwrap();
        assert_eq!(verified.attempt(), None, "{attempt}");
    }
}

#[test]
fn the_error_names_the_header() {
    let named = [
        CallbackHeader::Timestamp,
        CallbackHeader::Nonce,
        CallbackHeader::Signature,
    ];
    for (index, header) in named.into_iter().enumerate() {
        let mut missing = headers(NOW, NONCE, BODY);
        missing.remove(index);
        let refused = verifier().verify(&missing, BODY, NOW).unwrap_err();
        assert_eq!(refused, VerifyError::MissingHeader(header));
        assert!(refused.to_string().contains(header.name()));

        let mut twice = headers(NOW, NONCE, BODY);
        twice.push(twice[index].clone());
        let refused = verifier().verify(&twice, BODY, NOW).unwrap_err();
        assert_eq!(refused, VerifyError::MalformedHeader(header));
        assert_eq!(refused.status(), 401);
    }
}

#[test]
fn ten_thousand_candidates_are_too_many() {
    let many = |count: usize| verify_signature(|digits| vec![format!("v1={digits}"); count].join(","));
    assert!(many(MAX_CANDIDATES).is_ok());
    assert_eq!(many(MAX_CANDIDATES + 1).err(), MALFORMED);
    assert_eq!(many(10_000).err(), MALFORMED);
}

#[test]
fn a_signature_that_is_no_text_is_malformed() {
    let headers: [(&str, &[u8]); 3] = [
        ("x-sendpromptly-timestamp", b"1769851800"),
        ("x-sendpromptly-nonce", NONCE.as_bytes()),
        ("x-sendpromptly-signature", b"v1=\xff\xfe"),
    ];
    assert_eq!(verifier().verify(&headers, BODY, NOW).err(), MALFORMED);
}

#[test]
fn clocks_at_their_ends_do_not_overflow() {
    for timestamp in [0, NOW, i64::MAX] {
        let headers = headers(timestamp, NONCE, BODY);
        for now in [i64::MIN, i64::MIN + 1, -1, 0, NOW, i64::MAX - 1, i64::MAX] {
            let expected = match i128::from(now) - i128::from(timestamp) {
                age if age > i128::from(WINDOW) => Some(VerifyError::Stale),
                age if age < -i128::from(WINDOW) => Some(VerifyError::FromFuture),
                _ => None,
            };
            let verified = verifier().verify(&headers, BODY, now);
            assert_eq!(verified.err(), expected, "{timestamp} at {now}");
        }
    }
}

#[test]
fn another_window_may_be_chosen() {
    let headers = headers(NOW, NONCE, BODY);
    for (window, age, refused) in [
        (0, 0, None),
        (0, 1, Some(VerifyError::Stale)),
        (60, 60, None),
        (60, 61, Some(VerifyError::Stale)),
        (60, -61, Some(VerifyError::FromFuture)),
        (u32::MAX, 86_400, None),
    ] {
        let verifier = verifier().with_window(window);
        assert_eq!(verifier.verify(&headers, BODY, NOW + age).err(), refused);
    }
}

#[test]
fn every_secret_is_tried() {
    let others = (1..MAX_SECRETS).map(|number| format!("spsec_{number:043}"));
    let verifier = Verifier::new(others.chain([SECRET.to_owned()])).unwrap();
    assert!(verifier.verify(&headers(NOW, NONCE, BODY), BODY, NOW).is_ok());
}

#[test]
fn the_systems_clock_serves_as_well() {
    let now = sendpromptly_verify::unix_now();
    assert!(verifier().verify_now(&headers(now, NONCE, BODY), BODY).is_ok());
    let stale = verifier().verify_now(&headers(NOW, NONCE, BODY), BODY);
    assert_eq!(stale.err(), Some(VerifyError::Stale));
}
