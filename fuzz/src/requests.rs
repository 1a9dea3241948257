//! Requests of the ingest API: bodies and the Idempotency-Key.

use std::collections::HashMap;

use sendpromptly_core::request::{BodyError, IdempotencyKey, MAX_TIMEOUT_MINUTES, Receipt, ResultReport};
use sendpromptly_core::time::Timestamp;
use serde_json::value::RawValue;

/// 2026-01-01 in Unix milliseconds: the seeds' `occurred_at` lies before it.
const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// A receipt that is accepted is JSON to another reader too, and keeps the documented bounds.
pub fn receipt(data: &[u8]) {
    match Receipt::parse(data, NOW) {
        Ok(receipt) => {
            assert_is_object(data);
            assert_line(&receipt.provider_event_id, 255);
            assert_line(&receipt.event_type, 128);
            assert_line(&receipt.internal_reference, 255);
            assert!(receipt.occurred_at <= NOW.plus_minutes(5));
            assert!(
                receipt
                    .timeout_minutes
                    .is_none_or(|minutes| (1..=MAX_TIMEOUT_MINUTES).contains(&minutes))
            );
        }
        Err(error) => assert_names_a_field(&error),
    }
}

/// A result that is accepted is JSON to another reader too, names an event, and means none where none is stored.
pub fn result(data: &[u8]) {
    match ResultReport::parse(data) {
        Ok(result) => {
            assert_is_object(data);
            let provider_ids = [&result.provider_event_id, &result.stripe_event_id];
            assert!(result.event_id.is_some() || provider_ids.iter().any(|id| id.is_some()));
            for id in provider_ids.into_iter().flatten() {
                assert_line(id, 255);
            }
            assert!(result.select(&[]).is_err());
        }
        Err(error) => assert_names_a_field(&error),
    }
}

/// A key that is accepted is visible ASCII, and the same key in quotes.
pub fn idempotency_key(data: &[u8]) {
    let Ok(key) = IdempotencyKey::parse(data) else {
        return;
    };
    let text = key.as_str();
    assert!((1..=255).contains(&text.len()));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
    let quoted = IdempotencyKey::parse(format!("\"{text}\"").as_bytes());
    assert_eq!(quoted.as_ref(), Ok(&key));
}

fn assert_is_object(data: &[u8]) {
    let read = serde_json::from_slice::<HashMap<String, Box<RawValue>>>(data);
    assert!(read.is_ok(), "accepted, and not a JSON object: {read:?}");
}

fn assert_line(text: &str, max: usize) {
    assert!(!text.trim().is_empty());
    assert!(text.chars().count() <= max);
    assert!(!text.chars().any(char::is_control));
}

fn assert_names_a_field(error: &BodyError) {
    if let BodyError::Invalid(fields) = error {
        assert!(!fields.is_empty(), "refused, and nobody knows why");
    }
}
