//! The demo, as a newcomer runs it.

use std::process::Stdio;

use sendpromptly_tests::binary::binary;
use sendpromptly_tests::command::Cli;
use sendpromptly_tests::http::Request;
use sendpromptly_tests::store::{StoreKind, TestStore};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// What is told, in this order.
const TOLD: [&str; 14] = [
    "invoice.paid 200",
    "result: success 202",
    "checkout.session.completed 200",
    "receipt 202",
    "the job is lost",
    "moves the deadline",
    "opens inc_",
    "presses Reprocess: rpl_",
    "signed callback 200 applied",
    "incident resolved",
    "401 the nonce has been seen before",
    "200 already applied",
    "has given access once",
    "their chain holds to its signed checkpoint",
];

#[tokio::test]
async fn the_demo_shows_a_payment_lost_found_and_repaired_once() {
    // The environment names a store, which the demo must leave alone.
    let store = TestStore::new(StoreKind::Sqlite).await;
    let output = Cli::on(&store).run(&["demo", "--once"]).await;
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(output.stderr, "");
    let words: Vec<_> = output.stdout.split_whitespace().collect();
    let mut rest = words.join(" ");
    for told in TOLD {
        let place = rest
            .find(told)
            .unwrap_or_else(|| panic!("{told}: {}", output.stdout));
        rest.drain(..place + told.len());
    }
    assert!(
        rest.ends_with("Paid, lost, found, repaired once, proven."),
        "{rest}"
    );
    assert!(!store.data_dir().exists());
}

#[tokio::test]
async fn the_demo_takes_no_store_of_somebody_else() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let output = Cli::on(&store).run(&["demo", "--once", "--data-dir", "."]).await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("takes no --data-dir"), "{output:?}");
}

#[tokio::test]
async fn the_demo_stays_up_until_it_is_interrupted_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let mut demo = Command::new(binary())
        .arg("demo")
        .env("TMPDIR", home.path())
        .current_dir(home.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut output = BufReader::new(demo.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    while !told
        .last()
        .is_some_and(|line: &String| line.contains("openapi.json"))
    {
        told.push(output.next_line().await.unwrap().expect("the demo stays up"));
    }
    let server = told
        .iter()
        .find_map(|line| line.trim_start().strip_prefix("server  http://"));
    let address = server.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert_eq!(Request::new("GET", "/readyz").send(address).await.status, 200);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);

    let pid = demo.id().unwrap().to_string();
    let sent = Command::new("kill")
        .args(["-s", "INT", &pid])
        .status()
        .await
        .unwrap();
    assert!(sent.success());
    assert!(demo.wait().await.unwrap().success());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}
