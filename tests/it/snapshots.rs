//! Payloads that a project asks to keep: where they are and where they are not, and how they go along.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sendpromptly_tests::api::{Api, RECEIPT};
use sendpromptly_tests::bodies::{receipt, unique, with};
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::http::Connection;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::people::owner;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::within;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

use crate::canary::{assert_absent, database};

on_both_stores!(
    a_payload_is_dropped_and_no_key_made_where_its_project_keeps_none,
    a_kept_payload_is_nowhere_in_plain,
    every_acknowledged_receipt_has_its_snapshot_after_a_kill,
    a_receipt_whose_payload_cannot_be_sealed_is_refused_for_the_moment,
    a_repeat_is_answered_while_its_payload_cannot_be_sealed,
    a_kept_payload_goes_along_in_the_same_bytes_on_every_attempt_and_is_signed,
    a_payload_that_was_deleted_meanwhile_halts_the_replay_and_nothing_is_sent,
    the_preview_of_a_selection_says_which_payloads_go_along,
);

const MARKER: &str = "canary-payload-Vb8xQ2mT";

/// A receipt's body with a payload that bears the marker.
fn with_payload(provider_event_id: &str) -> Value {
    with(receipt(provider_event_id), "payload", json!({"card": MARKER}))
}

async fn set(world: &World, more: &[&str]) -> Value {
    let set = [&["project", "set", world.project.id.as_str()], more].concat();
    world.cli.run(&set).await.json()
}

/// Sends receipts with payloads through every way that a receipt can take, and gives all that then lasts or was
/// said: the store while the server runs and after, and the log at its finest level.
async fn places(kind: StoreKind, keep: &str) -> (World, Vec<(&'static str, String)>) {
    let endpoint = Endpoint::start(|_, call| {
        if call.json().get("payload").is_some() {
            Reply::Text(200, MARKER) // as an endpoint that echoes what it got
        } else {
            Reply::status(200)
        }
    })
    .await;
    let options = Options::quick().set("--log", "trace");
    let url = endpoint.url();
    let mut world = World::start_with(kind, &options, &["--repair-url", &url]).await;
    set(&world, &["--snapshots", keep, "--send-payload", "true"]).await;
    let api = world.api();
    let body = with_payload("evt_1");
    assert_eq!(api.receipt("key-1", &body).await.status, 202);
    assert_eq!(api.receipt("key-1", &body).await.status, 202, "repeated");
    assert_eq!(api.receipt("key-2", &body).await.status, 202, "a duplicate");
    let other = with(body.clone(), "internal_reference", json!("other"));
    assert_eq!(api.receipt("key-1", &other).await.status, 409);
    let wrong = with(body, "provider", json!("paypal"));
    assert_eq!(api.receipt("key-3", &wrong).await.status, 422);
    let first = api.receipt("key-1", &with_payload("evt_1")).await;
    let event = first.json()["event_id"].as_str().unwrap().to_owned();
    let failed = api.report(&event, "failed").await;
    let incident = failed["incident_id"].as_str().unwrap().to_owned();
    world.cli.reprocess(&incident).await;
    world.replay_becomes(&incident, "delivered").await;
    let sent = String::from_utf8(endpoint.calls()[0].body.clone()).unwrap();
    assert_eq!(
        sent.contains(MARKER),
        keep == "true",
        "it went along where it is kept"
    );
    let running = database(&world).await;
    world.server.stop().await;
    let places = vec![
        ("the log", [world.server.log(), world.server.output()].join("\n")),
        ("the database while running", running),
        ("the database after a stop", database(&world).await),
    ];
    (world, places)
}

async fn a_payload_is_dropped_and_no_key_made_where_its_project_keeps_none(kind: StoreKind) {
    let (world, places) = places(kind, "false").await;
    for (place, text) in &places {
        assert_absent(place, text, MARKER);
    }
    // And the search finds what is there.
    assert!(places[0].1.contains("listening") && places[1].1.contains("customer_42"));
    let sql = world.sql().await;
    assert_eq!((sql.rows("events").await, sql.rows("snapshots").await), (1, 0));
    let keys = "SELECT count(*) AS n FROM data_keys WHERE purpose = 'snapshot'";
    assert_eq!(sql.count(keys).await, 0);
}

async fn a_kept_payload_is_nowhere_in_plain(kind: StoreKind) {
    let (world, places) = places(kind, "true").await;
    for (place, text) in &places {
        assert_absent(place, text, MARKER);
    }
    // And the search finds what is there.
    assert!(places[0].1.contains("listening") && places[1].1.contains("customer_42"));
    let sql = world.sql().await;
    assert_eq!((sql.rows("events").await, sql.rows("snapshots").await), (1, 1));
    let sealed = format!("SELECT {} AS t FROM snapshots", sql.hex_of_bytes("sealed"));
    let sealed = sql.texts(&sealed).await.remove(0);
    let plain = json!({"card": MARKER}).to_string();
    // Version, data key, nonce and tag around as many bytes as the payload has.
    assert!(sealed.starts_with("01") && sealed.len() == 2 * (1 + 16 + 12 + plain.len() + 16));
}

const CONNECTIONS: usize = 16;
const ACKNOWLEDGED_BEFORE_THE_KILL: usize = 500;

async fn every_acknowledged_receipt_has_its_snapshot_after_a_kill(kind: StoreKind) {
    let mut world = World::start(kind).await;
    set(&world, &["--snapshots", "true"]).await;
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(send_until_gone(world.api(), acknowledged.clone())))
        .collect();
    within(Duration::from_secs(60), "enough is acknowledged", async || {
        (acknowledged.load(Ordering::Relaxed) >= ACKNOWLEDGED_BEFORE_THE_KILL).then_some(())
    })
    .await;
    world.server.kill().await;
    let mut events = Vec::new();
    for sender in senders {
        events.extend(sender.await.unwrap());
    }
    world.restart(&Options::quick()).await;
    let sql = world.sql().await;
    let ids = format!("SELECT {} AS t FROM snapshots", sql.hex("event_id"));
    let kept: HashSet<String> = sql.texts(&ids).await.into_iter().collect();
    assert!(events.len() >= ACKNOWLEDGED_BEFORE_THE_KILL);
    for event in &events {
        assert!(kept.contains(&event["evt_".len()..]), "{event} has no snapshot");
    }
    let alone = "SELECT count(*) AS n FROM snapshots s WHERE NOT EXISTS
        (SELECT 1 FROM events e WHERE e.project_id = s.project_id AND e.id = s.event_id)";
    assert_eq!(sql.count(alone).await, 0, "none without its event");
}

