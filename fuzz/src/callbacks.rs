//! Repair callbacks, which anybody can send to a customer's endpoint.

use hmac::{Hmac, KeyInit, Mac};
use sendpromptly_verify::replay::{MemoryReplays, Outcome};
use sendpromptly_verify::signature::{NONCE_HEADER, SIGNATURE_HEADER, SigningKey, TIMESTAMP_HEADER};
use sendpromptly_verify::{Endpoint, Verifier, VerifyError, WINDOW};
use sha2::Sha256;

const SECRET: &str = "spsec_000000000000000000000000000000000000000000x";

/// 2026-01-01 in Unix seconds: the seeds were signed then.
const NOW: i64 = 1_767_225_600;

/// Headers as they come, one on each of three lines, and then the body: what is taken bears a signature that
/// another computation makes too, and lies in the window.
pub fn callback_headers(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (timestamp, nonce, signature, body) = (part(), part(), part(), part());
    let headers = [
        (TIMESTAMP_HEADER, timestamp),
        (NONCE_HEADER, nonce),
        (SIGNATURE_HEADER, signature),
    ];
    for now in [NOW, 0, i64::MIN, i64::MAX] {
        let Ok(verified) = verifier().verify(&headers, body, now) else {
            continue;
        };
        assert!(verified.timestamp().abs_diff(now) <= u64::from(WINDOW));
        assert_eq!(verified.nonce().to_string().as_bytes(), nonce);
        let expected = signature_of(timestamp, nonce, body);
        let signatures = String::from_utf8_lossy(signature);
        let mut candidates = signatures.split(',').map(str::trim);
        assert!(candidates.any(|one| one.strip_prefix("v1=").unwrap_or(one) == expected));
    }
}

/// Any body, signed: it verifies, one bit more or less does not, and its effect is applied once at most.
pub fn callback_body(data: &[u8]) {
    let first = signed("00112233445566778899aabbccddeeff", data);
    let mut changed = data.to_vec();
    match changed.first_mut() {
        Some(byte) => *byte ^= 1,
        None => changed.push(0),
    }
    let refused = verifier().verify(&first, &changed, NOW).map(|_| ());
    assert_eq!(refused, Err(VerifyError::WrongSignature));

    let endpoint = Endpoint::new(verifier());
    let replays = MemoryReplays::default();
    let mut applied = 0;
    for headers in [&first, &signed("ffeeddccbbaa99887766554433221100", data)] {
        let answer = endpoint.handle(&replays, headers, data, NOW, |_| {
            applied += 1;
            Outcome::Applied
        });
        assert!([200, 400].contains(&answer.status()), "{answer:?}");
    }
    let readable = verifier()
        .verify(&first, data, NOW)
        .is_ok_and(|verified| verified.callback().is_ok());
    assert_eq!(applied, u32::from(readable));
}

fn verifier() -> Verifier {
    Verifier::new([SECRET]).unwrap_or_else(|error| panic!("{error}"))
}

fn signed(nonce: &'static str, body: &[u8]) -> [(&'static str, String); 3] {
    let signature = SigningKey::new(SECRET.as_bytes()).sign(NOW, nonce, body);
    [
        (TIMESTAMP_HEADER, NOW.to_string()),
        (NONCE_HEADER, nonce.to_owned()),
        (SIGNATURE_HEADER, format!("v1={signature}")),
    ]
}

/// HMAC-SHA256 over `timestamp.nonce.body` in hex, straight from the documents.
fn signature_of(timestamp: &[u8], nonce: &[u8], body: &[u8]) -> String {
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) else {
        unreachable!("HMAC takes a key of any length");
    };
    let signed = [timestamp, b".", nonce, b".", body].concat();
    let bytes = mac.chain_update(signed).finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
