//! The lines that a new project's page shows, run as they stand there.

use std::process::{Command, Output};

use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::owner;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::Value;

use super::{confirmed_owner, create, own};

on_both_stores!(
    the_lines_on_a_new_projects_page_send_a_receipt_and_its_result,
    a_projects_page_shows_the_lines_without_a_key,
);

/// Runs a line as a person would who has copied it; gives the status and the body of the answer.
async fn run(line: String) -> (String, Value) {
    let output = tokio::task::spawn_blocking(move || shell(&line)).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text
        .rsplit_once('\n')
        .unwrap_or_else(|| panic!("{text}: {:?}", String::from_utf8_lossy(&output.stderr)));
    (status.to_owned(), serde_json::from_str(body).unwrap())
}

/// The line itself is not touched: what curl has to tell beside the answer is set by its own file.
fn shell(line: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let settings = "silent\nshow-error\nwrite-out = \"\\n%{http_code}\"\n";
    std::fs::write(home.path().join(".curlrc"), settings).unwrap();
    Command::new("sh")
        .args(["-c", line])
        .env("CURL_HOME", home.path())
        .env_remove("http_proxy")
        .output()
        .unwrap()
}

fn line(page: &Page, name: &str) -> String {
    page.document().one(&format!("[data-test={name}]")).raw_text()
}

async fn the_lines_on_a_new_projects_page_send_a_receipt_and_its_result(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    let page = create(&world, &mut browser, "webshop").await.ok();
    let (status, receipt) = run(line(&page, "curl-receipt")).await;
    assert_eq!(
        (status.as_str(), &receipt["accepted"]),
        ("202", &true.into()),
        "{receipt}"
    );
    let (status, result) = run(line(&page, "curl-result")).await;
    assert_eq!(
        (status.as_str(), &result["status"]),
        ("202", &"succeeded".into()),
        "{result}"
    );
    assert_eq!(result["event_id"], receipt["event_id"]);
    // Who runs the first line twice gets the same answer.
    assert_eq!(run(line(&page, "curl-receipt")).await.1, receipt);
    let event = world.cli.event(receipt["event_id"].as_str().unwrap()).await;
    assert_eq!(event["state"], "succeeded");
    let key = format!("\"{}\"", line(&page, "api-key"));
    assert!(line(&page, "rust-receipt").contains(&key));
}

async fn a_projects_page_shows_the_lines_without_a_key(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    let page = browser.visit(&own(&world)).await.ok();
    let shown = line(&page, "curl-receipt");
    let key = &world.project.api_key;
    let hint = &key[key.len() - 10..key.len() - 6];
    assert!(
        !shown.contains(key) && shown.contains(&format!("sk_…{hint}…")),
        "{shown}"
    );
    assert!(!line(&page, "rust-receipt").contains(key));
    // With the key put in its place it is the same line.
    let (status, _) = run(shown.replace(&format!("sk_…{hint}…"), key)).await;
    assert_eq!(status, "202");
}
