//! What Stripe sends is believed where it is signed, heard once, and forgotten but for the references.

use sendpromptly_tests::bodies::unique;
use sendpromptly_tests::endpoint::Reply;
use sendpromptly_tests::http::Request;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{
    Api, SECRET, Signer, checkout, event, invoice, now, subscription, subscription_of, webhook,
};
use sendpromptly_tests::world::World;

use super::{DAY, WEBHOOK_SECRET, asking, options, start, status, subscribe};
use crate::canary::{assert_absent, database};

on_both_stores!(
    webhooks_signed_by_stripes_library_change_the_subscription,
    what_stripe_has_not_signed_for_this_server_changes_nothing,
    webhooks_repeated_and_out_of_order_end_in_the_same_state,
    of_stripes_events_only_references_and_the_paid_time_are_stored,
    while_the_webhook_secret_rotates_both_are_believed,
    without_a_webhook_secret_nothing_is_believed,
    a_checkout_that_names_another_organization_takes_nothing_from_it,
    webhooks_of_the_other_mode_than_the_api_keys_are_not_heard,
);

async fn webhooks_of_the_other_mode_than_the_api_keys_are_not_heard(kind: StoreKind) {
    let stripe = Api::start(Reply::status(500)).await;
    let world = World::start_with(kind, &asking(&stripe.url()), &[]).await;
    let mut signer = Signer::start().await;
    let paid = subscription_of(&world.organization, "active", now() + DAY);
    let told = |id: &str, livemode: bool| {
        let mut told = event(id, now(), "customer.subscription.updated", &paid);
        told["livemode"] = livemode.into();
        told
    };
    for id in ["evt_1", "evt_2"] {
        // The key is one of test mode. Refused, Stripe would send it again for days.
        let answer = signer.deliver(&world, &told(id, true)).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, r#"{"received":true}"#)
        );
    }
    assert_eq!(status(&world).await, ["none"]);
    assert_eq!(world.sql().await.rows("stripe_events").await, 0);
    let log = world.server.log();
    assert_eq!(log.matches("another mode").count(), 1, "{log}");
    assert_eq!(signer.deliver(&world, &told("evt_1", false)).await.status, 200);
    assert_eq!(status(&world).await, ["active"]);
}

/// Whoever opens a payment link of the account may write any organization's id into its address.
async fn a_checkout_that_names_another_organization_takes_nothing_from_it(kind: StoreKind) {
    let world = start(kind).await;
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "active").await;
    let mut theirs = subscription("active", now() + DAY);
    let mut bought = checkout(&world.organization);
    for object in [&mut theirs, &mut bought] {
        object["customer"] = "cus_stranger".into();
    }
    theirs["id"] = "sub_stranger".into();
    bought["subscription"] = "sub_stranger".into();
    for told in [
        event("evt_s1", now() + 5, "customer.subscription.created", &theirs),
        event("evt_s2", now() + 6, "checkout.session.completed", &bought),
    ] {
        assert_eq!(signer.deliver(&world, &told).await.status, 200);
    }
    let stored = "SELECT stripe_customer || ' ' || stripe_subscription AS t FROM organizations";
    assert_eq!(world.sql().await.texts(stored).await, ["cus_known sub_known"]);
}

async fn webhooks_signed_by_stripes_library_change_the_subscription(kind: StoreKind) {
    let world = start(kind).await;
    let mut signer = Signer::start().await;
    let mut at = now();
    subscribe(&world, &mut signer, "active").await;
    assert_eq!(status(&world).await, ["active"]);
    for (kind, state, expected) in [
        ("customer.subscription.updated", "past_due", "past_due"),
        ("customer.subscription.updated", "unpaid", "unpaid"),
        ("customer.subscription.paused", "paused", "paused"),
        ("customer.subscription.resumed", "active", "active"),
        ("customer.subscription.deleted", "canceled", "canceled"),
        ("customer.subscription.updated", "active", "canceled"),
    ] {
        at += 10;
        let told = event(
            &unique("evt"),
            at,
            kind,
            &subscription_of(&world.organization, state, at + DAY),
        );
        let answer = signer.deliver(&world, &told).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, r#"{"received":true}"#)
        );
        assert_eq!(status(&world).await, [expected], "{kind} {state}");
    }
    // What says nothing of a subscription is answered, or Stripe would send it for days.
    let other = event(
        "evt_other",
        at,
        "charge.succeeded",
        &serde_json::json!({"id": "ch_1"}),
    );
    assert_eq!(signer.deliver(&world, &other).await.status, 200);
    let sql = world.sql().await;
    let told = "SELECT action AS t FROM audit_entries WHERE action = 'subscription.changed'";
    assert_eq!(sql.texts(told).await.len(), 6, "one for each state");
    assert_eq!(world.cli.run(&["audit", "verify"]).await.code, 0);
}

