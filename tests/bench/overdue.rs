//! Finding 1,000 overdue events among few and among many.

use std::time::{Duration, Instant};

use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::PATIENCE;
use sendpromptly_tests::world::World;

use crate::report::{Report, median};

const OVERDUE: i64 = 1_000;
const FEW: i64 = 10_000;
const MANY: i64 = 1_000_000;
/// Rounds, after one that warms up. They are short, so there are more than elsewhere.
const ROUNDS: usize = 9;
/// Short beside what is measured.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

pub(crate) async fn measure(report: &mut Report) {
    for (name, kind) in [("PostgreSQL", StoreKind::Postgres), ("SQLite", StoreKind::Sqlite)] {
        let few = find(kind, FEW).await;
        let many = find(kind, MANY).await;
        let measured = format!(
            "**{:.2}x** ({:.0} ms over {:.0} ms)",
            many / few,
            many * 1e3,
            few * 1e3
        );
        report.add(
            &format!("{name}: 1,000 overdue of 1,000,000 over of 10,000"),
            measured,
            "1.5x",
            "1.1x",
        );
    }
}

/// The time from 1,000 events becoming overdue until each has its incident, among so many pending ones.
async fn find(kind: StoreKind, stored: i64) -> f64 {
    let options = Options::quick().set("--sweep-interval", "10ms");
    let world = World::start_with(kind, &options, &[]).await;
    let sql = world.sql().await;
    let project = sql.id(&world.project.id);
    fill(&sql, kind, &project, stored).await;
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let before = sql.rows("incidents").await;
        let newest = "SELECT id FROM events WHERE sweep_at > 2000000000000 LIMIT 1000";
        let made = sql
            .run(&format!("UPDATE events SET sweep_at = 1000, timeout_at = 1000 WHERE project_id = {project} AND id IN ({newest})"))
            .await;
        assert_eq!(made, OVERDUE as u64);
        let start = Instant::now();
        while sql.rows("incidents").await < before + OVERDUE {
            assert!(start.elapsed() < PATIENCE, "each overdue event has an incident");
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        if round > 0 {
            times.push(start.elapsed().as_secs_f64()); // the first round warms up
        }
    }
    median(times)
}

/// Pending events whose time is far away, written by the database itself.
async fn fill(sql: &Sql, kind: StoreKind, project: &str, count: i64) {
    let (series, id) = match kind {
        StoreKind::Sqlite => (
            format!("WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})"),
            "randomblob(16)",
        ),
        StoreKind::Postgres => (
            format!("WITH s AS (SELECT n FROM generate_series(1, {count}) AS g(n))"),
            "gen_random_uuid()",
        ),
    };
    sql.run(&format!(
        "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type, \
         effect_type, internal_reference, occurred_at, received_at, timeout_at, state, sweep_at) \
         {series} SELECT {project}, {id}, 'stripe', {id}, 'evt_' || n, 'invoice.paid', 'access_unlock', 'customer', 1, 1, \
         4000000000000 + n, 'pending', 4000000000000 + n FROM s"
    ))
    .await;
}
