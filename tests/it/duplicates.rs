//! The same event again, under a new Idempotency-Key: one event, and what differs is told.

use serde_json::{Value, json};

use sendpromptly_tests::api::Api;
use sendpromptly_tests::bodies::{receipt, unique, with};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    an_event_is_stored_once,
    what_differs_is_named_and_the_first_receipt_stays,
    events_of_two_providers_or_two_projects_are_two,
    a_hundred_receipts_of_one_event_at_once_make_one,
);

async fn send(api: &Api, body: &Value) -> Value {
    let answer = api.receipt(&unique("key"), body).await;
    assert_eq!(answer.verdict(), "202", "{}", answer.text());
    answer.json()
}

async fn an_event_is_stored_once(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let first = send(&api, &receipt("evt_1")).await;
    let mut expected = first.clone();
    expected["duplicate"] = json!(true);
    for again in [
        receipt("evt_1"),
        with(receipt("evt_1"), "timeout_minutes", json!(5)),
        with(receipt("evt_1"), "occurred_at", json!("2025-01-01T00:00:00Z")),
        with(
            with(receipt("evt_1"), "provider_event_id", Value::Null),
            "stripe_event_id",
            json!("evt_1"),
        ),
    ] {
        assert_eq!(send(&api, &again).await, expected, "{again}");
    }
    api.report(first["event_id"].as_str().unwrap(), "success").await;
    assert_eq!(send(&api, &receipt("evt_1")).await, expected, "after its result");
    assert_eq!(world.sql().await.rows("events").await, 1);
}

async fn what_differs_is_named_and_the_first_receipt_stays(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let first = send(&api, &receipt("evt_1")).await;
    let all = ["event_type", "effect_type", "internal_reference"];
    for names in [&all[..1], &all[1..2], &all[2..], &all[..2], &all] {
        let changed = |body, name: &&str| {
            let value = if *name == "effect_type" {
                "credit_grant"
            } else {
                "other"
            };
            with(body, name, json!(value))
        };
        let again = send(&api, &names.iter().fold(receipt("evt_1"), changed)).await;
        assert_eq!(again["differs"], json!(names));
        assert_eq!(again["duplicate"], json!(true), "{names:?}");
        assert_eq!(again["event_id"], first["event_id"], "{names:?}");
        assert_eq!(again["timeout_at"], first["timeout_at"], "{names:?}");
    }
    let stored = world.cli.event(first["event_id"].as_str().unwrap()).await;
    assert_eq!(stored["effect_type"], json!("access_unlock"));
    assert_eq!(stored["internal_reference"], json!("customer_42"));
    let suffixed = with(receipt("evt_1#credit"), "effect_type", json!("credit_grant"));
    assert_eq!(
        send(&api, &suffixed).await["duplicate"],
        json!(false),
        "an event for each effect"
    );
}

async fn events_of_two_providers_or_two_projects_are_two(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let other = world.cli.create_project(&world.organization, &[]).await;
    let other = Api {
        key: other.api_key,
        ..world.api()
    };
    let shopify = with(receipt("evt_1"), "provider", json!("shopify"));
    let shopify = with(shopify, "shopify_shop_domain", json!("a.example"));
    for (api, body) in [
        (&api, receipt("evt_1")),
        (&api, shopify),
        (&other, receipt("evt_1")),
    ] {
        assert_eq!(send(api, &body).await["duplicate"], json!(false), "{body}");
    }
    // Ids are compared to the letter.
    for id in ["EVT_1", "evt_1 ", "evt_\u{ff11}"] {
        assert_eq!(
            send(&api, &receipt(id)).await["duplicate"],
            json!(false),
            "{id:?}"
        );
    }
}

async fn a_hundred_receipts_of_one_event_at_once_make_one(kind: StoreKind) {
    let world = World::start(kind).await;
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let api = world.api();
            tokio::spawn(async move { send(&api, &receipt("evt_1")).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    let first = answers
        .iter()
        .filter(|answer| answer["duplicate"] == json!(false));
    assert_eq!(first.count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer["event_id"] == answers[0]["event_id"])
    );
    assert_eq!(world.sql().await.rows("events").await, 1);
}