async fn what_stripe_has_not_signed_for_this_server_changes_nothing(kind: StoreKind) {
    let world = start(kind).await;
    let mut signer = Signer::start().await;
    let told = event(
        "evt_1",
        now(),
        "checkout.session.completed",
        &checkout(&world.organization),
    )
    .to_string();
    let right = signer.sign(SECRET, now(), &told).await;
    let (time, v1) = right.split_once(',').unwrap();
    let foreign = signer.sign("whsec_another", now(), &told).await;
    let stale = signer.sign(SECRET, now() - 301, &told).await;
    let early = signer.sign(SECRET, now() + 330, &told).await;
    let of_other_body = signer.sign(SECRET, now(), "{}").await;
    for header in [
        "",
        "v1=",
        time,
        v1,
        &foreign,
        &stale,
        &early,
        &of_other_body,
        &right[..right.len() - 1],
        &format!("{time},{}", [v1; 9].join(",")),
        &right.replace("v1=", "v0="),
    ] {
        let answer = webhook(header, &told).send(world.server.address).await;
        assert_eq!(answer.verdict(), "400 invalid_signature", "{header}");
    }
    let unsigned = webhook(&right, &told).without("stripe-signature");
    let twice = webhook(&right, &told).header("stripe-signature", &right);
    let changed = webhook(&right, &told.replace("evt_1", "evt_2"));
    let truncated = webhook(&right, &told[..told.len() - 1]);
    for request in [unsigned, twice, changed, truncated] {
        let answer = request.send(world.server.address).await;
        assert_eq!(answer.verdict(), "400 invalid_signature");
    }
    let huge = " ".repeat(256 * 1_024 + 1);
    let signed = signer.sign(SECRET, now(), &huge).await;
    let answer = webhook(&signed, &huge).send(world.server.address).await;
    assert_eq!(answer.verdict(), "413 payload_too_large");
    for unreadable in ["", "{", "[]", r#"{"id":"evt_1"}"#] {
        let signed = signer.sign(SECRET, now(), unreadable).await;
        let answer = webhook(&signed, unreadable).send(world.server.address).await;
        assert_eq!(answer.verdict(), "422 validation_error", "{unreadable}");
    }
    assert_eq!(status(&world).await, ["none"]);
    assert_eq!(world.sql().await.rows("stripe_events").await, 0);
    // One of several signatures is enough, as while Stripe rotates a secret of its own.
    let doubly = format!("{time},{},{v1}", foreign.split_once(',').unwrap().1);
    assert_eq!(
        webhook(&doubly, &told).send(world.server.address).await.status,
        200
    );
}

