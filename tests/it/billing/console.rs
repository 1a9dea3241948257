//! The page of the plan, the way to Stripe's pages, and what is left in the console once the plan is over.

use sendpromptly_tests::endpoint::{Call, Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::{member, owner};
use sendpromptly_tests::person::age_what_was_shown;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::Signer;
use sendpromptly_tests::world::World;

use super::{API_KEY, asking, end_trial, start, subscribe};

on_both_stores!(
    an_owner_is_led_to_stripes_checkout_and_the_log_tells_of_it,
    an_owner_is_led_to_stripes_portal_and_the_log_tells_of_it,
    what_goes_wrong_at_stripe_is_told_and_leads_nowhere,
    billing_is_the_owners_and_takes_the_password,
    after_the_end_the_console_reads_exports_and_bills_and_changes_nothing,
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
        ("success_url", &back),
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
    // And all of it again once somebody pays.
    let mut signer = Signer::start().await;
    subscribe(&world, &mut signer, "active").await;
    let settings = browser.visit(&format!("{organization}/settings")).await.ok();
    let saved = browser
        .submit(settings.form("/settings").set("name", "Another"))
        .await;
    assert_eq!(saved.status(), 303, "{}", saved.text());
}
