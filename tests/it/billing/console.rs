//! The page of the plan, the way to Stripe's pages, and what is left in the console once the plan is over.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::endpoint::{Call, Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::{member, owner};
use sendpromptly_tests::person::age_what_was_shown;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{Signer, event, now, subscription_of};
use sendpromptly_tests::world::World;

use super::{API_KEY, asking, end_trial, start, subscribe};
use crate::console_projects::confirmed_owner;

on_both_stores!(
    an_owner_is_led_to_stripes_checkout_and_the_log_tells_of_it,
    an_owner_is_led_to_stripes_portal_and_the_log_tells_of_it,
    until_stripe_tells_of_a_payment_nobody_is_led_to_pay_again,
    a_customer_that_stripe_no_longer_knows_subscribes_as_a_new_one,
    several_subscriptions_of_one_organization_are_told_of,
    an_organization_that_pays_is_not_deleted_before_its_subscription_ends,
    while_a_checkout_can_be_paid_its_organization_is_not_deleted,
    an_organization_that_is_to_be_deleted_does_not_subscribe,
    what_goes_wrong_at_stripe_is_told_and_leads_nowhere,
    billing_is_the_owners_and_takes_the_password,
    after_the_end_the_console_reads_exports_and_bills_and_changes_nothing,
    after_the_end_payloads_are_deleted_and_not_kept_anew,
    after_the_end_a_providers_secret_is_replaced_and_no_intake_begins,
);

const PAGE: &str = r#"{"id":"cs_1","url":"https://checkout.stripe.com/c/pay/cs_1#x"}"#;

/// A world whose owners pay at this double of Stripe's.
async fn paying_at(kind: StoreKind, stripe: &Endpoint) -> World {
    let url = stripe.url().replace("/repair", "");
    World::start_with(kind, &asking(&url), &[]).await
}

fn billing(world: &World) -> String {
    format!("/orgs/{}/billing", world.organization)
}

/// What was sent to Stripe, beside questions after webhooks.
fn posted(stripe: &Endpoint) -> Vec<Call> {
    let mut calls = stripe.calls();
    calls.retain(|call| call.request_line.starts_with("POST "));
    calls
}

async fn actions(world: &World, action: &str) -> usize {
    let query = format!("SELECT action AS t FROM audit_entries WHERE action = '{action}'");
    world.sql().await.texts(&query).await.len()
}

