//! With a key to its API Stripe is asked what became of a subscription whenever an event is about it.

use fastrand::shuffle;
use sendpromptly_tests::bodies::unique;
use sendpromptly_tests::endpoint::Reply;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{Api, Signer, checkout, event, invoice, now, subscription, subscription_of};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::Value;

use super::{API_KEY, DAY, asking, end_trial, receipts_become, status, subscribe};

on_both_stores!(
    what_stripe_answers_decides_whatever_order_events_come_in,
    while_stripe_gives_no_answer_events_decide_and_it_is_asked_again,
    a_stripe_that_hangs_holds_up_no_webhook_and_a_kill_loses_no_question,
    what_stripe_knows_no_longer_is_what_its_events_say,
    a_change_of_which_no_webhook_came_is_found_within_a_day,
);

const UPDATED: &str = "customer.subscription.updated";

/// Waits until the subscription is in this state, and nothing is to be asked any more.
async fn comes_to(world: &World, expected: &str) {
    eventually(&format!("the subscription is {expected}"), async || {
        (open_questions(world).await == 0 && status(world).await == [expected]).then_some(())
    })
    .await;
}

async fn open_questions(world: &World) -> usize {
    let due = "SELECT subscription AS t FROM stripe_subscriptions WHERE read_due_at IS NOT NULL";
    world.sql().await.texts(due).await.len()
}

/// Lets every wait and every lease be over.
async fn bring_forward(world: &World) {
    let due = "UPDATE stripe_subscriptions SET read_due_at = 1 WHERE read_due_at IS NOT NULL";
    world.sql().await.run(due).await;
}

/// Waits until a question has failed and is due another time.
async fn has_failed(world: &World, tries: usize) {
    let failed =
        "SELECT CAST(tries AS text) AS t FROM stripe_subscriptions WHERE lease_token IS NULL AND tries > 0";
    eventually(&format!("{tries} tries have failed"), async || {
        let found = world.sql().await.texts(failed).await;
        (found == [tries.to_string()]).then_some(())
    })
    .await;
}

