//! The keys of what is forgotten by the day lie apart from the backup.

use std::fs;

use sendpromptly_tests::bodies::{receipt, with};
use sendpromptly_tests::endpoint::Endpoint;
use sendpromptly_tests::filled::{ANSWER, Filled};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

use super::{Target, back_up, backup_of, keys_of};

on_both_stores!(
    the_backup_alone_holds_no_key_that_goes_by_days,
    a_damaged_data_key_keeps_no_backup_from_being_restored,
    an_answer_comes_back_with_the_key_file_and_is_lost_without_it,
    a_snapshot_comes_back_with_the_key_file_and_is_lost_without_it
);

async fn the_backup_alone_holds_no_key_that_goes_by_days(kind: StoreKind) {
    let filled = Filled::store(TestStore::new(kind).await).await;
    let world = &filled.world;
    let made = back_up(world).await;
    let sql = world.sql().await;
    let wrapped = format!(
        "SELECT {} AS t FROM data_keys WHERE day > 0",
        sql.hex_of_bytes("wrapped")
    );
    let by_days = sql.texts(&wrapped).await;
    assert!(!by_days.is_empty());
    assert_eq!(made["day_keys"], by_days.len());
    let (file, keys) = (
        fs::read(backup_of(world)).unwrap(),
        fs::read(keys_of(world)).unwrap(),
    );
    let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|found| found == part);
    for digits in &by_days {
        assert!(holds(&keys, digits.as_bytes()));
        assert!(!holds(&file, digits.as_bytes()) && !holds(&file, &bytes(digits)));
    }
    // A dump is packed, so it is searched by what comes out of it.
    fs::remove_file(keys_of(world)).unwrap();
    let target = Target::with_keys_of(world).await;
    let output = target.restore(world).await;
    assert!(output.stderr.contains("is not there"), "{output:?}");
    assert_eq!(output.json()["day_keys_lost"], by_days.len());
    assert!(target.store.sql().await.texts(&wrapped).await.is_empty());
}

async fn a_damaged_data_key_keeps_no_backup_from_being_restored(kind: StoreKind) {
    let world = World::start(kind).await;
    let sql = world.sql().await;
    let damaged = sql.bytes(&"00".repeat(60));
    let changed = sql
        .run(&format!(
            "UPDATE data_keys SET wrapped = {damaged} WHERE purpose = 'signing_secret'"
        ))
        .await;
    assert_eq!(changed, 1);
    back_up(&world).await;
    let target = Target::with_keys_of(&world).await;
    let output = target.restore(&world).await;
    assert_eq!(output.json()["keys_damaged"], 1);
    assert!(output.stderr.contains("1 data keys"), "{output:?}");
    assert_eq!(
        target.store.sql().await.rows("data_keys").await,
        sql.rows("data_keys").await
    );
}

async fn an_answer_comes_back_with_the_key_file_and_is_lost_without_it(kind: StoreKind) {
    let filled = Filled::store(TestStore::new(kind).await).await;
    back_up(&filled.world).await;
    assert_eq!(answers_after_a_restore(&filled).await, [ANSWER]);
    fs::remove_file(keys_of(&filled.world)).unwrap();
    assert!(answers_after_a_restore(&filled).await.is_empty());
}

/// The endpoint's answers that the restored incident's page shows. All else of it is there either way.
async fn answers_after_a_restore(filled: &Filled) -> Vec<String> {
    let target = Target::with_keys_of(&filled.world).await;
    target.restored(&filled.world).await;
    let server = Server::start(&target.store, &Options::quick()).await;
    let page = incident_page(filled, &server).await;
    assert!(page.text().contains("Call 1: Answered 400"), "{}", page.text());
    page.texts_of("[data-test=answer]")
}

async fn incident_page(filled: &Filled, server: &Server) -> Page {
    let (mut browser, _) = filled.owner.sign_in_anew(server, &filled.owner.code()).await;
    let path = format!(
        "/orgs/{}/incidents/{}",
        filled.world.organization, filled.incident
    );
    browser.visit(&path).await.ok()
}

const MARKER: &str = "kept-payload-Lm4wQx7T";

async fn a_snapshot_comes_back_with_the_key_file_and_is_lost_without_it(kind: StoreKind) {
    let endpoint = Endpoint::always(204).await;
    let mut world = World::start_calling(kind, &endpoint).await;
    let project = world.project.id.as_str();
    let keep = [
        "project",
        "set",
        project,
        "--snapshots",
        "true",
        "--send-payload",
        "true",
    ];
    assert_eq!(world.cli.run(&keep).await.code, 0);
    let body = with(receipt("evt_kept"), "payload", json!({"card": MARKER}));
    let answer = world.api().receipt("key-kept", &body).await;
    let event = answer.json()["event_id"].as_str().unwrap().to_owned();
    let failed = world.api().report(&event, "failed").await;
    let incident = failed["incident_id"].as_str().unwrap().to_owned();
    back_up(&world).await;
    world.server.stop().await;

    let (state, call) = replay_after_a_restore(&world, &endpoint, &incident).await;
    assert_eq!(
        (state.as_str(), &call.unwrap()["payload"]["card"]),
        ("delivered", &json!(MARKER))
    );
    fs::remove_file(keys_of(&world)).unwrap();
    let (state, call) = replay_after_a_restore(&world, &endpoint, &incident).await;
    assert_eq!((state.as_str(), call), ("halted", None));
}

/// How the incident's replay ends in a store that was restored, and the call that was made for it.
async fn replay_after_a_restore(
    world: &World,
    endpoint: &Endpoint,
    incident: &str,
) -> (String, Option<Value>) {
    let target = Target::with_keys_of(world).await;
    target.restored(world).await;
    let calls = endpoint.calls().len();
    let _server = Server::start(&target.store, &Options::quick()).await;
    target.cli.reprocess(incident).await;
    let state = eventually("the call is over", async || {
        let incidents = target.cli.incidents(&world.project.id).await;
        let state = incidents[0]["replays"][0]["state"].as_str().unwrap().to_owned();
        (state != "queued").then_some(state)
    })
    .await;
    let call = endpoint.calls().get(calls).map(|call| call.json());
    (state, call)
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
