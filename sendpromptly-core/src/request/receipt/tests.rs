//! The rules of a receipt's body.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

const VALID: &str = r#"{"provider":"stripe","provider_event_id":"evt_1","event_type":"invoice.paid",
    "effect_type":"access_unlock","internal_reference":"customer-7","occurred_at":"2026-01-31T09:30:00Z"}"#;

/// A valid body with this text in place of another.
fn with(old: &str, new: &str) -> String {
    assert!(VALID.contains(old));
    VALID.replacen(old, new, 1)
}

/// A valid body with one more field.
fn and(field: &str) -> String {
    with("{", &format!("{{{field},"))
}

fn parse(body: &str) -> Result<Receipt, BodyError> {
    Receipt::parse(body.as_bytes(), NOW)
}

fn wrong_fields(body: &str) -> Vec<&'static str> {
    match parse(body) {
        Ok(_) => panic!("accepted: {body}"),
        Err(BodyError::TooManyFields) => vec!["too many"],
        Err(BodyError::Invalid(errors)) => errors.iter().map(|(field, _)| field).collect(),
    }
}

#[test]
fn a_valid_receipt_reads_whole() {
    let receipt = parse(&and(r#""timeout_minutes":5,"payload":{"a":[1]},"unknown":[{}]"#)).unwrap();
    assert_eq!(receipt.provider_event_id, "evt_1");
    assert_eq!(receipt.effect_type, EffectType::AccessUnlock);
    assert_eq!(receipt.timeout_minutes, Some(5));
    assert_eq!(receipt.payload.unwrap().expose(), r#"{"a":[1]}"#);
}

#[test]
fn what_is_no_json_object_is_wrong_as_a_whole() {
    for body in [
        "",
        "[]",
        "null",
        "\"a\"",
        "{",
        "{}x",
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":01}"#,
        "\u{feff}{}",
    ] {
        assert_eq!(wrong_fields(body), ["body"], "{body}");
    }
    assert!(matches!(
        Receipt::parse(b"{\"a\":\"\xff\"}", NOW),
        Err(BodyError::Invalid(_))
    ));
}

#[test]
fn a_field_that_stands_twice_is_refused_in_every_spelling() {
    assert_eq!(wrong_fields(&and(r#""provider":"shopify""#)), ["body"]);
    assert_eq!(wrong_fields(&and(r#""\u0070rovider":"stripe""#)), ["body"]);
    assert!(
        parse(&and(r#""payload":{"a":1,"a":2}"#)).is_ok(),
        "payload is not looked into"
    );
}

#[test]
fn more_than_32_fields_are_refused_before_what_comes_after_them() {
    let fields = |count: usize| (0..count).map(|n| format!(r#""f{n}":0,"#)).collect::<String>();
    assert!(parse(&with("{", &format!("{{{}", fields(26)))).is_ok());
    assert_eq!(
        wrong_fields(&with("{", &format!("{{{}", fields(27)))),
        ["too many"]
    );
    assert_eq!(wrong_fields(&format!("{{{}garbage", fields(33))), ["too many"]);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let all = [
        "effect_type",
        "event_type",
        "internal_reference",
        "occurred_at",
        "provider",
        "provider_event_id",
    ];
    assert_eq!(wrong_fields("{}"), all);
    let nulls = r#"{"provider":null,"provider_event_id":null,"event_type":null,"effect_type":null,
        "internal_reference":null,"occurred_at":null}"#;
    assert_eq!(wrong_fields(nulls), all, "null is the field left out");
}

#[test]
fn texts_are_counted_in_characters_and_hold_no_control_characters() {
    let reference = |text: &str| with("customer-7", text);
    assert!(parse(&reference(&"ü".repeat(255))).is_ok());
    for wrong in [
        &"ü".repeat(256),
        "",
        "   ",
        "a\\nb",
        "a\\u0000",
        "a\\u009f",
        "\\ud800",
    ] {
        assert_eq!(wrong_fields(&reference(wrong)), ["internal_reference"], "{wrong}");
    }
    assert_eq!(wrong_fields(&with("\"customer-7\"", "7")), ["internal_reference"]);
}

#[test]
fn event_types_are_of_a_small_alphabet() {
    assert!(parse(&with("invoice.paid", "orders/paid_v2-x")).is_ok());
    for wrong in ["", "a b", "é", &"x".repeat(129)] {
        assert_eq!(
            wrong_fields(&with("invoice.paid", wrong)),
            ["event_type"],
            "{wrong}"
        );
    }
}

#[test]
fn the_minutes_are_an_integer_without_fraction_or_exponent() {
    for right in ["1", "43200", "null"] {
        assert!(
            parse(&and(&format!("\"timeout_minutes\":{right}"))).is_ok(),
            "{right}"
        );
    }
    for wrong in [
        "0",
        "43201",
        "-1",
        "30.0",
        "3e1",
        "\"30\"",
        "true",
        "99999999999999999999",
    ] {
        let body = and(&format!("\"timeout_minutes\":{wrong}"));
        assert_eq!(wrong_fields(&body), ["timeout_minutes"], "{wrong}");
    }
}

#[test]
fn an_event_lies_at_most_five_minutes_ahead() {
    let at = |time: Timestamp| with("2026-01-31T09:30:00Z", &time.to_string());
    assert!(parse(&at(NOW.plus_minutes(5))).is_ok());
    assert_eq!(
        wrong_fields(&at(NOW.plus_minutes(5).plus_millis(1))),
        ["occurred_at"]
    );
    assert_eq!(
        wrong_fields(&with("2026-01-31T09:30:00Z", "2026-01-31")),
        ["occurred_at"]
    );
}

#[test]
fn a_stripe_event_id_serves_for_stripe_only() {
    let by_stripe_id = with("\"provider_event_id\"", "\"stripe_event_id\"");
    assert_eq!(parse(&by_stripe_id).unwrap().provider_event_id, "evt_1");
    assert!(parse(&and(r#""stripe_event_id":"evt_1""#)).is_ok());
    assert_eq!(
        wrong_fields(&and(r#""stripe_event_id":"evt_2""#)),
        ["stripe_event_id"]
    );
    let shopify = by_stripe_id.replace("stripe\"", "shopify\",\"shopify_shop_domain\":\"a.example\"");
    assert_eq!(wrong_fields(&shopify), ["provider_event_id"]);
}

#[test]
fn the_shop_is_looked_at_for_shopify_only() {
    assert!(parse(&and(r#""shopify_shop_domain":7"#)).is_ok());
    let shopify = with("stripe", "shopify");
    assert_eq!(wrong_fields(&shopify), ["shopify_shop_domain"]);
    let shop = |domain: &str| shopify.replacen('{', &format!(r#"{{"shopify_shop_domain":"{domain}","#), 1);
    assert_eq!(
        parse(&shop("a.example")).unwrap().shop_domain.as_deref(),
        Some("a.example")
    );
    assert_eq!(wrong_fields(&shop("127.0.0.1")), ["shopify_shop_domain"]);
}

#[test]
fn a_resource_is_named_by_its_digits_for_shopify_only() {
    assert!(parse(&and(r#""shopify_resource_id":"x""#)).is_ok());
    let shopify = with("stripe", "shopify").replacen('{', r#"{"shopify_shop_domain":"a.example","#, 1);
    let about = |topic: &str, id: &str| {
        let body = shopify.replace("invoice.paid", topic);
        body.replacen('{', &format!(r#"{{"shopify_resource_id":{id},"#), 1)
    };
    let named = Resource::of("a.example", "orders/paid", "820982911946154508");
    assert!(named.is_some());
    let read = parse(&about("orders/paid", r#""820982911946154508""#)).unwrap();
    assert_eq!(read.resource, named);
    assert_eq!(parse(&about("orders/paid", "null")).unwrap().resource, None);
    assert_eq!(parse(&about("orders/updated", r#""17""#)).unwrap().resource, None);
    for wrong in [
        "17",
        "1.0",
        r#""-1""#,
        r#""""#,
        r#""gid""#,
        "[1]",
        r#""123456789012345678901""#,
    ] {
        let body = about("orders/paid", wrong);
        assert_eq!(wrong_fields(&body), ["shopify_resource_id"], "{wrong}");
    }
}

#[test]
fn a_payload_is_an_object_nested_no_deeper_than_128() {
    let nested = |depth: usize| {
        let inner = "[".repeat(depth - 1) + &"]".repeat(depth - 1);
        and(&format!(
            r#""payload":{{"a":{}}}"#,
            if inner.is_empty() { "0" } else { &inner }
        ))
    };
    assert!(parse(&nested(128)).is_ok());
    assert_eq!(wrong_fields(&nested(129)), ["payload"]);
    assert_eq!(wrong_fields(&nested(20_000)), ["payload"]);
    assert_eq!(wrong_fields(&and(r#""payload":"{}""#)), ["payload"]);
    let side_by_side = format!(r#""payload":{{"a":[{}0]}}"#, "[],".repeat(300));
    assert!(parse(&and(&side_by_side)).is_ok());
    let brackets_in_text = format!(r#""payload":{{"a":"\"{}"}}"#, "[".repeat(300));
    assert!(parse(&and(&brackets_in_text)).is_ok());
}

#[test]
fn a_payload_does_not_print() {
    let receipt = parse(&and(r#""payload":{"card":"4242"}"#)).unwrap();
    assert!(!format!("{receipt:?}").contains("4242"));
}

proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300), at: i64) {
        let _ = Receipt::parse(&body, Timestamp::from_millis(at));
    }

    #[test]
    fn no_change_of_a_valid_body_panics(at in 0..VALID.len(), byte: u8) {
        let mut body = VALID.as_bytes().to_vec();
        body[at] = byte;
        let _ = Receipt::parse(&body, NOW);
    }
}