async fn deliver(world: &World, signer: &mut Signer, events: &[Value]) {
    for told in events {
        let answer = signer.deliver(world, told).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

async fn what_stripe_answers_decides_whatever_order_events_come_in(kind: StoreKind) {
    let at = now();
    let paid_until = at + 30 * DAY;
    let stripe = Api::start(Reply::Json(subscription("past_due", paid_until))).await;
    let world = World::start_with(kind, &asking(&stripe.url()), &[]).await;
    let mut signer = Signer::start().await;
    // All of one second: what they say in their order is not what is true.
    let mut story = vec![
        event(
            "evt_1",
            at,
            UPDATED,
            &subscription_of(&world.organization, "past_due", at),
        ),
        event(
            "evt_2",
            at,
            UPDATED,
            &subscription_of(&world.organization, "active", at),
        ),
        event("evt_3", at, "invoice.paid", &invoice(at)),
        event(
            "evt_4",
            at,
            "checkout.session.completed",
            &checkout(&world.organization),
        ),
    ];
    for _ in 0..3 {
        shuffle(&mut story);
        deliver(&world, &mut signer, &story).await;
        comes_to(&world, "past_due").await;
    }
    let sql = world.sql().await;
    let stored = sql
        .texts("SELECT CAST(paid_until AS text) AS t FROM organizations")
        .await;
    assert_eq!(stored, [(paid_until * 1_000).to_string()]);
    let asked = stripe.after_questions(1).await;
    assert!(
        asked.len() <= 4,
        "what comes again is no reason to ask: {}",
        asked.len()
    );
    for call in asked {
        assert!(
            call.request_line.starts_with("GET /v1/subscriptions/sub_known "),
            "{}",
            call.request_line
        );
        assert_eq!(call.header("authorization"), format!("Bearer {API_KEY}"));
    }
    // An event that comes late says nothing that is not asked after.
    stripe.answers(Reply::Json(subscription("canceled", paid_until)));
    let late = event(
        "evt_0",
        at - DAY,
        UPDATED,
        &subscription_of(&world.organization, "active", at),
    );
    deliver(&world, &mut signer, &[late]).await;
    comes_to(&world, "canceled").await;
    assert!(!world.server.log().contains("sk_test"));
    assert_eq!(world.cli.run(&["audit", "verify"]).await.code, 0);
}

async fn while_stripe_gives_no_answer_events_decide_and_it_is_asked_again(kind: StoreKind) {
    let stripe = Api::start(Reply::Text(500, "canary-words-of-stripe")).await;
    let world = World::start_with(kind, &asking(&stripe.url()), &[]).await;
    let mut signer = Signer::start().await;
    end_trial(&world).await;
    subscribe(&world, &mut signer, "active").await;
    assert_eq!(status(&world).await, ["active"], "by its events");
    receipts_become(&world, "202").await;
    has_failed(&world, 1).await;
    let wrong = [
        Reply::HangUp,
        Reply::Text(401, "{}"),
        Reply::Text(200, "<html>canary</html>"),
        Reply::Text(200, r#"{"id":"sub_another","status":"canceled"}"#),
        Reply::Text(429, "{}"),
    ];
    for (failed, reply) in (1..).zip(wrong) {
        stripe.answers(reply);
        bring_forward(&world).await;
        has_failed(&world, failed + 1).await;
        assert_eq!(status(&world).await, ["active"]);
    }
    stripe.answers(Reply::Json(subscription("unpaid", now())));
    bring_forward(&world).await;
    comes_to(&world, "unpaid").await;
    receipts_become(&world, "402 subscription_required").await;
    let log = world.server.log();
    assert!(log.contains("is asked again") && !log.contains("canary"), "{log}");
}

async fn a_stripe_that_hangs_holds_up_no_webhook_and_a_kill_loses_no_question(kind: StoreKind) {
    let stripe = Api::start(Reply::Held(500)).await;
    let mut world = World::start_with(kind, &asking(&stripe.url()), &[]).await;
    let mut signer = Signer::start().await;
    end_trial(&world).await;
    subscribe(&world, &mut signer, "active").await;
    stripe.after_questions(1).await;
    // The question is under way, and events are heard and count meanwhile.
    let told = event(
        &unique("evt"),
        now() + 5,
        UPDATED,
        &subscription_of(&world.organization, "past_due", now()),
    );
    deliver(&world, &mut signer, &[told]).await;
    assert_eq!(status(&world).await, ["past_due"]);
    receipts_become(&world, "202").await;
    stripe.after_questions(2).await;
    world.server.kill().await;
    assert_eq!(open_questions(&world).await, 1);
    stripe.answers(Reply::Json(subscription("active", now())));
    bring_forward(&world).await;
    world.restart(&asking(&stripe.url())).await;
    comes_to(&world, "active").await;
    assert!(stripe.questions() >= 3);
}

async fn what_stripe_knows_no_longer_is_what_its_events_say(kind: StoreKind) {
    let stripe = Api::start(Reply::Json(subscription("active", now()))).await;
    let world = World::start_with(kind, &asking(&stripe.url()), &[]).await;
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "active").await;
    comes_to(&world, "active").await;
    stripe.answers(Reply::Text(404, r#"{"error":{"code":"resource_missing"}}"#));
    let ended = event(
        &unique("evt"),
        now(),
        "customer.subscription.deleted",
        &subscription_of(&world.organization, "canceled", now()),
    );
    deliver(&world, &mut signer, &[ended]).await;
    comes_to(&world, "canceled").await;
}

async fn a_change_of_which_no_webhook_came_is_found_within_a_day(kind: StoreKind) {
    let stripe = Api::start(Reply::Json(subscription("active", now()))).await;
    let world = World::start_with(kind, &asking(&stripe.url()), &[]).await;
    let mut signer = Signer::start().await;
    end_trial(&world).await;
    subscribe(&world, &mut signer, "active").await;
    comes_to(&world, "active").await;
    // The endpoint is off, and a day goes by.
    let sql = world.sql().await;
    let a_day_later = "UPDATE stripe_subscriptions SET look_at = look_at - 86400000";
    stripe.answers(Reply::Json(subscription("canceled", now())));
    sql.run(a_day_later).await;
    comes_to(&world, "canceled").await;
    receipts_become(&world, "402 subscription_required").await;
    let looks = "SELECT count(*) AS n FROM stripe_subscriptions WHERE look_at IS NOT NULL";
    assert_eq!(sql.count(looks).await, 0, "what has ended is not asked for again");
}