/// The fields of a form that Stripe was sent.
fn fields(call: &Call) -> Vec<(String, String)> {
    assert_eq!(call.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(call.header("authorization"), format!("Bearer {API_KEY}"));
    let body = String::from_utf8(call.body.clone()).unwrap();
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, more @ ..] = rest {
            rest = more;
            if *first == b'%' {
                let digits = std::str::from_utf8(&more[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &more[2..];
            } else {
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    let pairs = body.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

async fn an_owner_is_led_to_stripes_checkout_and_the_log_tells_of_it(kind: StoreKind) {
    let stripe = Endpoint::start(|_, _| Reply::Text(200, PAGE)).await;
    let world = paying_at(kind, &stripe).await;
    let mut browser = owner(&world).await;
    let page = browser.visit(&billing(&world)).await.ok();
    assert!(
        page.text_of("[data-test=plan]").contains("Trial"),
        "{}",
        page.text()
    );
    assert!(!page.has("[data-test=manage]"));
    let page = browser.submit(page.form("/billing/checkout")).await.ok();
    assert_eq!(
        page.link("Go on to Stripe"),
        "https://checkout.stripe.com/c/pay/cs_1#x"
    );
    let [call] = <[Call; 1]>::try_from(posted(&stripe)).unwrap();
    assert!(
        call.request_line.starts_with("POST /v1/checkout/sessions "),
        "{}",
        call.request_line
    );
    let key = call.header("idempotency-key");
    assert!(
        key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{key}"
    );
    let back = format!("http://{}{}", world.server.address, billing(&world));
    let expected = [
        ("mode", "subscription"),
        ("line_items[0][price]", "price_monthly"),
        ("line_items[0][quantity]", "1"),
        ("client_reference_id", &world.organization),
        (
            "subscription_data[metadata][organization_id]",
            &world.organization,
        ),
        ("success_url", &format!("{back}?paid=1")),
        ("cancel_url", &back),
        ("customer_email", "acme@example.com"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(fields(&call), expected);
    assert_eq!(actions(&world, "billing.checkout_started").await, 1);
    assert!(!world.server.log().contains(API_KEY));
    // Nothing is believed but what Stripe signs.
    let page = browser.visit(&billing(&world)).await.ok();
    assert!(page.text_of("[data-test=plan]").contains("Trial"));
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "active").await;
    let page = browser.visit(&billing(&world)).await.ok();
    assert!(page.text_of("[data-test=plan]").contains("Subscribed"));
    assert!(page.has("[data-test=paid-until]") && !page.has("[data-test=subscribe]"));
}

async fn an_owner_is_led_to_stripes_portal_and_the_log_tells_of_it(kind: StoreKind) {
    let stripe = Endpoint::start(|_, _| Reply::Text(200, PAGE)).await;
    let world = paying_at(kind, &stripe).await;
    let mut signer = Signer::start().await;
    end_trial(&world).await;
    subscribe(&world, &mut signer, "past_due").await;
    let mut browser = owner(&world).await;
    let page = browser.visit(&billing(&world)).await.ok();
    assert!(page.text_of("[data-test=plan]").contains("A payment is missing"));
    let page = browser.submit(page.form("/billing/portal")).await.ok();
    assert!(page.has("[data-test=go]"));
    let [call] = <[Call; 1]>::try_from(posted(&stripe)).unwrap();
    assert!(call.request_line.starts_with("POST /v1/billing_portal/sessions "));
    let back = format!("http://{}{}", world.server.address, billing(&world));
    let expected = [("customer", "cus_known"), ("return_url", &back)];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(fields(&call), expected);
    assert_eq!(actions(&world, "billing.portal_opened").await, 1);
    // Who has a subscription is not led into a second one.
    let page = browser.visit(&billing(&world)).await.ok();
    let form = page.form("/billing/portal");
    let token = form.value("form").to_owned();
    let path = format!("{}/checkout", billing(&world));
    let refused = browser.post(&path, &[("form", token.as_str())]).await;
    assert_eq!(refused.status(), 409, "{}", refused.text());
    assert_eq!(posted(&stripe).len(), 1);
}

async fn until_stripe_tells_of_a_payment_nobody_is_led_to_pay_again(kind: StoreKind) {
    let stripe = Endpoint::start(|number, call| match call.request_line.as_str() {
        line if line.starts_with("GET ") => Reply::Text(500, "{}"),
        _ if number == 0 => Reply::Text(200, PAGE),
        _ => Reply::Text(200, r#"{"url":"https://checkout.stripe.com/c/pay/cs_2"}"#),
    })
    .await;
    let world = paying_at(kind, &stripe).await;
    let mut browser = owner(&world).await;
    let first = browser.visit(&billing(&world)).await.ok();
    let second = browser.visit(&billing(&world)).await.ok();
    let subscribe_by = async |browser: &mut Browser, page: &Page| {
        let page = browser.submit(page.form("/billing/checkout")).await.ok();
        page.link("Go on to Stripe")
    };
    let led_to = subscribe_by(&mut browser, &first).await;
    // Stripe leads back, and has not told of the payment yet.
    let back = format!("{}?paid=1", billing(&world));
    let page = browser.visit(&back).await.ok();
    assert!(page.has("[data-test=awaits]") && !page.has("[data-test=subscribe]"));
    // Whoever presses it again, in another window or as another owner, is led to the page that was paid.
    assert_eq!(subscribe_by(&mut browser, &second).await, led_to);
    let page = browser.visit(&billing(&world)).await.ok();
    assert!(page.has("[data-test=open]"));
    assert_eq!(subscribe_by(&mut browser, &page).await, led_to);
    assert_eq!(posted(&stripe).len(), 1, "one page was made");
    let sql = world.sql().await;
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "active").await;
    let kept = "SELECT count(*) AS n FROM organizations WHERE checkout_url IS NOT NULL";
    assert_eq!(sql.count(kept).await, 0);
}

async fn a_customer_that_stripe_no_longer_knows_subscribes_as_a_new_one(kind: StoreKind) {
    let gone = r#"{"error":{"code":"resource_missing","param":"customer","message":"No such customer"}}"#;
    let stripe = Endpoint::start(move |number, _| match number {
        0 => Reply::Text(400, gone),
        _ => Reply::Text(200, PAGE),
    })
    .await;
    let world = paying_at(kind, &stripe).await;
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "canceled").await;
    let mut browser = owner(&world).await;
    let page = browser.visit(&billing(&world)).await.ok();
    let page = browser.submit(page.form("/billing/checkout")).await.ok();
    assert!(page.has("[data-test=go]"));
    let calls = stripe.calls();
    let has = |call: &Call, name: &str| fields(call).iter().any(|(field, _)| field == name);
    assert!(has(&calls[0], "customer") && has(&calls[1], "customer_email"));
    assert_ne!(
        calls[0].header("idempotency-key"),
        calls[1].header("idempotency-key")
    );
}

async fn several_subscriptions_of_one_organization_are_told_of(kind: StoreKind) {
    let stripe = Endpoint::start(|_, _| Reply::Text(200, PAGE)).await;
    let world = paying_at(kind, &stripe).await;
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "active").await;
    let mut browser = owner(&world).await;
    let page = browser.visit(&billing(&world)).await.ok();
    assert!(!page.has("[data-test=too-many]"));
    let mut second = subscription_of(&world.organization, "active", now() + 1_000);
    second["id"] = "sub_second".into();
    second["customer"] = "cus_second".into();
    let told = event(
        "evt_second",
        now() - 1_000,
        "customer.subscription.created",
        &second,
    );
    assert_eq!(signer.deliver(&world, &told).await.status, 200);
    let page = browser.visit(&billing(&world)).await.ok();
    assert!(page.text_of("[data-test=too-many]").contains("2 subscriptions"));
    assert_eq!(actions(&world, "subscription.changed").await, 2);
}

async fn an_organization_that_pays_is_not_deleted_before_its_subscription_ends(kind: StoreKind) {
    let stripe = Endpoint::start(|_, _| Reply::Text(200, PAGE)).await;
    let world = paying_at(kind, &stripe).await;
    let mut signer = Signer::start().await;
    let mut browser = confirmed_owner(&world).await;
    let path = format!("/orgs/{}/delete", world.organization);
    let page = browser.visit(&path).await.ok();
    assert!(!page.has("[data-test=pays]"));
    let form = page.form("/delete").set("name", "acme");
    subscribe(&world, &mut signer, "active").await;
    let refused = browser.submit(form).await;
    assert_eq!(refused.status(), 409, "{}", refused.text());
    assert!(refused.has("[data-test=pays]") && !refused.has("[data-test=delete-organization]"));
    assert_eq!(refused.link("End the subscription"), billing(&world));
    let delete = ["org", "delete", &world.organization];
    let at_the_command_line = world.cli.run(&delete).await;
    assert_eq!(at_the_command_line.code, 1);
    assert!(at_the_command_line.stderr.contains("has a subscription"));
    let due = "SELECT count(*) AS n FROM organizations WHERE deletion_due_at IS NOT NULL";
    assert_eq!(world.sql().await.count(due).await, 0);
    let all_the_same = [&delete[..], &["--subscription-goes-on"]].concat();
    let _ = world.cli.run(&all_the_same).await.json();
    assert_eq!(world.sql().await.count(due).await, 1);
}

async fn while_a_checkout_can_be_paid_its_organization_is_not_deleted(kind: StoreKind) {
    let stripe = Endpoint::start(|_, _| Reply::Text(200, PAGE)).await;
    let world = paying_at(kind, &stripe).await;
    let mut browser = confirmed_owner(&world).await;
    let page = browser.visit(&billing(&world)).await.ok();
    let _ = browser.submit(page.form("/billing/checkout")).await.ok();
    let path = format!("/orgs/{}/delete", world.organization);
    let page = browser.visit(&path).await.ok();
    assert!(page.has("[data-test=begun]") && !page.has("[data-test=delete-organization]"));
    let refused = world.cli.run(&["org", "delete", &world.organization]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let over = "UPDATE organizations SET checkout_expires_at = 1000";
    assert_eq!(world.sql().await.run(over).await, 1);
    let page = browser.visit(&path).await.ok();
    assert!(!page.has("[data-test=begun]"));
    let form = page.form("/delete").set("name", "acme");
    assert_eq!(browser.submit(form).await.status(), 303);
}

async fn an_organization_that_is_to_be_deleted_does_not_subscribe(kind: StoreKind) {
    let stripe = Endpoint::start(|_, _| Reply::Text(200, PAGE)).await;
    let world = paying_at(kind, &stripe).await;
    let _ = world
        .cli
        .run(&["org", "delete", &world.organization])
        .await
        .json();
    let mut browser = owner(&world).await;
    let page = browser.visit(&billing(&world)).await.ok();
    let refused = browser.submit(page.form("/billing/checkout")).await;
    assert_eq!(refused.status(), 409, "{}", refused.text());
    assert!(
        refused
            .text_of("[data-test=refusal]")
            .contains("is to be deleted")
    );
    assert_eq!(posted(&stripe).len(), 0);
}

async fn what_goes_wrong_at_stripe_is_told_and_leads_nowhere(kind: StoreKind) {
    let stripe = Endpoint::start(|number, _| match number {
        0 => Reply::Text(500, "{\"error\":{\"message\":\"canary-words-of-stripe\"}}"),
        1 => Reply::HangUp,
        2 => Reply::Text(200, "{\"url\":\"javascript:alert(1)\"}"),
        _ => Reply::Text(402, "{}"),
    })
    .await;
    let world = paying_at(kind, &stripe).await;
    let mut browser = owner(&world).await;
    for word in [
        "Stripe answered 500",
        "did not answer",
        "cannot read",
        "Stripe answered 402",
    ] {
        let page = browser.visit(&billing(&world)).await.ok();
        let page = browser.submit(page.form("/billing/checkout")).await;
        assert_eq!(page.status(), 502, "{}", page.text());
        let refusal = page.text_of("[data-test=refusal]");
        assert!(
            refusal.contains(word) && refusal.contains("nothing was paid"),
            "{refusal}"
        );
        assert!(!page.text().contains("canary") && !page.has("[data-test=go]"));
    }
    assert_eq!(actions(&world, "billing.checkout_started").await, 0);
}

async fn billing_is_the_owners_and_takes_the_password(kind: StoreKind) {
    let stripe = Endpoint::start(|_, _| Reply::Text(200, PAGE)).await;
    let world = paying_at(kind, &stripe).await;
    let mut admin = member(&world, "admin").await;
    assert_eq!(admin.visit(&billing(&world)).await.status(), 403);
    let mut browser = owner(&world).await;
    let page = browser.visit(&billing(&world)).await.ok();
    age_what_was_shown(&world, 660_000).await;
    let asked = browser.submit(page.form("/billing/checkout")).await;
    assert!(asked.has("#step_up_password"), "{}", asked.text());
    assert_eq!(posted(&stripe).len(), 0);
    let form = asked
        .form("/billing/checkout")
        .set("step_up_password", "correct horse battery");
    assert!(browser.submit(form).await.ok().has("[data-test=go]"));
}

async fn after_the_end_the_console_reads_exports_and_bills_and_changes_nothing(kind: StoreKind) {
    let world = start(kind).await;
    let (_, incident) = world.api().new_incident().await;
    let mut browser = owner(&world).await;
    let organization = format!("/orgs/{}", world.organization);
    let incident = format!("{organization}/incidents/{incident}");
    let settings = browser.visit(&format!("{organization}/settings")).await.ok();
    let dismissal = browser.visit(&incident).await.ok();
    end_trial(&world).await;
    let refused = |page: Page| {
        assert_eq!(page.status(), 402, "{}", page.text());
        assert!(page.text().contains("subscription has ended"), "{}", page.text());
    };
    refused(
        browser
            .submit(settings.form("/settings").set("name", "Another"))
            .await,
    );
    refused(
        browser
            .submit(dismissal.form("/dismiss").set("reason", "not ours"))
            .await,
    );
    for path in [
        "",
        "/incidents",
        "/projects",
        "/members",
        "/audit",
        "/settings",
        "/billing",
    ] {
        browser.visit(&format!("{organization}{path}")).await.ok();
    }
    let page = browser.visit(&format!("{organization}/billing")).await.ok();
    assert!(page.text_of("[data-test=plan]").contains("Ended"));
    let log = browser.visit(&format!("{organization}/audit")).await.ok();
    let export = browser.submit(log.form("/audit/export")).await;
    assert_eq!(export.status(), 200);
    // A payload that is kept is read, and what has leaked is cut off: they are refused by their own rules only.
    let project = format!("{organization}/projects/{}", world.project.id);
    for path in [
        format!("{incident}/snapshot"),
        format!("{organization}/incidents/preview"),
        format!("{project}/intake/secret"),
        format!("{project}/intake/stop"),
    ] {
        let page = browser.visit(&format!("{organization}/settings")).await.ok();
        let token = page.form("/settings").value("form").to_owned();
        let answer = browser.post(&path, &[("form", token.as_str())]).await;
        assert_ne!(answer.status(), 402, "{path}");
    }
    // And all of it again once somebody pays.
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "active").await;
    let settings = browser.visit(&format!("{organization}/settings")).await.ok();
    let saved = browser
        .submit(settings.form("/settings").set("name", "Another"))
        .await;
    assert_eq!(saved.status(), 303, "{}", saved.text());
}

async fn after_the_end_payloads_are_deleted_and_not_kept_anew(kind: StoreKind) {
    let world = start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    end_trial(&world).await;
    let settings = format!(
        "/orgs/{}/projects/{}/settings",
        world.organization, world.project.id
    );
    for (turned_on, expected) in [
        (Some("keep_snapshots"), 402),
        (Some("send_payload"), 402),
        (None, 303),
    ] {
        let page = browser.visit(&settings).await.ok();
        let form = page.form("/snapshots");
        let form = match turned_on {
            Some(field) => form.set(field, "true"),
            None => form.set("delete_snapshots", "true"),
        };
        let answer = browser.submit(form).await;
        assert_eq!(answer.status(), expected, "{turned_on:?}");
    }
}

async fn after_the_end_a_providers_secret_is_replaced_and_no_intake_begins(kind: StoreKind) {
    let world = start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    let intake = format!(
        "/orgs/{}/projects/{}/intake",
        world.organization, world.project.id
    );
    let mut post = async |action: &str, more: &[(&str, &str)]| {
        let page = browser.visit(&intake).await.ok();
        let forms = page.forms();
        let token = forms.iter().find(|form| form.action.contains("/intake/"));
        let token = token.unwrap().value("form").to_owned();
        let fields = [&[("form", token.as_str()), ("provider", "stripe")], more].concat();
        let answer = browser.post(&format!("{intake}/{action}"), &fields).await;
        answer.status()
    };
    let secret = [
        ("provider_secret", "whsec_0123456789abcdef"),
        ("overlap", "at-once"),
    ];
    assert_eq!(post("secret", &secret).await, 303);
    end_trial(&world).await;
    assert_eq!(post("secret", &secret).await, 303, "it may have leaked");
    assert_eq!(post("stop", &[]).await, 303);
    assert_eq!(post("secret", &secret).await, 402);
}
