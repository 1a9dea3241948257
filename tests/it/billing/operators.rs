//! What an operator is told of billing: by the doctor, and by metrics.

use sendpromptly_tests::bodies::unique;
use sendpromptly_tests::endpoint::Reply;
use sendpromptly_tests::http::Request;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{Api, SECRET, Signer, event, now, subscription, subscription_of, webhook};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

use super::{API_KEY, WEBHOOK_SECRET, asking, subscribe};

#[tokio::test]
async fn the_doctor_says_in_words_what_is_wrong_with_billing() {
    let stripe = Api::start(Reply::Text(200, r#"{"data":[]}"#)).await;
    let world = World::start_with(StoreKind::Sqlite, &asking(&stripe.url()), &[]).await;
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "past_due").await;
    let key = ("SENDPROMPTLY_STRIPE_API_KEY", API_KEY);
    let url = stripe.url();
    let to_stripe = ["doctor", "--stripe-price", "price_1", "--stripe-api-url", &url];
    let doctor = async |environment: &[(&str, &str)], arguments: &[&str], code: i32| {
        let mut cli = world.cli.clone();
        for (name, value) in environment {
            cli = cli.with(name, *value);
        }
        let output = cli.run(arguments).await;
        assert_eq!(output.code, code, "{output:?}");
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(!said.contains("canary") && !said.contains(SECRET), "{said}");
        said
    };
    let both = [(WEBHOOK_SECRET, SECRET), key];
    let none = doctor(&[], &["doctor"], 0).await;
    assert!(none.contains("nobody pays"), "{none}");
    let alone = doctor(&[(WEBHOOK_SECRET, SECRET)], &["doctor"], 0).await;
    assert!(alone.contains("advice  billing: no --stripe-api-key"), "{alone}");
    // A key without a secret is refused at the start of every command.
    let other = doctor(&[key], &to_stripe, 2).await;
    assert!(other.contains("--stripe-webhook-secret"), "{other}");

    let price =
        |more: Value| json!({"id": "price_1", "active": more["active"], "recurring": more["recurring"]});
    let monthly = json!({"interval": "month"});
    let fits = price(json!({"active": true, "recurring": monthly}));
    stripe.answers_to("GET /v1/prices/price_1 ", Reply::Json(fits));
    let well = doctor(&both, &to_stripe, 0).await;
    for word in [
        "Stripe takes the key",
        "Stripe has --stripe-price",
        "test mode",
        "past_due 1",
    ] {
        assert!(well.contains(word), "{word} in {well}");
    }
    let once = price(json!({"active": true, "recurring": null}));
    let archived = price(json!({"active": false, "recurring": monthly}));
    for (reply, code, word) in [
        (Reply::Json(once), 1, "is paid once"),
        (Reply::Json(archived), 1, "is not active"),
        (Reply::Text(404, "{}"), 1, "is none that Stripe knows"),
        (Reply::Text(500, "canary"), 1, "cannot be looked at"),
        (Reply::Text(403, "canary"), 0, "may not read prices"),
    ] {
        stripe.answers_to("GET /v1/prices/price_1 ", reply);
        let said = doctor(&both, &to_stripe, code).await;
        assert!(
            said.contains("Stripe takes the key") && said.contains(word),
            "{word} in {said}"
        );
    }
    for (reply, word) in [
        (Reply::Text(401, "canary"), "it is none of its keys"),
        (Reply::Text(403, "canary"), "may not read subscriptions"),
        (Reply::Text(500, "canary"), "Stripe answered 500"),
        (Reply::HangUp, "is not reached"),
    ] {
        stripe.answers(reply);
        let sick = doctor(&both, &to_stripe, 1).await;
        assert!(
            sick.contains("wrong   billing:") && sick.contains(word),
            "{word} in {sick}"
        );
    }
}

#[tokio::test]
async fn webhooks_and_questions_are_counted_by_what_they_came_to() {
    let stripe = Api::start(Reply::Json(subscription("active", now()))).await;
    let options = asking(&stripe.url()).set("--metrics-listen", "127.0.0.1:0");
    let world = World::start_with(StoreKind::Sqlite, &options, &[]).await;
    let mut signer = Signer::start().await;
    let known = event(
        &unique("evt"),
        now(),
        "customer.subscription.updated",
        &subscription_of(&world.organization, "active", now()),
    );
    let other = event(&unique("evt"), now(), "charge.succeeded", &serde_json::json!({}));
    let mut live = known.clone();
    live["livemode"] = true.into();
    for told in [&known, &known, &other, &live] {
        assert_eq!(signer.deliver(&world, told).await.status, 200);
    }
    let forged = webhook("t=1,v1=00", "{}").send(world.server.address).await;
    assert_eq!(forged.status, 400);
    let unreadable = signer.deliver(&world, &serde_json::json!({})).await;
    assert_eq!(unreadable.status, 422);
    eventually("all of it is told", async || {
        let answer = Request::new("GET", "/metrics")
            .send(world.server.metrics_at())
            .await;
        let text = answer.text();
        let told = |line: &str| text.lines().any(|found| found == line);
        let webhooks = [
            "heard",
            "again",
            "passed_over",
            "other_mode",
            "not_signed",
            "unreadable",
        ];
        let all = webhooks.iter().all(|outcome| {
            told(&format!(
                "sendpromptly_stripe_webhooks_total{{outcome=\"{outcome}\"}} 1"
            ))
        });
        let asked = told("sendpromptly_stripe_reads_total{outcome=\"told\"} 1");
        let counted = text.contains("sendpromptly_organizations{subscription=\"none\"}");
        (all && asked && counted && !text.contains("sub_known")).then_some(())
    })
    .await;
}
