//! Results: which event they mean, what they may say, and what is answered.

use serde_json::{Value, json};

use sendpromptly_tests::api::Api;
use sendpromptly_tests::bodies::{is_id, receipt, result, unique, with};
use sendpromptly_tests::http::Answer;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    each_id_names_the_event,
    every_field_has_its_rule,
    several_ids_must_name_one_event,
    an_id_that_two_providers_share_needs_the_provider,
    an_id_that_names_nothing_is_not_found,
    a_replay_must_belong_to_the_event,
    a_success_is_final,
    an_incident_is_named_whatever_its_state,
    an_event_of_another_project_is_not_found,
);

/// An id that is well-formed, and nobody's.
const NOBODY: &str = "019a0b1c2d3e7f40815263748596a7b8";

async fn send(api: &Api, body: &Value) -> Answer {
    api.result(&unique("key"), body).await
}

/// Sends this receipt, which must be accepted; gives the event's id.
async fn event_of(api: &Api, body: &Value) -> String {
    let answer = api.receipt(&unique("key"), body).await;
    assert_eq!(answer.verdict(), "202", "{}", answer.text());
    answer.json()["event_id"].as_str().unwrap().to_owned()
}

fn shopify_receipt(provider_event_id: &str) -> Value {
    let body = with(receipt(provider_event_id), "provider", json!("shopify"));
    with(body, "shopify_shop_domain", json!("example.myshopify.com"))
}

async fn each_id_names_the_event(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let event = event_of(&api, &receipt("evt_1")).await;
    for ids in [
        json!({ "event_id": event }),
        json!({ "provider_event_id": "evt_1" }),
        json!({ "stripe_event_id": "evt_1" }),
        json!({ "event_id": event, "provider_event_id": "evt_1", "stripe_event_id": "evt_1" }),
        json!({ "provider_event_id": "evt_1", "provider": "stripe" }),
        json!({ "event_id": event, "provider_event_id": null, "stripe_event_id": null, "provider": null }),
    ] {
        let answer = send(&api, &with(ids.clone(), "status", json!("success"))).await;
        assert_eq!(answer.verdict(), "202", "{ids}: {}", answer.text());
        let expected =
            json!({ "accepted": true, "event_id": event, "status": "succeeded", "incident_id": null });
        assert_eq!(answer.json(), expected, "{ids}");
    }
}

async fn every_field_has_its_rule(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let event = api.new_event().await;
    let set = |field: &str, value: Value| {
        let mut body = result(&event, "failed");
        body[field] = value;
        body
    };
    for body in [
        set("error_code", json!("é".repeat(64))),
        set("error_code", json!("")),
        set("error_code", Value::Null),
        set("error_message", json!("é".repeat(1_024))),
        set("error_message", json!("one\r\n\ttwo")),
        set("error_message", Value::Null),
        set("replay_id", Value::Null),
        set("unknown", json!([{}])),
    ] {
        let answer = send(&api, &body).await;
        assert_eq!(answer.verdict(), "202", "{body}: {}", answer.text());
    }
    let not_text = [json!(1), json!(true), json!([]), json!({})];
    let not_ids = [
        json!(""),
        json!("evt_1"),
        json!(NOBODY),
        json!(format!("inc_{NOBODY}")),
        json!(format!("evt_{}", NOBODY.to_uppercase())),
        json!(format!("evt_{NOBODY}0")),
    ];
    let mut refused: Vec<(&str, Value)> = Vec::new();
    for field in [
        "status",
        "event_id",
        "provider_event_id",
        "stripe_event_id",
        "provider",
        "error_code",
        "error_message",
        "replay_id",
    ] {
        refused.extend(not_text.iter().map(|value| (field, value.clone())));
    }
    refused.extend(not_ids.iter().map(|id| ("event_id", id.clone())));
    refused.extend(["", "rpl_1", "evt_019a0b1c2d3e7f40815263748596a7b8"].map(|id| ("replay_id", json!(id))));
    refused.extend(["", "succeeded", "Success", "pending"].map(|status| ("status", json!(status))));
    refused.push(("status", Value::Null));
    refused.extend(["", "Stripe", "paypal"].map(|provider| ("provider", json!(provider))));
    for field in ["provider_event_id", "stripe_event_id"] {
        let long = "é".repeat(256);
        refused.extend(["", " ", "a\nb", &long].map(|id| (field, json!(id))));
    }
    refused.push(("error_code", json!("é".repeat(65))));
    refused.push(("error_code", json!("a\nb")));
    refused.push(("error_message", json!("é".repeat(1_025))));
    refused.push(("error_message", json!("a\u{0}b")));
    refused.push(("error_message", json!("a\u{85}b")));
    for (field, value) in refused {
        let answer = send(&api, &set(field, value.clone())).await;
        assert_eq!(answer.verdict(), "422 validation_error", "{field}: {value}");
        assert_eq!(answer.wrong_fields(), [field], "{field}: {value}");
    }
    for (body, all) in [
        (json!({}), &["event_id", "status"][..]),
        (json!({ "event_id": null, "status": "failed" }), &["event_id"]),
        (
            json!({ "event_id": 1, "status": "x", "provider": "x" }),
            &["event_id", "provider", "status"],
        ),
    ] {
        assert_eq!(send(&api, &body).await.wrong_fields(), all, "{body}");
    }
}

