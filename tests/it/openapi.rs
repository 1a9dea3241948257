//! The OpenAPI document, as the program gives it.

use sendpromptly_tests::command::Cli;
use sendpromptly_tests::python::{installed, sources};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

const DOCUMENT: &str = include_str!("../../sendpromptly-server/openapi.json");

#[tokio::test]
async fn the_document_is_served_byte_for_byte() {
    let world = World::start(StoreKind::Sqlite).await;
    let answer = world.server.get("/api/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), DOCUMENT);
}

#[tokio::test]
async fn the_command_prints_the_document_byte_for_byte() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let output = Cli::on(&store).run(&["openapi"]).await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (0, DOCUMENT),
        "{}",
        output.stderr
    );
}

#[tokio::test]
async fn the_document_is_valid_openapi() {
    let document = sources().join("../sendpromptly-server/openapi.json");
    let output = installed("openapi-spec-validator")
        .arg(document)
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
