//! Organizations pay through Stripe: its webhooks, what follows from them, and where owners are led to.

use sendpromptly_tests::bodies::{receipt, result, unique};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{SECRET, Signer, checkout, event, now, subscription_of};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

mod at_once;
mod checkouts;
mod console;
mod operators;
mod plans;
mod questions;
mod webhooks;

const WEBHOOK_SECRET: &str = "SENDPROMPTLY_STRIPE_WEBHOOK_SECRET";
const DAY: i64 = 86_400;

fn options() -> Options {
    Options::quick().environment(WEBHOOK_SECRET, SECRET)
}

const API_KEY: &str = "sk_test_canary-stripe-key";

/// The options of a server that asks Stripe's API at this address.
fn asking(url: &str) -> Options {
    options()
        .environment("SENDPROMPTLY_STRIPE_API_KEY", API_KEY)
        .set("--stripe-price", "price_monthly")
        .set("--stripe-api-url", url)
}

async fn start(kind: StoreKind) -> World {
    World::start_with(kind, &options(), &[]).await
}

/// Lets the organization have been made long ago, so that its trial is over.
async fn end_trial(world: &World) {
    world
        .sql()
        .await
        .run("UPDATE organizations SET created_at = 1000")
        .await;
}

/// The subscription's state as it is stored.
async fn status(world: &World) -> Vec<String> {
    let stored = "SELECT coalesce(subscription_status, 'none') AS t FROM organizations";
    world.sql().await.texts(stored).await
}

/// The organization checks out, and its subscription is in this state.
async fn subscribe(world: &World, signer: &mut Signer, state: &str) {
    let at = now();
    for event in [
        event(
            &unique("evt"),
            at,
            "checkout.session.completed",
            &checkout(&world.organization),
        ),
        event(
            &unique("evt"),
            at,
            "customer.subscription.updated",
            &subscription_of(&world.organization, state, at + 30 * DAY),
        ),
    ] {
        let answer = signer.deliver(world, &event).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// Waits until receipts are answered so.
async fn receipts_become(world: &World, verdict: &str) {
    eventually(&format!("receipts are answered {verdict}"), async || {
        let answer = world
            .api()
            .receipt(&unique("key"), &receipt(&unique("evt")))
            .await;
        (answer.verdict() == verdict).then_some(())
    })
    .await;
}

async fn send_result(world: &World, event: &str) -> String {
    let answer = world.api().result(&unique("key"), &result(event, "failed")).await;
    answer.verdict()
}
