//! Calls under way when the server is killed or asked to stop.

use std::process::Stdio;
use std::time::Duration;

use sendpromptly_tests::binary::binary;
use sendpromptly_tests::endpoint::{Call, Endpoint, Reply};
use sendpromptly_tests::http::Connection;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::json;
use tokio::process::Command;

on_both_stores!(
    a_call_cut_off_by_a_kill_goes_again_under_the_next_attempt_number,
    a_stop_records_calls_under_way_as_cut_off_and_hands_them_back,
    a_stop_lets_a_call_end_that_ends_in_time,
    a_stop_waits_for_no_idle_connection,
);

async fn a_call_cut_off_by_a_kill_goes_again_under_the_next_attempt_number(kind: StoreKind) {
    let endpoint = Endpoint::holding_the_first().await;
    // One entry in the schedule: a call that was cut off costs no step of it.
    let options = Options::quick().set("--retry-schedule", "0s");
    let mut world = World::start_with(kind, &options, &["--repair-url", &endpoint.url()]).await;
    let (_, incident) = world.api().new_incident().await;
    let replay = world.cli.reprocess(&incident).await;
    endpoint.after_calls(1).await;
    world.server.kill().await;
    let shown = world.incident(&incident).await;
    assert_eq!(
        (&shown["state"], &shown["replays"][0]["state"]),
        (&json!("reprocessing"), &json!("queued"))
    );
    if kind == StoreKind::Postgres {
        // Another node could still be at it, until the lease has run out.
        world.sql().await.let_lease_run_out(&replay).await;
    }
    world.restart(&options).await;

    world.replay_becomes(&incident, "delivered").await;
    assert_is_second_attempt(&endpoint.calls());
    let shown = world.incident(&incident).await["replays"].clone();
    assert_eq!(
        shown,
        json!([{"replay_id": replay, "state": "delivered", "attempts": 2, "last_status": 200}])
    );
    assert_eq!(first_outcome(&world).await, "cut_off");
}

async fn a_stop_records_calls_under_way_as_cut_off_and_hands_them_back(kind: StoreKind) {
    let endpoint = Endpoint::holding_the_first().await;
    let options = Options::quick().set("--retry-schedule", "0s");
    let mut world = World::start_with(kind, &options, &["--repair-url", &endpoint.url()]).await;
    let (_, incident) = world.api().new_incident().await;
    world.cli.reprocess(&incident).await;
    endpoint.after_calls(1).await;
    let (status, took) = world.server.stop().await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(first_outcome(&world).await, "cut_off");

    // No lease is left to wait for: it goes at once when a server is there again.
    world.restart(&options).await;
    let replay = world.replay_becomes(&incident, "delivered").await;
    assert_eq!(replay["attempts"], 2);
    assert_is_second_attempt(&endpoint.calls());
}

async fn a_stop_lets_a_call_end_that_ends_in_time(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, _| Reply::Held(200)).await;
    let mut world = World::start_calling(kind, &endpoint).await;
    let (_, incident) = world.api().new_incident().await;
    world.cli.reprocess(&incident).await;
    endpoint.after_calls(1).await;
    world.server.signal("TERM").await;
    eventually("no new connections are taken", async || {
        tokio::net::TcpStream::connect(world.server.address)
            .await
            .is_err()
            .then_some(())
    })
    .await;
    endpoint.release();
    let status = world.server.ended().await;
    assert!(status.success(), "{status}");
    let replay = world.incident(&incident).await["replays"][0].clone();
    assert_eq!(
        (&replay["state"], &replay["attempts"], &replay["last_status"]),
        (&json!("delivered"), &json!(1), &json!(200))
    );
}

async fn a_stop_waits_for_no_idle_connection(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let idle = Connection::open(world.server.address).await;
    let (status, took) = world.server.stop().await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop(idle);
}

#[tokio::test]
async fn from_the_third_in_a_row_each_call_cut_off_costs_a_step() {
    let endpoint = Endpoint::start(|_, _| Reply::Held(200)).await;
    let options = Options::quick().set("--retry-schedule", "0s");
    let mut world = World::start_with(StoreKind::Sqlite, &options, &["--repair-url", &endpoint.url()]).await;
    let (_, incident) = world.api().new_incident().await;
    world.cli.reprocess(&incident).await;
    for calls in 1..=3 {
        endpoint.after_calls(calls).await;
        world.server.kill().await;
        world.restart(&options).await;
    }
    let replay = world.replay_becomes(&incident, "exhausted").await;
    assert_eq!(
        (&replay["attempts"], &replay["last_status"]),
        (&json!(3), &json!(null))
    );
    let refused = world.cli.run(&["incident", "reprocess", &incident]).await;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("--again"),
        "its effect may have been applied: {refused:?}"
    );
}

fn assert_is_second_attempt(calls: &[Call]) {
    let [first, second] = calls else {
        panic!("two calls: {calls:?}")
    };
    assert_eq!(second.header("x-sendpromptly-attempt"), "2");
    assert_eq!(first.body, second.body);
    assert_ne!(
        first.header("x-sendpromptly-nonce"),
        second.header("x-sendpromptly-nonce")
    );
}

/// How the store says that the first attempt ended.
async fn first_outcome(world: &World) -> String {
    let sql = "SELECT outcome AS t FROM attempts WHERE number = 1 AND ended_at IS NOT NULL";
    world.sql().await.texts(sql).await.remove(0)
}

/// What this program's migrations lock on PostgreSQL.
const TURN: i64 = 0x5e4d_9407;

#[tokio::test]
async fn a_server_that_is_told_to_stop_while_it_waits_to_start_ends_at_once() {
    let store = TestStore::new(StoreKind::Postgres).await;
    let other = store.sql().await;
    other.run(&format!("SELECT pg_advisory_lock({TURN})")).await;
    let mut server = Command::new(binary())
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            store.url(),
            "--data-dir",
        ])
        .arg(store.data_dir())
        .env_clear()
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let waits = "SELECT count(*) AS n FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
    eventually("the server waits for its turn", async || {
        (other.count(waits).await > 0).then_some(())
    })
    .await;
    let pid = server.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", "TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    let ended = tokio::time::timeout(Duration::from_secs(60), server.wait()).await;
    assert!(ended.expect("it ends").unwrap().success());
}
