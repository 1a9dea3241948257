//! A repair callback's body and the headers that prove it: see `docs/callbacks.md`.

use std::fmt;

use sendpromptly_verify::signature::{
    ATTEMPT_HEADER, NONCE_HEADER, SCHEME, SIGNATURE_HEADER, TEST_EFFECT, TIMESTAMP_HEADER,
};
use serde::Serialize;

use crate::credential::SigningSecret;
use crate::event::{EffectType, Mode, Provider};
use crate::id::{EventId, IncidentId, ProjectId, ReplayId};
use crate::time::Timestamp;

/// What a callback tells the repair endpoint. Its JSON is made once for a replay, and every attempt sends the
/// same bytes.
#[derive(Debug, Clone, Copy)]
pub struct CallbackBody<'a> {
    /// The order to reprocess; what the endpoint deduplicates on.
    pub replay_id: ReplayId,
    /// The incident.
    pub incident_id: IncidentId,
    /// The event.
    pub event_id: EventId,
    /// The project.
    pub project_id: ProjectId,
    /// Whether real money is meant.
    pub mode: Mode,
    /// Whose event it is.
    pub provider: Provider,
    /// The provider's id of the event.
    pub provider_event_id: &'a str,
    /// The provider's type of the event.
    pub event_type: &'a str,
    /// The business effect to apply.
    pub effect_type: EffectType,
    /// The app's own reference.
    pub internal_reference: &'a str,
    /// When the event happened.
    pub occurred_at: Timestamp,
}

impl CallbackBody<'_> {
    /// The JSON text, its fields in the order of the documentation.
    #[must_use]
    pub fn to_json(&self) -> String {
        let wire = Wire {
            replay_id: self.replay_id.to_string(),
            incident_id: self.incident_id.to_string(),
            event_id: self.event_id.to_string(),
            project_id: self.project_id.to_string(),
            mode: self.mode.as_str(),
            provider: self.provider.as_str(),
            provider_event_id: self.provider_event_id,
            event_type: self.event_type,
            effect_type: self.effect_type.as_str(),
            internal_reference: self.internal_reference,
            occurred_at: self.occurred_at.to_string(),
        };
        wire.to_json()
    }
}

/// The body of a replay whose event's payload goes along: the same with a last field `payload`, whose value is the
/// JSON text as the receipt bore it. The same two texts always give the same bytes.
///
/// # Panics
/// Where the body does not end as the JSON text of an object: what came of it would be no JSON.
#[must_use]
pub fn body_with_payload(body: &str, payload: &str) -> String {
    let fields = body.strip_suffix('}').expect("a body ends with a brace");
    format!(r#"{fields},"payload":{payload}}}"#)
}

/// What a person sends to try a repair URL. It has the fields of a repair, so that an endpoint reads it as one,
/// and an effect type that no repair has: an endpoint that does not know of tests finds nothing to apply.
#[derive(Debug, Clone, Copy)]
pub struct TestCallback {
    /// An id that no replay has.
    pub replay_id: ReplayId,
    /// An id that no incident has.
    pub incident_id: IncidentId,
    /// An id that no event has.
    pub event_id: EventId,
    /// The project.
    pub project_id: ProjectId,
    /// The project's mode.
    pub mode: Mode,
    /// When it is sent.
    pub sent_at: Timestamp,
}

impl TestCallback {
    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        const NOBODY: &str = "sendpromptly-test";
        let wire = Wire {
            replay_id: self.replay_id.to_string(),
            incident_id: self.incident_id.to_string(),
            event_id: self.event_id.to_string(),
            project_id: self.project_id.to_string(),
            mode: self.mode.as_str(),
            provider: Provider::Stripe.as_str(),
            provider_event_id: NOBODY,
            event_type: "sendpromptly.test",
            effect_type: TEST_EFFECT,
            internal_reference: NOBODY,
            occurred_at: self.sent_at.to_string(),
        };
        wire.to_json()
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    replay_id: String,
    incident_id: String,
    event_id: String,
    project_id: String,
    mode: &'a str,
    provider: &'a str,
    provider_event_id: &'a str,
    event_type: &'a str,
    effect_type: &'a str,
    internal_reference: &'a str,
    occurred_at: String,
}

impl Wire<'_> {
    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // strings always serialize
    }
}

