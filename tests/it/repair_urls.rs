//! Repair URLs that are never called: refused when they are saved, and again at each call.

use sendpromptly_tests::command::{Cli, Output};
use sendpromptly_tests::endpoint::Endpoint;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

/// Addresses that no customer's repair endpoint has, in the ways in which they can be written.
const FORBIDDEN: &[&str] = &[
    "https://127.0.0.1/hook-1d5c",
    "https://localhost/hook-1d5c",
    "https://10.1.2.3/hook-1d5c",
    "https://172.16.0.1/hook-1d5c",
    "https://192.168.1.1/hook-1d5c",
    "https://169.254.169.254/hook-1d5c",
    "https://100.64.0.1/hook-1d5c",
    "https://0.0.0.0/hook-1d5c",
    "https://198.18.0.1/hook-1d5c",
    "https://192.0.2.1/hook-1d5c",
    "https://224.0.0.1/hook-1d5c",
    "https://255.255.255.255/hook-1d5c",
    "https://2130706433/hook-1d5c",
    "https://0x7f.1/hook-1d5c",
    "https://0177.0.0.1/hook-1d5c",
    "https://[::1]/hook-1d5c",
    "https://[::]/hook-1d5c",
    "https://[fe80::1]/hook-1d5c",
    "https://[fd00::1]/hook-1d5c",
    "https://[::ffff:127.0.0.1]/hook-1d5c",
    "https://[64:ff9b::10.0.0.1]/hook-1d5c",
    "https://[2001:db8::1]/hook-1d5c",
];

/// Texts that are no repair URL at all.
const ILL_FORMED: &[&str] = &[
    "",
    "shop.example.com/hook-1d5c",
    "https://",
    "https:///hook-1d5c",
    "ftp://8.8.8.8/hook-1d5c",
    "https://user:word@8.8.8.8/hook-1d5c",
    "https://8.8.8.8:99999/hook-1d5c",
    "https://8.8.8.8 /hook-1d5c",
];

#[tokio::test]
async fn a_forbidden_repair_url_is_refused_on_saving() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let cli = Cli::on(&store).without("SENDPROMPTLY_ALLOW_PRIVATE_CALLBACKS");
    let organization = cli.create_organization("acme").await;
    let create = async |url: &str| {
        cli.try_create_project(&organization, &["--repair-url", url])
            .await
    };
    for url in FORBIDDEN {
        assert_refused(url, &create(url).await, 1);
    }
    for url in ILL_FORMED {
        assert_refused(url, &create(url).await, 2);
    }
    let plain = create("http://8.8.8.8/hook-1d5c").await;
    assert_ne!(plain.code, 0);
    assert!(
        plain.stderr.contains("https"),
        "says what is asked for: {plain:?}"
    );

    // Changing one is as saving one; what was there stays.
    let json = create("https://8.8.8.8/hook").await.json();
    let project = json["project_id"].as_str().unwrap();
    let set = async |url: &str| cli.run(&["project", "set", project, "--repair-url", url]).await;
    assert_refused(FORBIDDEN[0], &set(FORBIDDEN[0]).await, 1);
    assert_refused(ILL_FORMED[1], &set(ILL_FORMED[1]).await, 2);
    let named = cli
        .run(&["project", "set", project, "--name", "shop"])
        .await
        .json();
    assert_eq!(named["repair_url"], "https://8.8.8.8/hook");
}

on_both_stores!(an_address_that_became_forbidden_is_refused_at_the_call);

async fn an_address_that_became_forbidden_is_refused_at_the_call(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let mut world = World::start_calling(kind, &endpoint).await;
    let (_, incident) = world.api().new_incident().await;
    world.server.stop().await;
    world
        .restart(&Options::quick().set("--allow-private-callbacks", "false"))
        .await;
    world.cli.reprocess(&incident).await;

    let replay = world.replay_becomes(&incident, "halted").await;
    assert_eq!(
        (&replay["attempts"], &replay["last_status"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(world.incident(&incident).await["state"], "open");
    assert!(endpoint.calls().is_empty(), "nothing was sent");
    assert!(!world.server.log().contains("/repair"), "no path in the log");
}

#[tokio::test]
async fn a_server_that_may_call_private_addresses_says_so_at_start() {
    let mut world = World::start(StoreKind::Sqlite).await;
    assert!(world.server.log().contains("allow-private-callbacks"));
    world.server.stop().await;
    world
        .restart(&Options::quick().set("--allow-private-callbacks", "false"))
        .await;
    assert!(!world.server.log().contains("allow-private-callbacks"));
}

fn assert_refused(url: &str, output: &Output, code: i32) {
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (code, ""),
        "{url}: {output:?}"
    );
    assert!(output.stderr.len() > 20, "{url} is refused in words: {output:?}");
    assert!(
        !output.stderr.contains("hook-1d5c"),
        "{url}: its path may be a secret: {output:?}"
    );
}
