//! The program itself: its help, its version, commands that it does not know, and what it serves of itself.

use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::Value;

use super::{assert_usage, empty_store};

#[tokio::test]
async fn help_names_every_command_and_option() {
    let (_store, cli) = empty_store().await;
    let help = cli.run(&["--help"]).await;
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    for command in [
        "serve",
        "demo",
        "org",
        "user",
        "project",
        "key",
        "alert",
        "secret",
        "intake",
        "incident",
        "event",
        "audit",
        "retention",
        "backup",
        "restore",
        "master-key",
        "migrate",
        "openapi",
        "doctor",
    ] {
        assert!(
            help.stdout.contains(&format!("\n  {command} ")),
            "{command} in {}",
            help.stdout
        );
    }
    for option in [
        "--listen",
        "--database-url",
        "--data-dir",
        "--master-key-file",
        "--retry-schedule",
        "--sweep-interval",
        "--rate-limit",
        "--allow-private-callbacks",
        "--callback-allow",
        "--callback-ca",
        "--committers",
        "--audit-key-file",
        "--checkpoint-file",
        "--log-format",
        "--trusted-proxy",
        "--public-url",
    ] {
        let serve = cli.run(&["serve", "--help"]).await;
        assert!(serve.stdout.contains(option), "{option} in {}", serve.stdout);
    }
    let version = cli.run(&["--version"]).await;
    assert_eq!(
        (version.code, version.stdout.split(' ').next()),
        (0, Some("sendpromptly"))
    );
}

#[tokio::test]
async fn an_unknown_command_or_argument_is_wrong_usage() {
    let (_store, cli) = empty_store().await;
    assert_usage(&cli.run(&["sevre"]).await, &["sevre"]);
    assert_usage(&cli.run(&["key", "delete"]).await, &["delete"]);
    assert_usage(&cli.run(&["migrate", "now"]).await, &["now"]);
    assert_usage(&cli.run(&["openapi", "--wrong"]).await, &["--wrong"]);
}

#[tokio::test]
async fn no_secret_is_taken_from_the_command_line() {
    let (_store, cli) = empty_store().await;
    let create = [
        "org",
        "create",
        "--name",
        "acme",
        "--owner-email",
        "ada@example.com",
    ];
    for option in ["--password", "--owner-password"] {
        let output = cli
            .run(&[&create[..], &[option, "correct horse battery"]].concat())
            .await;
        assert_usage(&output, &[option]);
    }
}

#[tokio::test]
async fn the_openapi_document_is_printed_as_it_is_served() {
    let world = World::start(StoreKind::Sqlite).await;
    let printed: Value = world.cli.run(&["openapi"]).await.json();
    assert!(printed["openapi"].as_str().unwrap().starts_with("3.1."));
    let served = world.server.get("/api/openapi.json").await;
    assert_eq!(
        (served.status, served.header("content-type")),
        (200, Some("application/json"))
    );
    assert_eq!(served.json(), printed);
    for path in ["/api/v1/receipt", "/api/v1/result"] {
        assert!(printed["paths"][path]["post"].is_object(), "{path}");
    }
}
