//! What strangers send, or do not, holds up nobody else's events.

use serde_json::json;

use sendpromptly_tests::http::Connection;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::provider::{stripe_event, stripe_webhook};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{SECRET, Signer, event, now, webhook as billing_webhook};
use sendpromptly_tests::world::World;

use super::{announce, take, taking};

on_both_stores!(
    bodies_that_do_not_come_hold_up_nobody_elses_events,
    what_somebody_elses_endpoint_refuses_holds_up_nobody,
);

/// A world behind a proxy, so that the test can speak for many addresses.
async fn behind_a_proxy(kind: StoreKind) -> World {
    let options = Options::quick()
        .set("--trusted-proxy", "127.0.0.1")
        .environment("SENDPROMPTLY_STRIPE_WEBHOOK_SECRET", SECRET);
    let world = World::start_with(kind, &options, &[]).await;
    take(&world).await;
    world
}

async fn bodies_that_do_not_come_hold_up_nobody_elses_events(kind: StoreKind) {
    let world = behind_a_proxy(kind).await;
    let server = world.server.address;
    let webhook = stripe_webhook(&stripe_event("evt_1", "checkout.session.completed")).await;
    let whole = webhook.request(&world.project.id);
    let mut slow = Vec::new();
    for path in [whole.target(), "/webhooks/stripe"].repeat(100) {
        let request = whole.clone().path(path).header("x-forwarded-for", "192.0.2.66");
        let request = request
            .header("content-length", "250000")
            .header("expect", "100-continue");
        let mut connection = Connection::open(server).await;
        connection.send(&request.body("").to_bytes()).await;
        if slow.is_empty() {
            assert_eq!(connection.interim().await, 100, "its body is waited for");
        }
        slow.push(connection);
    }
    for client in ["192.0.2.1", "192.0.2.2"] {
        let answer = whole.clone().header("x-forwarded-for", client).send(server).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let told = event("evt_2", now(), "customer.updated", &json!({})).to_string();
    let header = Signer::start().await.sign(SECRET, now(), &told).await;
    let answer = billing_webhook(&header, &told).header("x-forwarded-for", "192.0.2.1");
    assert_eq!(answer.send(server).await.status, 200);
}

/// Providers send for everybody from the same addresses.
async fn what_somebody_elses_endpoint_refuses_holds_up_nobody(kind: StoreKind) {
    let world = taking(kind).await;
    let webhook = stripe_webhook(&stripe_event("evt_1", "invoice.paid")).await;
    let gone = format!("prj_{}", "0".repeat(32));
    for _ in 0..130 {
        let answer = webhook.send(world.server.address, &gone).await;
        assert_eq!(answer.verdict(), "401 unauthorized");
    }
    assert!(announce(&world, &webhook).await);
}