async fn several_ids_must_name_one_event(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let event = event_of(&api, &receipt("evt_1")).await;
    event_of(&api, &receipt("evt_2")).await;
    event_of(&api, &shopify_receipt("order_1")).await;
    for (ids, verdict, fields) in [
        (
            json!({ "provider_event_id": "evt_1", "stripe_event_id": "evt_2" }),
            "422 validation_error",
            &["stripe_event_id"][..],
        ),
        (
            json!({ "event_id": event, "provider_event_id": "evt_2" }),
            "422 validation_error",
            &["provider_event_id"],
        ),
        (
            json!({ "event_id": event, "stripe_event_id": "evt_2" }),
            "422 validation_error",
            &["stripe_event_id"],
        ),
        (
            json!({ "event_id": event, "provider": "shopify" }),
            "422 validation_error",
            &["provider"],
        ),
        (json!({ "stripe_event_id": "order_1" }), "404 not_found", &[]),
        (
            json!({ "event_id": event, "provider_event_id": "evt_3" }),
            "404 not_found",
            &[],
        ),
        (
            json!({ "event_id": format!("evt_{NOBODY}"), "provider_event_id": "evt_1" }),
            "404 not_found",
            &[],
        ),
    ] {
        let answer = send(&api, &with(ids.clone(), "status", json!("success"))).await;
        assert_eq!(answer.verdict(), verdict, "{ids}");
        assert_eq!(answer.wrong_fields(), fields, "{ids}");
    }
    let untouched = world.cli.event(&event).await;
    assert_eq!(
        untouched["state"],
        json!("pending"),
        "what is refused changes nothing"
    );
}

async fn an_id_that_two_providers_share_needs_the_provider(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let stripe = event_of(&api, &receipt("shared")).await;
    let shopify = event_of(&api, &shopify_receipt("shared")).await;
    assert_ne!(stripe, shopify);
    let ask = async |ids: Value| send(&api, &with(ids, "status", json!("success"))).await;

    let unclear = ask(json!({ "provider_event_id": "shared" })).await;
    assert_eq!(unclear.verdict(), "422 validation_error");
    assert_eq!(unclear.wrong_fields(), ["provider"]);
    for (ids, event) in [
        (
            json!({ "provider_event_id": "shared", "provider": "shopify" }),
            &shopify,
        ),
        (
            json!({ "provider_event_id": "shared", "provider": "stripe" }),
            &stripe,
        ),
        (json!({ "stripe_event_id": "shared" }), &stripe),
        (
            json!({ "provider_event_id": "shared", "stripe_event_id": "shared" }),
            &stripe,
        ),
        (
            json!({ "provider_event_id": "shared", "event_id": shopify }),
            &shopify,
        ),
    ] {
        assert_eq!(ask(ids.clone()).await.json()["event_id"], json!(event), "{ids}");
    }
}

async fn an_id_that_names_nothing_is_not_found(kind: StoreKind) {
    let world = World::start(kind).await;
    for ids in [
        json!({ "event_id": format!("evt_{NOBODY}") }),
        json!({ "provider_event_id": "evt_1" }),
        json!({ "stripe_event_id": "evt_1" }),
    ] {
        let answer = send(&world.api(), &with(ids.clone(), "status", json!("success"))).await;
        assert_eq!(answer.verdict(), "404 not_found", "{ids}");
        assert!(answer.json()["error"]["fields"].is_null());
    }
}

async fn a_replay_must_belong_to_the_event(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let (event, _) = api.new_incident().await;
    let body = with(
        result(&event, "success"),
        "replay_id",
        json!(format!("rpl_{NOBODY}")),
    );
    let answer = send(&api, &body).await;
    assert_eq!(answer.verdict(), "422 validation_error");
    assert_eq!(answer.wrong_fields(), ["replay_id"]);
    assert_eq!(world.cli.event(&event).await["state"], json!("failed"));
}

async fn a_success_is_final(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let event = api.new_event().await;
    for status in ["success", "failed", "success", "failed"] {
        let answer = api.report(&event, status).await;
        assert_eq!(answer["status"], json!("succeeded"), "after {status}");
        assert_eq!(answer["incident_id"], Value::Null, "after {status}");
    }
}

async fn an_incident_is_named_whatever_its_state(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let event = api.new_event().await;
    let first = api.report(&event, "failed").await;
    assert_eq!(first["status"], json!("failed"));
    assert!(is_id("inc_", &first["incident_id"]), "{first}");
    for (status, state) in [
        ("failed", "failed"),
        ("success", "succeeded"),
        ("failed", "succeeded"),
    ] {
        let answer = api.report(&event, status).await;
        assert_eq!(answer["status"], json!(state));
        assert_eq!(
            answer["incident_id"], first["incident_id"],
            "an event has one incident in its life"
        );
    }
}

async fn an_event_of_another_project_is_not_found(kind: StoreKind) {
    let world = World::start(kind).await;
    let event = event_of(&world.api(), &receipt("evt_1")).await;
    let neighbour = world.cli.create_project(&world.organization, &[]).await;
    let organization = world.cli.create_organization("other").await;
    let stranger = world.cli.create_project(&organization, &[]).await;
    for project in [neighbour, stranger] {
        let api = Api {
            key: project.api_key,
            ..world.api()
        };
        for ids in [
            json!({ "event_id": event }),
            json!({ "provider_event_id": "evt_1" }),
            json!({ "stripe_event_id": "evt_1" }),
        ] {
            let answer = send(&api, &with(ids.clone(), "status", json!("success"))).await;
            assert_eq!(answer.verdict(), "404 not_found", "{ids}");
        }
    }
    assert_eq!(world.cli.event(&event).await["state"], json!("pending"));
}
