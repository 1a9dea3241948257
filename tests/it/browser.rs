//! The console in a real browser.

use sendpromptly_tests::chromium::{run_script, screenshots};
use sendpromptly_tests::mail::Mailbox;
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

/// What every script has to know.
fn settings(world: &World) -> Value {
    json!({
        "origin": format!("http://{}", world.server.address),
        "mails": Mailbox::of(&world.store).directory(),
        "python": sources().join("../.venv/bin/python"),
        "screenshots": screenshots(),
    })
}
