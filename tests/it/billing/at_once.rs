//! Webhooks about one customer that come at once, at one server or at two, end as those that come one by one.

use std::net::SocketAddr;

use sendpromptly_tests::http::Answer;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{
    SECRET, Signer, checkout, event, invoice, now, subscription, subscription_of, webhook,
};
use sendpromptly_tests::world::World;
use serde_json::Value;

use super::{DAY, options, start, status};

on_both_stores!(webhooks_about_one_customer_that_come_at_once_are_each_heard_once);

async fn webhooks_about_one_customer_that_come_at_once_are_each_heard_once(kind: StoreKind) {
    let world = start(kind).await;
    hear_at_once(&world, &[world.server.address]).await;
    let verified = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[tokio::test]
async fn webhooks_about_one_customer_that_come_at_once_at_two_nodes_are_each_heard_once() {
    let world = start(StoreKind::Postgres).await;
    let second = world.start_second_node(&options()).await;
    hear_at_once(&world, &[world.server.address, second.address]).await;
}

/// Several times a subscription that is bought, paid for and ended is told of, each event twice to each server, all of it
/// at once.
async fn hear_at_once(world: &World, servers: &[SocketAddr]) {
    let mut signer = Signer::start().await;
    let sql = world.sql().await;
    for round in 0..6 {
        let events = story(&world.organization, round);
        let mut sent = Vec::new();
        for told in &events {
            let body = told.to_string();
            let signature = signer.sign(SECRET, now(), &body).await;
            for server in servers.iter().chain(servers) {
                let (request, server) = (webhook(&signature, &body), *server);
                sent.push(tokio::spawn(async move { request.send(server).await }));
            }
        }
        for answer in sent {
            let answer: Answer = answer.await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(status(world).await, ["canceled"], "round {round}");
        let heard = format!("SELECT count(*) AS n FROM stripe_events WHERE customer = 'cus_{round}'");
        assert_eq!(sql.count(&heard).await, events.len() as i64);
    }
}

/// What Stripe tells of a customer of its own; only the beginning names the organization, so an end that is not seen
/// beside it would leave the subscription alive.
fn story(organization: &str, round: usize) -> Vec<Value> {
    let at = now();
    let mut events = vec![
        event(
            "created",
            at,
            "customer.subscription.created",
            &subscription_of(organization, "active", at),
        ),
        event("paid", at, "invoice.paid", &invoice(at + 30 * DAY)),
        event(
            "bought",
            at + 1,
            "checkout.session.completed",
            &checkout(organization),
        ),
        event(
            "ended",
            at + 2,
            "customer.subscription.deleted",
            &subscription("canceled", at),
        ),
    ];
    for told in &mut events {
        let text = told.to_string();
        let text = text.replace("cus_known", &format!("cus_{round}"));
        *told = serde_json::from_str(&text.replace("sub_known", &format!("sub_{round}"))).unwrap();
        told["id"] = format!("evt_{round}_{}", told["id"]).into();
    }
    // Each is sent first in some round.
    events.rotate_left(round % 4);
    events
}
