//! The console in a real browser.

use sendpromptly_tests::chromium::{run_script, screenshots};
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::mail::Mailbox;
use sendpromptly_tests::person;
use sendpromptly_tests::python::sources;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

mod harness;

#[tokio::test]
async fn strangers_see_pages_without_fault() {
    let world = World::start(StoreKind::Sqlite).await;
    run_script("strangers.mjs", &settings(&world)).await;
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
    let mut settings = settings(&world);
    settings["screen"] = screen.into();
    run_script("story.mjs", &settings).await;
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
    run_script("busy.mjs", &settings_of_owner(&world)).await;
}

#[tokio::test]
async fn without_scripts_an_incident_is_repaired() {
    repair_with("without_scripts.mjs").await;
}

#[tokio::test]
async fn with_the_keyboard_alone_an_incident_is_repaired() {
    repair_with("keyboard.mjs").await;
}

async fn repair_with(script: &str) {
    let endpoint = Endpoint::start(|_, _| Reply::result("success")).await;
    let world = World::start_calling(StoreKind::Sqlite, &endpoint).await;
    run_script(script, &settings_of_owner(&world)).await;
    assert_eq!(endpoint.calls().len(), 1);
}

fn settings_of_owner(world: &World) -> Value {
    let mut settings = settings(world);
    settings["email"] = person::EMAIL.into();
    settings["password"] = person::PASSWORD.into();
    settings["key"] = world.project.api_key.clone().into();
    settings
}

/// What every script has to know.
fn settings(world: &World) -> Value {
    json!({
        "origin": format!("http://{}", world.server.address),
        "database": world.store.url().strip_prefix("sqlite://"),
        "mails": Mailbox::of(&world.store).directory(),
        "python": sources().join("../.venv/bin/python"),
        "screenshots": screenshots(),
    })
}
