//! Events from providers in the console.

use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::provider::{STRIPE_SECRET, stripe_event, stripe_webhook};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use super::{confirmed_owner, own};

on_both_stores!(a_providers_secret_and_mapping_are_set_and_the_secret_is_never_shown);

async fn a_providers_secret_and_mapping_are_set_and_the_secret_is_never_shown(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    let path = format!("{}/intake", own(&world));
    let page = browser.visit(&path).await.ok();
    assert!(
        page.answer
            .text()
            .contains(&format!("/v1/providers/stripe/{}", world.project.id))
    );
    // The page's first form of each kind is Stripe's.
    let form = |page: &Page, end: &str| {
        let end = format!("/intake/{end}");
        let found = page
            .forms()
            .into_iter()
            .find(|form| form.target().ends_with(&end));
        found.unwrap_or_else(|| panic!("no form to {end}"))
    };

    let wrong = form(&page, "secret").set("provider_secret", "sk_live_0123456789abcdef");
    let refused = browser.submit(wrong).await;
    assert_eq!(refused.status(), 422);
    assert!(!refused.answer.text().contains("sk_live_0123456789abcdef"));
    let set = form(&browser.visit(&path).await.ok(), "secret").set("provider_secret", STRIPE_SECRET);
    let page = browser.submit_and_follow(set).await.ok();
    assert_eq!(page.all("[data-test=provider-secret]").len(), 1);
    assert!(!page.answer.text().contains(STRIPE_SECRET));

    let wrong = form(&page, "mapping").set("mapping", "invoice.paid refund");
    let refused = browser.submit(wrong).await;
    assert_eq!(refused.status(), 422);
    assert!(
        refused
            .answer
            .text()
            .contains("line 1: the effect type must be one of")
    );
    let map = form(&browser.visit(&path).await.ok(), "mapping").set("mapping", "payout.paid seat_update");
    browser.submit_and_follow(map).await.ok();
    let webhook = stripe_webhook(&stripe_event("evt_1", "payout.paid")).await;
    let answer = webhook.send(world.server.address, &world.project.id).await;
    assert_eq!(answer.text(), r#"{"received":true,"watched":true}"#);
    let stop = form(&browser.visit(&path).await.ok(), "stop");
    let page = browser.submit_and_follow(stop).await.ok();
    assert_eq!(page.all("[data-test=provider-secret]").len(), 0);
}
