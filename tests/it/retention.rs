//! What is kept for a time only: dropped by hand, and by a server by itself.

use std::collections::BTreeMap;

use sendpromptly_tests::bodies::{result, unique};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::{PATIENCE, eventually, within};
use sendpromptly_tests::world::World;

on_both_stores!(
    a_run_by_hand_says_what_it_drops_and_a_dry_run_drops_nothing,
    a_server_forgets_old_events_by_itself,
    kills_amid_forgetting_leave_nothing_half_done,
);

/// More days than a project keeps events.
const OLD: u64 = 400;

/// What each pass says.
async fn passes(world: &World, arguments: &[&str]) -> BTreeMap<String, u64> {
    let mut command = vec!["retention", "run"];
    command.extend(arguments);
    let lines = world.cli.run(&command).await.json_lines();
    let passed = lines.iter().map(|line| {
        let name = line["pass"].as_str().unwrap().to_owned();
        (name, line["rows"].as_u64().unwrap())
    });
    passed.collect()
}

async fn a_run_by_hand_says_what_it_drops_and_a_dry_run_drops_nothing(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_event().await;
    let sql = world.sql().await;
    let nothing = passes(&world, &["--dry-run"]).await;
    assert!(nothing.values().all(|rows| *rows == 0), "{nothing:?}");
    sql.age_idempotency_keys_by_a_day().await;
    let old = sql.rows("idempotency").await;
    assert!(old > 0);
    for _ in 0..2 {
        assert_eq!(
            passes(&world, &["--dry-run"]).await["answers"],
            old.unsigned_abs()
        );
    }
    assert_eq!(sql.rows("idempotency").await, old);
    assert_eq!(passes(&world, &[]).await["answers"], old.unsigned_abs());
    assert_eq!(sql.rows("idempotency").await, 0);
    assert_eq!(passes(&world, &[]).await, nothing);
}

async fn a_server_forgets_old_events_by_itself(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let sql = world.sql().await;
    let young = world.api().new_event().await;
    let event = world.api().new_event().await;
    world.api().report(&event, "success").await;
    let (waits, incident) = world.api().new_incident().await;
    let old = sql.make_old(&event, OLD).await;
    sql.make_old(&waits, OLD).await;
    assert_eq!(world.api().report(&old, "success").await["status"], "succeeded");
    assert_eq!(passes(&world, &["--dry-run"]).await["events"], 1);

    world.server.kill().await;
    world.restart(&Options::quick()).await;
    eventually("the old event is forgotten", async || {
        (sql.rows("events").await == 2).then_some(())
    })
    .await;
    let unknown = world.api().result(&unique("key"), &result(&old, "success")).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "not_found"));
    assert_eq!(world.cli.run(&["event", "show", &old]).await.code, 1);
    assert_eq!(world.cli.event(&young).await["state"], "pending");
    assert_eq!(
        world.incident(&incident).await["state"],
        "open",
        "it waits for somebody"
    );
    assert_eq!(sql.rows("results").await, 1, "that of the incident's event");
}

async fn kills_amid_forgetting_leave_nothing_half_done(kind: StoreKind) {
    const EVENTS: i64 = 3_000;
    let mut world = World::start(kind).await;
    let sql = world.sql().await;
    let event = world.api().new_event().await;
    world.api().report(&event, "success").await;
    let old = sql.make_old(&event, OLD).await;
    world.server.kill().await;
    multiply(&sql, kind, &old, EVENTS - 1).await;
    assert_eq!(
        (sql.rows("events").await, sql.rows("results").await),
        (EVENTS, EVENTS)
    );
    let mut left = EVENTS;
    for _ in 0..3 {
        world.restart(&Options::quick()).await;
        eventually("some are forgotten", async || {
            let rows = sql.rows("events").await;
            (rows < left || rows == 0).then_some(())
        })
        .await;
        world.server.kill().await;
        let torn = "SELECT count(*) AS n FROM events e FULL JOIN results r
             ON r.project_id = e.project_id AND r.event_id = e.id WHERE e.id IS NULL OR r.id IS NULL";
        assert_eq!(sql.count(torn).await, 0);
        left = sql.rows("events").await;
    }
    world.restart(&Options::quick()).await;
    // A pass rests for four times as long as it works, and on a busy machine it works longer.
    within(5 * PATIENCE, "all are forgotten", async || {
        (sql.rows("events").await + sql.rows("results").await == 0).then_some(())
    })
    .await;
}

/// Stores so many more events and results like those of this event.
async fn multiply(sql: &Sql, kind: StoreKind, event: &str, more: i64) {
    let id = sql.id(event);
    let numbers = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {more})"
    );
    let (other, digest) = match kind {
        StoreKind::Sqlite => (
            "unhex(substr(hex(OWN), 1, 12) || printf('%020x', n))",
            "unhex(printf('%032x', n))",
        ),
        StoreKind::Postgres => (
            "(substr(replace(OWN::text, '-', ''), 1, 12) || lpad(to_hex(n), 20, '0'))::uuid",
            "lpad(to_hex(n), 32, '0')::uuid",
        ),
    };
    let [of_event, of_result] = ["id", "event_id"].map(|own| other.replace("OWN", own));
    for statement in [
        format!(
            "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type,
                effect_type, internal_reference, occurred_at, received_at, timeout_at, state)
             {numbers} SELECT project_id, {of_event}, provider, {digest}, 'evt_' || n, event_type, effect_type,
                internal_reference, occurred_at, received_at, timeout_at, state FROM events, numbers WHERE id = {id}"
        ),
        format!(
            "INSERT INTO results (project_id, event_id, id, effect, received_at)
             {numbers} SELECT project_id, {of_result}, id, effect, received_at FROM results, numbers
             WHERE event_id = {id}"
        ),
    ] {
        assert_eq!(sql.run(&statement).await.cast_signed(), more);
    }
}

#[tokio::test]
async fn a_file_of_an_earlier_version_is_compacted_while_no_server_runs() {
    let mut world = World::start(StoreKind::Sqlite).await;
    let compact = ["retention", "run", "--compact"];
    let refused = world.cli.run(&compact).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("another server runs"), "{refused:?}");
    world.server.stop().await;
    let sql = world.sql().await;
    sql.run("PRAGMA auto_vacuum = none").await;
    sql.run("VACUUM").await;
    sql.run(
        "CREATE TABLE filler AS WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)
             SELECT zeroblob(8000) AS b FROM n",
    )
    .await;
    sql.run("DROP TABLE filler").await;
    let pages = "SELECT page_count AS n FROM pragma_page_count";
    let before = sql.count(pages).await;
    sql.close().await;
    let done = world.cli.run(&compact).await;
    assert_eq!(done.code, 0, "{done:?}");
    let sql = world.sql().await;
    let after = sql.count(pages).await;
    assert!(after < before / 2, "{before} {after}");
    assert_eq!(
        sql.count("SELECT auto_vacuum AS n FROM pragma_auto_vacuum").await,
        2
    );
    world.restart(&Options::quick()).await;
    world.api().new_event().await;
}
