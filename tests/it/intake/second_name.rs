//! Where Shopify gives an event another id in each subscription, what it is about tells that it is one.

use sendpromptly_tests::bodies::{receipt, unique, with};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::provider::{Webhook, shopify_webhook};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

use super::{announce, event_id, taking};

on_both_stores!(
    an_event_with_two_ids_is_one_whoever_tells_of_it_first,
    told_of_at_once_under_two_ids_it_is_one_event,
    what_only_seems_to_be_one_event_stays_two,
);

/// The receipt of an order that was paid.
fn paid(id: &str, order: u64) -> Value {
    let body = with(receipt(id), "provider", json!("shopify"));
    let body = with(body, "event_type", json!("orders/paid"));
    let body = with(body, "shopify_shop_domain", json!("example.myshopify.com"));
    with(body, "shopify_resource_id", json!(order.to_string()))
}

/// What Shopify tells us of it.
async fn told(id: &str, order: u64) -> Webhook {
    shopify_webhook(id, "orders/paid", &json!({ "id": order }).to_string()).await
}

async fn send(world: &World, body: &Value) -> Value {
    let answer = world.api().receipt(&unique("key"), body).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()
}

async fn an_event_with_two_ids_is_one_whoever_tells_of_it_first(kind: StoreKind) {
    let world = taking(kind).await;
    let sql = world.sql().await;
    // The provider first, and late: its incident has opened.
    let first = told("at-us", 1).await;
    announce(&world, &first).await;
    let event = event_id(&sql, "at-us").await;
    sql.make_overdue(&event).await;
    assert_eq!(world.incident_of(&event).await["reason"], "missing_receipt");
    let answer = send(&world, &paid("at-the-app", 1)).await;
    assert_eq!(
        (&answer["event_id"], &answer["duplicate"]),
        (&json!(event), &json!(false))
    );
    let incident = world.incident_of(&event).await;
    assert_eq!(incident["provider_event_id"], "at-the-app");
    assert_eq!(incident["internal_reference"], "customer_42");
    // Then the app first.
    let second = send(&world, &paid("at-the-app-too", 2)).await;
    announce(&world, &told("at-us-too", 2).await).await;
    // Repeats of either change nothing, under whichever of the names.
    announce(&world, &first).await;
    announce(&world, &told("at-us-too", 2).await).await;
    assert_eq!(
        send(&world, &paid("at-the-app", 1)).await["duplicate"],
        json!(true)
    );
    assert_eq!(sql.rows("events").await, 2);
    // Results name it by the app's id.
    let result = json!({ "provider_event_id": "at-the-app-too", "status": "success" });
    let reported = world.api().result(&unique("key"), &result).await;
    assert_eq!(reported.json()["event_id"], second["event_id"]);
    // And it is found by that id where incidents are listed.
    let digests = "SELECT count(*) AS n FROM incidents i JOIN events e ON e.id = i.event_id
        AND e.provider_event_digest = i.provider_event_digest";
    assert_eq!(sql.count(digests).await, 1);
}

async fn told_of_at_once_under_two_ids_it_is_one_event(kind: StoreKind) {
    const ORDERS: u64 = 8;
    let world = taking(kind).await;
    let (server, project) = (world.server.address, world.project.id.clone());
    let mut webhooks = Vec::new();
    for order in 0..ORDERS {
        webhooks.push(told(&format!("at-us-{order}"), order).await);
    }
    let mut tellers = Vec::new();
    for (order, webhook) in (0..ORDERS).zip(&webhooks) {
        for number in 0..3 {
            let (webhook, project) = (webhook.clone(), project.clone());
            tellers.push(tokio::spawn(async move { webhook.send(server, &project).await }));
            let api = world.api();
            tellers.push(tokio::spawn(async move {
                let id = format!("at-the-app-{order}");
                api.receipt(&format!("{id}-{number}"), &paid(&id, order)).await
            }));
        }
    }
    for teller in tellers {
        let answer = teller.await.unwrap();
        assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
    }
    let sql = world.sql().await;
    assert_eq!(sql.rows("events").await, i64::try_from(ORDERS).unwrap());
    for order in 0..ORDERS {
        let event = event_id(&sql, &format!("at-the-app-{order}")).await;
        let stored = world.cli.event(&event).await;
        assert!(stored["received_at"].is_string(), "{stored}");
        announce(&world, &webhooks[usize::try_from(order).unwrap()]).await;
    }
    assert_eq!(sql.rows("events").await, i64::try_from(ORDERS).unwrap());
}

async fn what_only_seems_to_be_one_event_stays_two(kind: StoreKind) {
    let world = taking(kind).await;
    let sql = world.sql().await;
    announce(&world, &told("at-us", 1).await).await;
    // Another shop, order, topic or time, or no word of what it is about.
    for (field, value) in [
        ("shopify_shop_domain", json!("another.myshopify.com")),
        ("shopify_resource_id", json!("2")),
        ("event_type", json!("orders/updated")),
        ("occurred_at", json!("2026-01-02T03:10:00Z")),
        ("shopify_resource_id", Value::Null),
    ] {
        let other = with(paid(&unique("other"), 1), field, value);
        assert_eq!(send(&world, &other).await["duplicate"], json!(false));
    }
    assert_eq!(sql.rows("events").await, 6);
    // Its own receipt finds it, and of a second effect is another event.
    let event = event_id(&sql, "at-us").await;
    assert_eq!(
        send(&world, &paid("own#access", 1)).await["event_id"],
        json!(event)
    );
    assert_ne!(
        send(&world, &paid("own#credit", 1)).await["event_id"],
        json!(event)
    );
    assert_eq!(sql.rows("events").await, 7);
}