async fn send_until_gone(api: Api, acknowledged: Arc<AtomicUsize>) -> Vec<String> {
    let mut connection = Connection::open(api.server).await;
    let mut events = Vec::new();
    loop {
        let body = with_payload(&unique("evt"));
        connection
            .send(&api.request(RECEIPT, &unique("key"), &body).to_bytes())
            .await;
        let Some(answer) = connection.answer().await.filter(|answer| answer.status == 202) else {
            return events;
        };
        acknowledged.fetch_add(1, Ordering::Relaxed);
        events.push(answer.json()["event_id"].as_str().unwrap().to_owned());
    }
}

async fn a_receipt_whose_payload_cannot_be_sealed_is_refused_for_the_moment(kind: StoreKind) {
    let world = World::start(kind).await;
    set(&world, &["--snapshots", "true"]).await;
    let (api, sql) = (world.api(), world.sql().await);
    sql.run("ALTER TABLE data_keys RENAME TO gone").await;
    let refused = api.receipt("key-1", &with_payload("evt_1")).await;
    assert_eq!(refused.verdict(), "503 unavailable");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(sql.rows("events").await, 0);
    assert_absent("the log", &world.server.log(), MARKER);
    let without = api.receipt("key-2", &receipt("evt_2")).await;
    assert_eq!(without.status, 202, "what has no payload needs no key");
    sql.run("ALTER TABLE gone RENAME TO data_keys").await;
    let accepted = api.receipt("key-1", &with_payload("evt_1")).await;
    assert_eq!(accepted.status, 202);
    assert_eq!((sql.rows("events").await, sql.rows("snapshots").await), (2, 1));
}

async fn a_repeat_is_answered_while_its_payload_cannot_be_sealed(kind: StoreKind) {
    let mut world = World::start(kind).await;
    set(&world, &["--snapshots", "true"]).await;
    let first = world.api().receipt("key-1", &with_payload("evt_1")).await;
    assert_eq!(first.status, 202);
    world.server.stop().await;
    world.restart(&Options::quick()).await; // it remembers no data key any more
    let (api, sql) = (world.api(), world.sql().await);
    sql.run("ALTER TABLE data_keys RENAME TO gone").await;
    let repeat = api.receipt("key-1", &with_payload("evt_1")).await;
    assert_eq!((repeat.status, repeat.text()), (202, first.text()));
    assert_eq!(repeat.header("idempotent-replayed"), Some("true"));
    let duplicate = api.receipt("key-2", &with_payload("evt_1")).await;
    assert_eq!(duplicate.json()["duplicate"], json!(true));
    let other = api.receipt("key-1", &with_payload("evt_2")).await;
    assert_eq!(other.verdict(), "409 idempotency_conflict");
    let new = api.receipt("key-3", &with_payload("evt_2")).await;
    assert_eq!(new.verdict(), "503 unavailable");
    assert_eq!(sql.rows("events").await, 1);
}