async fn webhooks_repeated_and_out_of_order_end_in_the_same_state(kind: StoreKind) {
    let world = start(kind).await;
    let mut signer = Signer::start().await;
    let at = now();
    let active = subscription_of(&world.organization, "active", at + 30 * DAY);
    let mut story = vec![
        event(
            "evt_1",
            at,
            "customer.subscription.created",
            &subscription_of(&world.organization, "incomplete", at),
        ),
        event("evt_2", at, "invoice.paid", &invoice(at + 30 * DAY)),
        event("evt_3", at, "customer.subscription.updated", &active),
        event(
            "evt_4",
            at + 1,
            "checkout.session.completed",
            &checkout(&world.organization),
        ),
        event(
            "evt_5",
            at + 50,
            "invoice.payment_failed",
            &invoice(at + 60 * DAY),
        ),
        event(
            "evt_6",
            at + 50,
            "customer.subscription.updated",
            &subscription_of(&world.organization, "past_due", at + 60 * DAY),
        ),
    ];
    let columns = "coalesce(subscription_status, '') || ' ' || coalesce(past_due_since, 0) || ' ' ||
        coalesce(paid_until, 0) || ' ' || coalesce(stripe_customer, '') || ' ' || coalesce(stripe_subscription, '')";
    let stored = format!("SELECT {columns} AS t FROM organizations");
    let since = (at + 50) * 1_000;
    let paid_until = (at + 60 * DAY) * 1_000;
    let expected = format!("past_due {since} {paid_until} cus_known sub_known");
    for round in 0..4 {
        let sql = world.sql().await;
        sql.run("DELETE FROM stripe_events").await;
        sql.run("UPDATE organizations SET subscription_status = NULL, stripe_subscription = NULL")
            .await;
        fastrand::shuffle(&mut story);
        let repeats: Vec<_> = (0..3)
            .map(|_| story[fastrand::usize(..story.len())].clone())
            .collect();
        for told in story.iter().chain(&repeats) {
            assert_eq!(signer.deliver(&world, told).await.status, 200);
        }
        assert_eq!(
            sql.texts(&stored).await,
            [expected.as_str()],
            "round {round}: {story:?}"
        );
        assert_eq!(sql.rows("stripe_events").await, 6);
        sql.close().await;
    }
}

async fn of_stripes_events_only_references_and_the_paid_time_are_stored(kind: StoreKind) {
    let options = options().set("--log", "trace");
    let mut world = World::start_with(kind, &options, &[]).await;
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "active").await;
    let paid = event("evt_canary-id", now(), "invoice.paid", &invoice(now() + 30 * DAY));
    assert_eq!(signer.deliver(&world, &paid).await.status, 200);
    let running = database(&world).await;
    world.server.stop().await;
    let logs = [world.server.log(), world.server.output()].join("\n");
    let places = [
        ("the database while running", running),
        ("the database after a stop", database(&world).await),
        ("the log", logs),
    ];
    for (place, text) in &places {
        for word in [
            "canary",
            "Canary",
            "whsec_tests",
            "invoice.paid",
            "2026-10-29.basil",
        ] {
            assert_absent(place, text, word);
        }
    }
    // And the search finds what is kept.
    for reference in ["cus_known", "sub_known"] {
        assert!(places[1].1.contains(reference), "{reference}");
    }
}

async fn while_the_webhook_secret_rotates_both_are_believed(kind: StoreKind) {
    let both = format!("whsec_new,{SECRET}");
    let options = Options::quick().environment(WEBHOOK_SECRET, &both);
    let world = World::start_with(kind, &options, &[]).await;
    let mut signer = Signer::start().await;
    for (secret, expected) in [("whsec_new", 200), (SECRET, 200), ("whsec_old", 400)] {
        let told = event(&unique("evt"), now(), "customer.updated", &serde_json::json!({})).to_string();
        let header = signer.sign(secret, now(), &told).await;
        let answer = webhook(&header, &told).send(world.server.address).await;
        assert_eq!(answer.status, expected, "{secret}");
    }
}

async fn without_a_webhook_secret_nothing_is_believed(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut signer = Signer::start().await;
    let told = event(
        "evt_1",
        now(),
        "checkout.session.completed",
        &checkout(&world.organization),
    )
    .to_string();
    for header in [
        "",
        &signer.sign("whsec_", now(), &told).await,
        &signer.sign(SECRET, now(), &told).await,
    ] {
        let answer = webhook(header, &told).send(world.server.address).await;
        assert_eq!(answer.verdict(), "404 not_found");
    }
    let answer = Request::new("GET", "/webhooks/stripe")
        .send(world.server.address)
        .await;
    assert_eq!(answer.verdict(), "405 method_not_allowed");
    assert_eq!(world.sql().await.rows("stripe_events").await, 0);
}
