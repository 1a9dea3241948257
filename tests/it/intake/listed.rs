//! How the list of incidents shows an event whose receipt is missing.

use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::owner;
use sendpromptly_tests::provider::stripe_event;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::json;

use super::{announce, event_id, stripe_webhook, taking};

on_both_stores!(the_list_looks_by_itself_for_what_a_receipt_will_say);

async fn list(world: &World, browser: &mut Browser) -> Page {
    let path = format!("/orgs/{}/incidents", world.organization);
    browser.visit(&path).await.ok()
}

async fn the_list_looks_by_itself_for_what_a_receipt_will_say(kind: StoreKind) {
    let world = taking(kind).await;
    let mut browser = owner(&world).await;
    assert!(!list(&world, &mut browser).await.has("#live[data-busy]"));
    let mut told = stripe_event("evt_lost", "invoice.paid");
    told["data"]["object"]["customer"] = json!(null);
    announce(&world, &stripe_webhook(&told).await).await;
    let event = event_id(&world.sql().await, "evt_lost").await;
    world.sql().await.make_overdue(&event).await;
    let incident = world.incident_of(&event).await;
    let page = list(&world, &mut browser).await;
    assert!(page.has("#live[data-busy]"), "{}", page.text());
    assert_eq!(name_of_box(&page), "Select the incident of evt_lost");

    let answer = world.api().receipt(&unique("key"), &receipt("evt_lost")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let page = list(&world, &mut browser).await;
    assert_eq!(name_of_box(&page), "Select the incident of customer_42");

    world.api().report(&event, "success").await;
    let incident = incident["incident_id"].as_str().unwrap();
    world.incident_becomes(incident, "resolved").await;
    let page = list(&world, &mut browser).await;
    assert!(!page.has("#live[data-busy]"), "{}", page.text());
}

fn name_of_box(page: &Page) -> &str {
    page.all("input[name=incident]")[0].must_have("aria-label")
}
