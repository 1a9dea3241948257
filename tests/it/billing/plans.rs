//! What an organization may do in its trial, while it pays, and after.

use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{Signer, event, now, subscription_of};
use sendpromptly_tests::world::World;

use super::{DAY, end_trial, options, receipts_become, send_result, start, status, subscribe};

on_both_stores!(
    after_the_trial_receipts_are_refused_until_somebody_subscribes,
    a_payment_that_is_missing_is_waited_for_and_no_longer,
    without_billing_everything_is_allowed_for_ever,
);

async fn after_the_trial_receipts_are_refused_until_somebody_subscribes(kind: StoreKind) {
    let world = start(kind).await;
    let mut signer = Signer::start().await;
    let known = world.api().new_event().await;
    end_trial(&world).await;
    receipts_become(&world, "402 subscription_required").await;
    // What was accepted is seen through.
    assert_eq!(send_result(&world, &known).await, "202");
    // The order of checks: a key that is missing is told first, a body that is wrong later.
    let api = world.api();
    let request = api.request("/v1/receipt", &unique("key"), &receipt("evt_1"));
    let without_key = request.clone().without("idempotency-key").send(api.server).await;
    assert_eq!(without_key.verdict(), "400 missing_idempotency_key");
    let large = request.body("x".repeat(70_000)).send(api.server).await;
    assert_eq!(large.verdict(), "402 subscription_required");

    subscribe(&world, &mut signer, "active").await;
    receipts_become(&world, "202").await;
    let ended = event(
        &unique("evt"),
        now() + 60,
        "customer.subscription.deleted",
        &subscription_of(&world.organization, "canceled", now()),
    );
    assert_eq!(signer.deliver(&world, &ended).await.status, 200);
    receipts_become(&world, "402 subscription_required").await;
}

async fn a_payment_that_is_missing_is_waited_for_and_no_longer(kind: StoreKind) {
    let world = start(kind).await;
    let mut signer = Signer::start().await;
    end_trial(&world).await;
    subscribe(&world, &mut signer, "past_due").await;
    assert_eq!(status(&world).await, ["past_due"]);
    receipts_become(&world, "202").await;
    let sql = world.sql().await;
    let eight_days = 8 * DAY * 1_000;
    sql.run(&format!(
        "UPDATE organizations SET past_due_since = past_due_since - {eight_days}"
    ))
    .await;
    receipts_become(&world, "402 subscription_required").await;
    // A longer time of grace is the operator's to give.
    let mut world = world;
    world.server.stop().await;
    world.restart(&options().set("--billing-grace", "9d")).await;
    receipts_become(&world, "202").await;
}

async fn without_billing_everything_is_allowed_for_ever(kind: StoreKind) {
    let world = World::start(kind).await;
    end_trial(&world).await;
    let answer = world
        .api()
        .receipt(&unique("key"), &receipt(&unique("evt")))
        .await;
    assert_eq!(answer.verdict(), "202");
}
