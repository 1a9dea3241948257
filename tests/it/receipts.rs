//! What a receipt may say, field by field, and what its answer says.

use serde_json::{Value, json};

use sendpromptly_tests::api::RECEIPT;
use sendpromptly_tests::bodies::{is_id, millis, now_millis, receipt, seconds_from_now, unique, with};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    a_receipt_is_accepted_until_its_result_is_due,
    every_field_has_its_rule,
    texts_come_through_whole,
    an_event_is_stored_with_the_times_of_its_receipt,
);

const MINUTE: i64 = 60_000;

async fn a_receipt_is_accepted_until_its_result_is_due(kind: StoreKind) {
    let world = World::start_with(kind, &Options::quick(), &["--timeout-minutes", "7"]).await;
    for (body, minutes) in [
        (receipt("evt_1"), 7),
        (with(receipt("evt_2"), "timeout_minutes", json!(1)), 1),
        (with(receipt("evt_3"), "timeout_minutes", json!(43_200)), 43_200),
    ] {
        let before = now_millis();
        let answer = world.api().receipt(&unique("key"), &body).await;
        let after = now_millis();
        assert_eq!(answer.status, 202, "{}", answer.text());
        let json = answer.json();
        assert!(is_id("evt_", &json["event_id"]), "{json}");
        assert_eq!(
            (&json["accepted"], &json["duplicate"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(json.as_object().unwrap().len(), 4, "{json}");
        let accepted = millis(&json["timeout_at"]) - minutes * MINUTE;
        assert!((before..=after).contains(&accepted), "{json}");
        assert_eq!(answer.header("idempotent-replayed"), None);
    }
}

async fn every_field_has_its_rule(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let long = |count: usize| json!("ü".repeat(count));
    let stripe_only = || with(receipt("evt"), "provider_event_id", Value::Null);
    let shopify = |domain: Value| {
        let body = with(receipt(&unique("evt")), "provider", json!("shopify"));
        with(body, "shopify_shop_domain", domain)
    };
    let set = |field: &str, value: Value| with(receipt(&unique("evt")), field, value);

    let mut accepted = vec![
        set("provider_event_id", long(255)),
        set("provider_event_id", json!(" a b ")),
        set("event_type", json!("x".repeat(128))),
        set("event_type", json!("orders/paid_v2-x.y")),
        set("internal_reference", long(255)),
        set("internal_reference", json!("🦀".repeat(255))),
        set("occurred_at", json!("1969-12-31T23:59:59.123456789+14:00")),
        set("occurred_at", json!("2026-01-02t03:04:05z")),
        set("occurred_at", json!(seconds_from_now(270))),
        set("payload", json!({})),
        set("payload", json!({ "nested": [{ "as": ["it", "likes"] }] })),
        set("unknown", json!({ "is": "ignored" })),
        set("shopify_shop_domain", json!("not looked at for stripe")),
        set("stripe_event_id", Value::Null),
        with(stripe_only(), "stripe_event_id", json!(unique("evt"))),
        shopify(json!("example.myshopify.com")),
        with(shopify(json!("a.b")), "stripe_event_id", json!("not looked at")),
    ];
    let effects = [
        "access_unlock",
        "credit_grant",
        "seat_update",
        "subscription_state_apply",
        "access_revocation",
        "credit_deduction",
    ];
    accepted.extend(effects.map(|effect| set("effect_type", json!(effect))));
    accepted.push(with(
        set("provider_event_id", json!("same")),
        "stripe_event_id",
        json!("same"),
    ));
    for body in accepted {
        let answer = api.receipt(&unique("key"), &body).await;
        assert_eq!(answer.verdict(), "202", "{body}: {}", answer.text());
    }

    let mut refused: Vec<(Value, &str)> = Vec::new();
    let mut refuse = |field: &'static str, values: &[Value]| {
        let bodies = values.iter().map(|value| with_null(&unique("evt"), field, value));
        refused.extend(bodies.map(|body| (body, field)));
    };
    let not_text = [json!(7), json!(true), json!([]), json!({}), Value::Null];
    let blank = [json!(""), json!("  "), json!("\u{2003}\u{a0}")];
    let control = [
        json!("a\nb"),
        json!("a\tb"),
        json!("\u{0}"),
        json!("a\u{7f}"),
        json!("\u{9b}"),
    ];
    for field in ["provider_event_id", "internal_reference"] {
        refuse(field, &not_text);
        refuse(field, &blank);
        refuse(field, &control);
        refuse(field, &[long(256)]);
    }
    for field in ["provider", "effect_type", "event_type", "occurred_at"] {
        refuse(field, &not_text);
        refuse(field, &[json!(""), json!(" ")]);
    }
    refuse("provider", &[json!("Stripe"), json!("paypal")]);
    refuse("effect_type", &[json!("access_unlock "), json!("refund")]);
    refuse(
        "event_type",
        &[json!("a b"), json!("é"), json!("a#b"), json!("x".repeat(129))],
    );
    let times = [
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-02-30T00:00:00Z",
        "1767323045",
    ];
    refuse("occurred_at", &times.map(|time| json!(time)));
    refuse("occurred_at", &[json!(seconds_from_now(600))]);
    refuse(
        "timeout_minutes",
        &[
            json!(0),
            json!(-1),
            json!(43_201),
            json!("30"),
            json!(true),
            json!(1.5),
        ],
    );
    refuse("payload", &[json!([]), json!("{}"), json!(1), json!(false)]);
    for domain in [
        "shop",
        "a..b",
        "a.b:443",
        "127.0.0.1",
        "[::1]",
        "-a.b",
        "a_b.c",
        "https://a.b",
        "a.b/",
    ] {
        refused.push((shopify(json!(domain)), "shopify_shop_domain"));
    }
    refused.push((shopify(Value::Null), "shopify_shop_domain"));
    refused.push((stripe_only(), "provider_event_id"));
    refused.push((set("stripe_event_id", json!("another")), "stripe_event_id"));
    let only_stripe_id = with(shopify(json!("a.b")), "provider_event_id", Value::Null);
    refused.push((
        with(only_stripe_id, "stripe_event_id", json!("evt")),
        "provider_event_id",
    ));
    for (body, field) in refused {
        let answer = api.receipt(&unique("key"), &body).await;
        assert_eq!(answer.verdict(), "422 validation_error", "{body}");
        assert_eq!(answer.wrong_fields(), [field], "{body}");
    }
}

/// A receipt with one field set, also where it is set to `null`.
fn with_null(provider_event_id: &str, field: &str, value: &Value) -> Value {
    let mut body = receipt(provider_event_id);
    body[field] = value.clone();
    body
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let world = World::start(StoreKind::Sqlite).await;
    let body = json!({
        "provider": "paypal", "provider_event_id": "", "event_type": "a b", "effect_type": 7,
        "occurred_at": "yesterday", "timeout_minutes": 1.5, "payload": [],
    });
    let answer = world.api().receipt("key-1", &body).await;
    assert_eq!(answer.verdict(), "422 validation_error");
    let all = [
        "effect_type",
        "event_type",
        "internal_reference",
        "occurred_at",
        "payload",
        "provider",
        "provider_event_id",
        "timeout_minutes",
    ];
    assert_eq!(answer.wrong_fields(), all);
    let fields = &answer.json()["error"]["fields"];
    assert_eq!(fields["provider"], json!(["must be one of: stripe, shopify"]));
    assert_eq!(fields["internal_reference"], json!(["is required"]));
}

#[tokio::test]
async fn null_in_an_optional_field_is_the_field_left_out() {
    let world = World::start(StoreKind::Sqlite).await;
    for field in [
        "timeout_minutes",
        "payload",
        "stripe_event_id",
        "shopify_shop_domain",
    ] {
        let body = with_null(&unique("evt"), field, &Value::Null);
        let answer = world.api().receipt(&unique("key"), &body).await;
        assert_eq!(answer.verdict(), "202", "{field}");
    }
}

/// Nothing that a text may hold is lost or altered: it is stored as it was sent.
async fn texts_come_through_whole(kind: StoreKind) {
    let world = World::start(kind).await;
    for text in [
        "a'b\"c\\d",
        "%s {} $1 ?",
        "日本語 🦀",
        "\u{202e}right to left",
        "e\u{301} is not é",
        " x ",
    ] {
        let id = unique(text);
        let body = with(receipt(&id), "internal_reference", json!(text));
        let event = world.api().receipt(&unique("key"), &body).await.json()["event_id"].clone();
        let stored = world.cli.event(event.as_str().unwrap()).await;
        assert_eq!(stored["internal_reference"], json!(text));
        assert_eq!(stored["provider_event_id"], json!(id));
    }
}

async fn an_event_is_stored_with_the_times_of_its_receipt(kind: StoreKind) {
    let world = World::start(kind).await;
    let body = with(
        receipt("evt_1"),
        "occurred_at",
        json!("2026-01-31T10:30:00.1239+01:00"),
    );
    let answer = world.api().receipt("key-1", &body).await.json();
    let stored = world.cli.event(answer["event_id"].as_str().unwrap()).await;
    assert_eq!(stored["occurred_at"], json!("2026-01-31T09:30:00.123Z"));
    assert_eq!(stored["timeout_at"], answer["timeout_at"]);
    assert_eq!(stored["state"], json!("pending"));
}

#[tokio::test]
async fn the_short_path_is_the_same_endpoint() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let request = api.request(RECEIPT, "key-1", &receipt("evt_1"));
    let first = request.send(api.server).await;
    let again = request.path("/v1/receipt").send(api.server).await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}
