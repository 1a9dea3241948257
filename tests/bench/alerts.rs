//! What alerts cost ingest: receipts while incidents are told to nobody, and while every destination hangs.

use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use crate::ROUNDS;
use crate::load::{self, Figures};
use crate::report::{Report, median};
use crate::workload::Events;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Receipts in a round.
const RECEIPTS: usize = 20_000;
/// Incidents that open before them.
const INCIDENTS: usize = 2_000;
/// Destinations of a project, the most it may have.
const DESTINATIONS: usize = 10;

pub(crate) async fn measure(report: &mut Report) {
    for (name, kind) in [("PostgreSQL", StoreKind::Postgres), ("SQLite", StoreKind::Sqlite)] {
        let hanging = Endpoint::start(|_, _| Reply::Held(200)).await;
        let quiet = World::start_with(kind, &Options::quick(), &[]).await;
        let told = World::start_with(kind, &Options::quick(), &[]).await;
        for _ in 0..DESTINATIONS {
            let add = [
                "alert",
                "add",
                "--project",
                &told.project.id,
                "--channel",
                "slack",
            ];
            let added = told.cli.run_with_input(&add, &hanging.url()).await;
            assert_eq!(added.code, 0, "{added:?}");
        }
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(round(&quiet).await);
            with.push(round(&told).await);
        }
        assert!(hanging.in_flight() > 0, "calls hang");
        add(report, name, &without, &with);
    }
}

/// Receipts and results that open incidents, then receipts; gives the figures of these.
async fn round(world: &World) -> Figures {
    let failing = Events::new(INCIDENTS);
    send(world, failing.receipts()).await;
    send(world, failing.results("failed")).await;
    send(world, Events::new(RECEIPTS).receipts()).await
}

async fn send(world: &World, requests: Vec<load::Request>) -> Figures {
    let key = &world.project.api_key;
    let figures = load::run(world.server.address, key, CONNECTIONS, requests)
        .await
        .unwrap();
    assert_eq!(figures.refused, 0, "every request is to be accepted");
    figures
}

fn add(report: &mut Report, store: &str, without: &[Figures], with: &[Figures]) {
    let p99 = |rounds: &[Figures]| median(rounds.iter().map(|f| f.p99.as_secs_f64() * 1_000.0).collect());
    let (before, after) = (p99(without), p99(with));
    report.add(
        &format!("{store}: p99 of receipts while ten destinations of alerts hang, over p99 without any"),
        format!("**{:.2}x** ({after:.1} ms over {before:.1} ms)", after / before),
        "1.2x",
        "1.05x",
    );
}