/// 32 lower-case hex digits, new for every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// The nonce that these random bytes make.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(entropy)))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The headers that prove a callback, by name: its timestamp, nonce, signatures and the attempt's number.
#[must_use]
pub fn callback_headers(
    secrets: &[SigningSecret],
    now: Timestamp,
    nonce: &Nonce,
    attempt: u32,
    body: &[u8],
) -> [(&'static str, String); 4] {
    let signature = signature_header(secrets, now.as_secs(), nonce, body);
    [
        (TIMESTAMP_HEADER, now.as_secs().to_string()),
        (NONCE_HEADER, nonce.to_string()),
        (SIGNATURE_HEADER, signature),
        (ATTEMPT_HEADER, attempt.to_string()),
    ]
}

/// The value of the signature header: one `v1=…` for each live secret, joined by commas.
#[must_use]
pub fn signature_header(
    secrets: &[SigningSecret],
    timestamp_secs: i64,
    nonce: &Nonce,
    body: &[u8],
) -> String {
    let signatures = secrets.iter().map(|secret| {
        format!(
            "{SCHEME}={}",
            secret.key().sign(timestamp_secs, nonce.as_str(), body)
        )
    });
    signatures.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::ENTROPY;

    #[test]
    fn a_body_has_the_documented_fields_in_order() {
        let body = CallbackBody {
            replay_id: ReplayId::from_bytes([1; 16]),
            incident_id: IncidentId::from_bytes([2; 16]),
            event_id: EventId::from_bytes([3; 16]),
            project_id: ProjectId::from_bytes([4; 16]),
            mode: Mode::Live,
            provider: Provider::Stripe,
            provider_event_id: "evt_\"1",
            event_type: "invoice.paid",
            effect_type: EffectType::CreditGrant,
            internal_reference: "ü",
            occurred_at: Timestamp::from_millis(0),
        };
        let hex = |byte: &str| byte.repeat(16);
        assert_eq!(
            body.to_json(),
            format!(
                r#"{{"replay_id":"rpl_{}","incident_id":"inc_{}","event_id":"evt_{}","project_id":"prj_{}","mode":"live","provider":"stripe","provider_event_id":"evt_\"1","event_type":"invoice.paid","effect_type":"credit_grant","internal_reference":"ü","occurred_at":"1970-01-01T00:00:00.000Z"}}"#,
                hex("01"),
                hex("02"),
                hex("03"),
                hex("04")
            )
        );
    }

    #[test]
    fn a_payload_that_goes_along_is_the_last_field_to_the_letter() {
        let payload = r#"{ "a" : "}", "n":1.0e2 }"#;
        assert_eq!(
            body_with_payload(r#"{"replay_id":"rpl_1"}"#, payload),
            r#"{"replay_id":"rpl_1","payload":{ "a" : "}", "n":1.0e2 }}"#
        );
    }

    #[test]
    fn a_test_callback_has_the_fields_of_a_repair_and_an_effect_that_no_receipt_can_name() {
        let test = TestCallback {
            replay_id: ReplayId::from_bytes([1; 16]),
            incident_id: IncidentId::from_bytes([2; 16]),
            event_id: EventId::from_bytes([3; 16]),
            project_id: ProjectId::from_bytes([4; 16]),
            mode: Mode::Live,
            sent_at: Timestamp::from_millis(0),
        };
        let hex = |byte: &str| byte.repeat(16);
        assert_eq!(
            test.to_json(),
            format!(
                r#"{{"replay_id":"rpl_{}","incident_id":"inc_{}","event_id":"evt_{}","project_id":"prj_{}","mode":"live","provider":"stripe","provider_event_id":"sendpromptly-test","event_type":"sendpromptly.test","effect_type":"test","internal_reference":"sendpromptly-test","occurred_at":"1970-01-01T00:00:00.000Z"}}"#,
                hex("01"),
                hex("02"),
                hex("03"),
                hex("04")
            )
        );
        assert!(TEST_EFFECT.parse::<EffectType>().is_err());
    }

    #[test]
    fn the_headers_are_in_seconds_and_sign_what_they_say() {
        let secrets = [SigningSecret::generate([1; ENTROPY])];
        let nonce = Nonce::from_entropy([0xab; 16]);
        let now = Timestamp::from_millis(1_769_851_800_999);
        let headers = callback_headers(&secrets, now, &nonce, 3, b"{}");
        let signature = signature_header(&secrets, 1_769_851_800, &nonce, b"{}");
        assert_eq!(
            headers.map(|(name, value)| format!("{name}: {value}")),
            [
                "x-sendpromptly-timestamp: 1769851800".to_owned(),
                format!("x-sendpromptly-nonce: {}", "ab".repeat(16)),
                format!("x-sendpromptly-signature: {signature}"),
                "x-sendpromptly-attempt: 3".to_owned(),
            ]
        );
    }

    #[test]
    fn each_live_secret_signs() {
        let secrets = [1, 2].map(|byte| SigningSecret::generate([byte; ENTROPY]));
        let nonce = Nonce::from_entropy([0xab; 16]);
        let header = signature_header(&secrets, 1_769_851_800, &nonce, b"{}");
        let parts: Vec<_> = header.split(',').collect();
        assert_eq!(parts.len(), 2);
        for (part, secret) in parts.iter().zip(&secrets) {
            let signature = secret.key().sign(1_769_851_800, &"ab".repeat(16), b"{}");
            assert_eq!(*part, format!("v1={signature}"));
        }
    }
}
