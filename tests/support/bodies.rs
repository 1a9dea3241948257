//! Bodies of receipts and results, and ids that nobody has used before.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A text that no other call gives: `prefix-17-…`.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!(
        "{prefix}-{}-{:08x}",
        NEXT.fetch_add(1, Ordering::Relaxed),
        fastrand::u32(..)
    )
}

/// The receipt of a paid checkout, with no more than the required fields.
#[must_use]
pub fn receipt(provider_event_id: &str) -> Value {
    json!({
        "provider": "stripe",
        "provider_event_id": provider_event_id,
        "event_type": "checkout.session.completed",
        "effect_type": "access_unlock",
        "internal_reference": "customer_42",
        "occurred_at": "2026-01-02T03:04:05Z",
    })
}

/// A result for the event with this id of ours.
#[must_use]
pub fn result(event_id: &str, status: &str) -> Value {
    json!({ "event_id": event_id, "status": status })
}

/// The same body with one field set; `null` takes the field away.
#[must_use]
pub fn with(mut body: Value, field: &str, value: Value) -> Value {
    let fields = body.as_object_mut().unwrap();
    if value.is_null() {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), value);
    }
    body
}

/// The time so many seconds from now, in RFC 3339.
#[must_use]
pub fn seconds_from_now(seconds: i64) -> String {
    let time = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    time.format(&Rfc3339).unwrap()
}

/// A time of the wire as Unix milliseconds; it must have exactly three fraction digits and a `Z`.
#[must_use]
pub fn millis(wire: &Value) -> i64 {
    let text = wire.as_str().unwrap_or_else(|| panic!("no time: {wire}"));
    assert!(
        text.len() == 24 && text.as_bytes()[19] == b'.' && text.ends_with('Z'),
        "{text}"
    );
    let time = OffsetDateTime::parse(text, &Rfc3339).unwrap();
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap()
}

/// Now, in Unix milliseconds.
#[must_use]
pub fn now_millis() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap()
}

/// Whether this is an id with this prefix: `evt_` and 32 lower-case hex digits of a UUIDv7.
#[must_use]
pub fn is_id(prefix: &str, value: &Value) -> bool {
    let hex = value
        .as_str()
        .and_then(|id| id.strip_prefix(prefix))
        .unwrap_or_default();
    hex.len() == 32
        && hex
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        && hex.as_bytes()[12] == b'7'
}
