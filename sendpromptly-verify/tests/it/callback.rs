//! A callback in the making, for the tests.

use sendpromptly_verify::signature::SigningKey;
use sendpromptly_verify::{Verified, Verifier, VerifyError};

pub(crate) const SECRET: &str = "spsec_3vKq8ZtLw0Xn5RbYc7HdMj2PfUa9GsEe4TiNo6VkBx";
pub(crate) const NOW: i64 = 1_769_851_800;
pub(crate) const NONCE: &str = "00112233445566778899aabbccddeeff";
pub(crate) const BODY: &[u8] = br#"{"replay_id":"rpl_019c133d2fc07a0b8f6e5d4c3b2a1908","incident_id":"inc_1","event_id":"evt_1","project_id":"prj_1","mode":"live","provider":"stripe","provider_event_id":"evt_1","event_type":"invoice.paid","effect_type":"credit_grant","internal_reference":"user 7","occurred_at":"2026-01-31T09:00:00.000Z"}"#;

pub(crate) type Headers = Vec<(&'static str, String)>;

pub(crate) fn headers(timestamp: i64, nonce: &str, body: &[u8]) -> Headers {
    let signature = SigningKey::new(SECRET.as_bytes()).sign(timestamp, nonce, body);
    vec![
        ("X-SendPromptly-Timestamp", timestamp.to_string()),
        ("X-SendPromptly-Nonce", nonce.to_owned()),
        ("X-SendPromptly-Signature", format!("v1={signature}")),
        ("X-SendPromptly-Attempt", "2".to_owned()),
    ]
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new([SECRET]).unwrap()
}

/// Verifies with the signature header made of the right digits.
pub(crate) fn verify_signature(header: impl Fn(&str) -> String) -> Result<Verified<'static>, VerifyError> {
    let mut headers = headers(NOW, NONCE, BODY);
    headers[2].1 = header(&headers[2].1["v1=".len()..]);
    verifier().verify(&headers, BODY, NOW)
}
