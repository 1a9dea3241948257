//! The console in a real browser.

use sendpromptly_tests::chromium::run_script;
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::people::member;
use sendpromptly_tests::python::sources;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe;
use sendpromptly_tests::world::World;
use serde_json::json;

use settings::{settings, settings_of_owner, settings_of_secured_owner};

mod harness;
mod settings;

#[tokio::test]
async fn strangers_see_pages_without_fault() {
    let world = World::start(StoreKind::Sqlite).await;
    run_script("strangers.mjs", &settings(&world, "desktop")).await;
}

#[tokio::test]
async fn a_newcomer_lives_in_the_console_until_an_incident_is_repaired() {
    tell_story_on("desktop").await;
}

#[tokio::test]
async fn a_newcomer_lives_in_the_console_on_a_phone() {
    tell_story_on("phone").await;
}

async fn tell_story_on(screen: &str) {
    let world = World::start(StoreKind::Sqlite).await;
    run_script("story.mjs", &settings(&world, screen)).await;
}

#[tokio::test]
async fn an_operator_of_a_busy_shop_sees_pages_without_fault() {
    // The database of the last order is not back yet.
    let endpoint = Endpoint::start(|_, call| match call.reference().as_str() {
        "order_1103" => Reply::Text(503, "The entitlements database does not answer."),
        _ => Reply::result("success"),
    })
    .await;
    let world = World::start_calling(StoreKind::Sqlite, &endpoint).await;
    let sql = world.sql().await;
    sql.run("UPDATE organizations SET name = 'Harbour Books'").await;
    sql.run("UPDATE projects SET name = 'Checkout'").await;
    run_script("busy.mjs", &settings_of_owner(&world, "desktop")).await;
}

#[tokio::test]
async fn without_scripts_an_incident_is_repaired() {
    repair_with("without_scripts.mjs").await;
}

#[tokio::test]
async fn with_the_keyboard_alone_an_incident_is_repaired() {
    repair_with("keyboard.mjs").await;
}

#[tokio::test]
async fn a_page_that_renews_itself_takes_away_neither_the_focus_nor_what_was_typed() {
    let endpoint = Endpoint::start(|_, _| Reply::result("success")).await;
    let world = World::start_calling(StoreKind::Sqlite, &endpoint).await;
    run_script("renewal.mjs", &settings_of_owner(&world, "desktop")).await;
}

#[tokio::test]
async fn what_no_entry_of_the_audit_log_tells_of_is_shown_without_a_reload() {
    renew_with("news.mjs").await;
}

#[tokio::test]
async fn what_is_ticked_stays_until_nothing_is_ticked() {
    renew_with("ticks.mjs").await;
}

#[tokio::test]
async fn pages_that_nobody_sees_hold_no_connections_and_are_renewed_when_they_are_seen() {
    renew_with("hidden.mjs").await;
}

#[tokio::test]
async fn a_change_that_comes_while_a_renewal_fails_is_shown() {
    renew_with("away.mjs").await;
}

async fn renew_with(script: &str) {
    let world = World::start(StoreKind::Sqlite).await;
    run_script(script, &settings_of_owner(&world, "desktop")).await;
}

async fn repair_with(script: &str) {
    let endpoint = Endpoint::start(|_, _| Reply::result("success")).await;
    let world = World::start_calling(StoreKind::Sqlite, &endpoint).await;
    run_script(script, &settings_of_owner(&world, "desktop")).await;
    assert_eq!(endpoint.calls().len(), 1);
}

/// What Stripe's double leads to.
const AT_STRIPE: &str = "https://checkout.stripe.com/c/pay/cs_1#x";
const PAGE_OF_STRIPE: &str = r#"{"id":"cs_1","url":"https://checkout.stripe.com/c/pay/cs_1#x"}"#;

#[tokio::test]
async fn destinations_of_alerts_are_added_tried_and_removed_and_an_incident_tells_what_was_told() {
    look_at_alerts("desktop").await;
}

#[tokio::test]
async fn destinations_of_alerts_are_added_tried_and_removed_on_a_phone() {
    look_at_alerts("phone").await;
}

async fn look_at_alerts(screen: &str) {
    // The first call is a test that is taken, the second one that is refused.
    let hook = Endpoint::start(|number, _| Reply::status(if number == 1 { 410 } else { 200 })).await;
    let world = World::start(StoreKind::Sqlite).await;
    let mut settings = settings_of_secured_owner(&world, screen).await;
    settings["hook"] = hook.url().into();
    run_script("alerts.mjs", &settings).await;
    assert_eq!(hook.calls().len(), 3);
}

#[tokio::test]
async fn a_providers_secret_and_what_counts_are_set_in_the_console() {
    look_at_intake("desktop").await;
}

#[tokio::test]
async fn a_providers_secret_and_what_counts_are_set_on_a_phone() {
    look_at_intake("phone").await;
}

async fn look_at_intake(screen: &str) {
    let world = World::start(StoreKind::Sqlite).await;
    run_script("intake.mjs", &settings_of_secured_owner(&world, screen).await).await;
}

#[tokio::test]
async fn the_page_of_the_plan_leads_an_owner_to_stripe() {
    look_at_billing("desktop").await;
}

#[tokio::test]
async fn the_page_of_the_plan_leads_an_owner_to_stripe_on_a_phone() {
    look_at_billing("phone").await;
}

async fn look_at_billing(screen: &str) {
    let double = Endpoint::start(|_, call| match call.request_line.as_str() {
        line if line.starts_with("GET /v1/subscriptions/sub_known ") => {
            Reply::Json(stripe::subscription("active", stripe::now() + 30 * 86_400))
        }
        _ => Reply::Text(200, PAGE_OF_STRIPE),
    })
    .await;
    let options = Options::quick()
        .environment("SENDPROMPTLY_STRIPE_WEBHOOK_SECRET", stripe::SECRET)
        .environment("SENDPROMPTLY_STRIPE_API_KEY", "sk_test_browser")
        .set("--stripe-price", "price_monthly")
        .set("--stripe-api-url", double.url().replace("/repair", ""));
    let world = World::start_with(StoreKind::Sqlite, &options, &[]).await;
    let mut settings = settings_of_owner(&world, screen);
    settings["stripe"] = AT_STRIPE.into();
    settings["webhooks"] =
        json!({"secret": stripe::SECRET, "signer": sources().join("support/stripe_sign.py")});
    run_script("billing.mjs", &settings).await;
    let asked = double.calls();
    let asked = asked.iter().map(|call| call.request_line.as_str());
    let asked: Vec<_> = asked.filter(|line| line.starts_with("POST ")).collect();
    assert_eq!(
        asked,
        [
            "POST /v1/checkout/sessions HTTP/1.1",
            "POST /v1/billing_portal/sessions HTTP/1.1"
        ]
    );
}

#[tokio::test]
async fn an_organization_and_an_account_are_deleted_by_who_shows_a_code() {
    look_at_deletion("desktop").await;
}

#[tokio::test]
async fn an_organization_and_an_account_are_deleted_on_a_phone() {
    look_at_deletion("phone").await;
}

async fn look_at_deletion(screen: &str) {
    let world = World::start(StoreKind::Sqlite).await;
    // Somebody who can become an owner, so that the first one may go.
    member(&world, "viewer").await;
    run_script("deletion.mjs", &settings_of_secured_owner(&world, screen).await).await;
}
