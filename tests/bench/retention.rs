//! Receipts while 1,000,000 old rows go, over receipts while nothing goes.
//!
//! The load has a fixed rate, so that a request which waits for a batch of the purge counts as slow. A server begins
//! to drop what is old at its start: so it is started on a store that is filled already.

use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use crate::load::{self, Figures};
use crate::report::{Report, median};
use crate::workload::Events;

/// Old rows, unless `BENCH_OLD_ROWS` names another number: as many answers as half of it, and a quarter
/// of it each of events and results.
const OLD_ROWS: i64 = 1_000_000;

/// Receipts a second: a part of what either store takes, so that what waits does so for the purge.
const RATE: f64 = 500.0;

/// Receipts of one measurement.
const REQUESTS: usize = 10_000;

const CONNECTIONS: usize = 64;

pub(crate) async fn measure(report: &mut Report) {
    let rows = std::env::var("BENCH_OLD_ROWS");
    let rows = rows.map_or(OLD_ROWS, |rows| rows.parse().unwrap());
    for (name, kind) in [("PostgreSQL", StoreKind::Postgres), ("SQLite", StoreKind::Sqlite)] {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        let mut gone = Vec::new();
        // Each round has a store of its own, so that none waits until the old rows of another are gone.
        for _ in 0..crate::ROUNDS {
            let mut world = World::start_with(kind, &Options::quick(), &[]).await;
            let sql = world.sql().await;
            without.push(millis(&load(&world).await));
            world.server.stop().await;
            fill(&sql, kind, &world.project.id, rows).await;
            let before = old_rows(&sql).await;
            world.restart(&Options::quick()).await;
            with.push(millis(&load(&world).await));
            let after = old_rows(&sql).await;
            gone.push((before - after) as f64);
        }
        let (with, without) = (median(with), median(without));
        let measured = format!(
            "**{:+.1} ms** ({with:.1} ms over {without:.1} ms, while {:.0} of {rows} rows went)",
            with - without,
            median(gone)
        );
        report.add(
            &format!("{name}: p99 of receipts while old rows go"),
            measured,
            "+50 ms",
            "+10 ms",
        );
    }
}

async fn load(world: &World) -> Figures {
    let requests = Events::new(REQUESTS).receipts();
    let (server, key) = (world.server.address, &world.project.api_key);
    let figures = load::run_at(RATE, server, key, CONNECTIONS, requests)
        .await
        .unwrap();
    assert_eq!(figures.refused, 0, "every request is to be accepted");
    figures
}

fn millis(figures: &Figures) -> f64 {
    figures.p99.as_secs_f64() * 1e3
}

async fn old_rows(sql: &Sql) -> i64 {
    sql.count(
        "SELECT (SELECT count(*) FROM idempotency WHERE created_at = 1)
             + (SELECT count(*) FROM events WHERE received_at = 1)
             + (SELECT count(*) FROM results WHERE received_at = 1) AS n",
    )
    .await
}

/// Rows of long ago, written by the database itself. Keys are random, as they are in life.
async fn fill(sql: &Sql, kind: StoreKind, project: &str, rows: i64) {
    let project = sql.id(project);
    let series = |count: i64| match kind {
        StoreKind::Sqlite => {
            format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})")
        }
        StoreKind::Postgres => format!("WITH s AS (SELECT n FROM generate_series(1, {count}) AS g(n))"),
    };
    // An event's id begins with its time, and rises.
    let (random, bytes, event) = match kind {
        StoreKind::Sqlite => (
            "randomblob(16)",
            "randomblob(32)",
            "unhex(printf('000000000001%020x', n))",
        ),
        StoreKind::Postgres => (
            "gen_random_uuid()",
            "decode(repeat('5a', 32), 'hex')",
            "('000000000001' || lpad(to_hex(n), 20, '0'))::uuid",
        ),
    };
    let (answers, events) = (series(rows / 2), series(rows / 4));
    for statement in [
        format!("UPDATE projects SET events_forgotten_to = NULL WHERE id = {project}"),
        format!(
            "INSERT INTO idempotency (project_id, key_digest, fingerprint, answer, created_at)
             {answers} SELECT {project}, {random}, {bytes}, '{{\"accepted\":true}}', 1 FROM s"
        ),
        format!(
            "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type,
                effect_type, internal_reference, occurred_at, received_at, timeout_at, state)
             {events} SELECT {project}, {event}, 'stripe', {random}, 'evt_' || n, 'invoice.paid', 'access_unlock',
                'customer', 1, 1, 1, 'succeeded' FROM s"
        ),
        format!(
            "INSERT INTO results (project_id, event_id, id, effect, received_at)
             {events} SELECT {project}, {event}, {random}, 'success', 1 FROM s"
        ),
    ] {
        sql.run(&statement).await;
    }
    if kind == StoreKind::Sqlite {
        // What was written here is not for the server to put into the file.
        sql.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    }
}