/// A payload as nobody would write it again: its spaces, its digits and the order of its fields are its sender's.
const PAYLOAD: &str = r#"{ "z" : 1.0e2,"a":[ "}" , "\u00fc" ], "a2":null }"#;

/// An incident whose event has this payload; sent as text, so that it is to the letter.
async fn incident_with_payload(world: &World) -> String {
    let body = receipt(&unique("evt")).to_string();
    let body = format!(r#"{},"payload":{PAYLOAD}}}"#, body.strip_suffix('}').unwrap());
    let api = world.api();
    let request = api.request(RECEIPT, &unique("key"), &Value::Null).body(body);
    let answer = request.send(api.server).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let event = answer.json()["event_id"].as_str().unwrap().to_owned();
    let failed = api.report(&event, "failed").await;
    failed["incident_id"].as_str().unwrap().to_owned()
}

async fn a_kept_payload_goes_along_in_the_same_bytes_on_every_attempt_and_is_signed(kind: StoreKind) {
    let endpoint = Endpoint::start(|number, _| Reply::status([500, 204, 204][number.min(2)])).await;
    let world = World::start_calling(kind, &endpoint).await;
    let shown = set(&world, &["--snapshots", "true", "--send-payload", "true"]).await;
    assert_eq!(
        (&shown["snapshots"], &shown["send_payload"]),
        (&json!(true), &json!(true))
    );
    let incident = incident_with_payload(&world).await;
    world.cli.reprocess(&incident).await;
    world.replay_becomes(&incident, "delivered").await;
    let calls = endpoint.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].body, calls[1].body);
    let end = format!(r#","payload":{PAYLOAD}}}"#);
    for call in &calls {
        assert!(call.body.ends_with(end.as_bytes()), "{}", call.json());
        assert!(call.is_signed_with(&[&world.project.signing_secret]));
        assert_eq!(call.json()["incident_id"], json!(incident));
    }

    // A project that does not send along what it keeps, and an event of which nothing is kept.
    let (_, bare) = world.incident_for("without").await;
    world.cli.reprocess(&bare).await;
    world.replay_becomes(&bare, "delivered").await;
    set(&world, &["--send-payload", "false"]).await;
    let kept = incident_with_payload(&world).await;
    world.cli.reprocess(&kept).await;
    world.replay_becomes(&kept, "delivered").await;
    for call in &endpoint.calls()[2..] {
        assert_eq!(call.json().get("payload"), None);
    }
}

async fn a_payload_that_was_deleted_meanwhile_halts_the_replay_and_nothing_is_sent(kind: StoreKind) {
    let endpoint = Endpoint::always(204).await;
    let mut world = World::start_calling(kind, &endpoint).await;
    set(&world, &["--snapshots", "true", "--send-payload", "true"]).await;
    let incident = incident_with_payload(&world).await;
    world.server.stop().await;
    world.cli.reprocess(&incident).await;
    let off = set(&world, &["--snapshots", "false", "--delete-snapshots"]).await;
    assert_eq!(off["snapshots"], json!(false));
    world.restart(&Options::quick()).await;
    let replay = world.replay_becomes(&incident, "halted").await;
    assert_eq!(
        (&replay["attempts"], &replay["last_status"]),
        (&json!(1), &json!(null))
    );
    assert_eq!(endpoint.calls().len(), 0);
    let outcome = "SELECT outcome AS t FROM attempts";
    assert_eq!(world.sql().await.texts(outcome).await, ["payload_gone"]);
    // Nothing was sent, so nobody is asked to look first; ordered again, it goes without what is gone.
    world.cli.reprocess(&incident).await;
    world.replay_becomes(&incident, "delivered").await;
    assert_eq!(endpoint.calls()[0].json().get("payload"), None);
}

async fn the_preview_of_a_selection_says_which_payloads_go_along(kind: StoreKind) {
    let endpoint = Endpoint::always(204).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    set(&world, &["--snapshots", "true", "--send-payload", "true"]).await;
    let kept = incident_with_payload(&world).await;
    let (_, bare) = world.incident_for("without").await;
    let list = format!("/orgs/{}/incidents", world.organization);
    let mut said = Vec::new();
    for send in ["true", "false"] {
        set(&world, &["--send-payload", send]).await;
        let form = browser.visit(&list).await.ok().form("/preview");
        let form = form.set("incident", kept.as_str()).set("incident", bare.as_str());
        let page = browser.submit(form).await.ok();
        let planned = page.texts_of("[data-test=planned]");
        assert_eq!(planned.len(), 2, "{}", page.text());
        let along = planned.iter().filter(|row| row.contains("goes along"));
        said.push(along.map(|row| row.contains("without")).collect::<Vec<_>>());
    }
    assert_eq!(said, [vec![false], vec![]]);
}
