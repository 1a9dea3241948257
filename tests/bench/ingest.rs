//! Receipts and results over HTTP, on both databases.

use sendpromptly_tests::postgres::Cluster;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

use crate::load::{self, Figures};
use crate::pgbench::Pgbench;
use crate::process;
use crate::report::{Report, median, ratio};
use crate::workload::Events;
use crate::{ROUNDS, sqlite};

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Requests of each kind in a round.
const REQUESTS: usize = 40_000;

/// What one round showed.
#[derive(Debug)]
struct Round {
    receipts: Figures,
    successes: Figures,
    duplicates: Figures,
    repeats: Figures,
    failures: Figures,
}

async fn round(world: &World) -> Round {
    let events = Events::new(REQUESTS);
    let receipts = events.receipts();
    let send = async |requests| {
        let figures = load::run(
            world.server.address,
            &world.project.api_key,
            CONNECTIONS,
            requests,
        )
        .await
        .unwrap();
        assert_eq!(figures.refused, 0, "every request is to be accepted");
        figures
    };
    let first = send(receipts.clone()).await;
    let duplicates = send(events.receipts()).await;
    let repeats = send(receipts).await;
    let successes = send(events.results("success")).await;
    let failing = Events::new(REQUESTS / 2);
    send(failing.receipts()).await;
    let failures = send(failing.results("failed")).await;
    Round {
        receipts: first,
        successes,
        duplicates,
        repeats,
        failures,
    }
}

fn rates(rounds: &[Round], of: impl Fn(&Round) -> &Figures) -> Vec<f64> {
    rounds.iter().map(|round| of(round).rate).collect()
}

fn compare(report: &mut Report, store: &str, rounds: &[Round]) {
    let receipts = rates(rounds, |round| &round.receipts);
    let over = |of: fn(&Round) -> &Figures| ratio(&rates(rounds, of), &receipts);
    report.add(
        &format!("{store}: results over receipts"),
        over(|round| &round.successes),
        "0.5x",
        "0.8x",
    );
    report.add(
        &format!("{store}: duplicates over new receipts"),
        over(|round| &round.duplicates),
        "1x",
        "1.5x",
    );
    report.add(
        &format!("{store}: repeats over new receipts"),
        over(|round| &round.repeats),
        "1x",
        "1.5x",
    );
    report.add(
        &format!("{store}: results that open an incident, one organization, over receipts"),
        over(|round| &round.failures),
        "0.15x",
        "0.4x",
    );
    let millis = |of: fn(&Figures) -> std::time::Duration| {
        median(
            rounds
                .iter()
                .map(|round| of(&round.receipts).as_secs_f64() * 1_000.0)
                .collect(),
        )
    };
    let times = format!(
        "{:.1} ms (half within {:.1} ms)",
        millis(|f| f.p99),
        millis(|f| f.p50)
    );
    report.add(
        &format!("{store}: p99 of receipts at 64 connections"),
        times,
        "40 ms",
        "8 ms",
    );
}

/// One connection, so that nothing is there to group.
async fn alone(world: &World) -> f64 {
    let requests = Events::new(4_000).receipts();
    load::run(world.server.address, &world.project.api_key, 1, requests)
        .await
        .unwrap()
        .rate
}

pub(crate) async fn on_postgres(report: &mut Report) {
    let cluster = Cluster::private();
    let pgbench = Pgbench::new(&cluster).await;
    let store = TestStore::in_cluster(&cluster).await;
    let world = World::start_on(store, &Options::quick(), &[]).await;
    let (mut rounds, mut one, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(pgbench.one_row());
        both.push(pgbench.both_rows());
        rounds.push(round(&world).await);
    }
    let receipts = rates(&rounds, |round| &round.receipts);
    report.add(
        "PostgreSQL: receipts over pgbench, one row",
        ratio(&receipts, &one),
        "1x",
        "1.5x",
    );
    report.add(
        "PostgreSQL: receipts over pgbench, both rows",
        ratio(&receipts, &both),
        "2.4x",
        "3.5x",
    );
    compare(report, "PostgreSQL", &rounds);
    let lone = format!("{:.0}/s", alone(&world).await);
    report.add("PostgreSQL: receipts at 1 connection", lone, "-", "-");
    report.add(
        "PostgreSQL: resident, loaded",
        process::resident(world.server.pid()),
        "80 MB",
        "40 MB",
    );
}

pub(crate) async fn on_sqlite(report: &mut Report) {
    let world = World::start_with(StoreKind::Sqlite, &Options::quick(), &[]).await;
    let (mut rounds, mut yardstick) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        yardstick.push(sqlite::one_at_a_time().await);
        rounds.push(round(&world).await);
    }
    let receipts = rates(&rounds, |round| &round.receipts);
    report.add(
        "SQLite: receipts over its own one-at-a-time commits",
        ratio(&receipts, &yardstick),
        "1x and 5,000/s",
        "2x",
    );
    compare(report, "SQLite", &rounds);
    let lone = format!("{:.0}/s", alone(&world).await);
    report.add("SQLite: receipts at 1 connection", lone, "-", "-");
    report.add(
        "SQLite: resident, loaded",
        process::resident(world.server.pid()),
        "80 MB",
        "40 MB",
    );
}
