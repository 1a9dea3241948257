//! Callbacks delivered to a sink on loopback.

use std::time::Instant;

use sendpromptly_tests::endpoint::Endpoint;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

use crate::load;
use crate::report::{Report, ratio};
use crate::workload::Events;

const PROJECTS: usize = 50;
const CALLBACKS: usize = 5_000;

/// Replays in 50 projects are queued at once, and the time counted until all are delivered.
pub(crate) async fn measure(report: &mut Report) {
    let (mut delivered, mut receipts) = (Vec::new(), Vec::new());
    let endpoint = Endpoint::always(204).await;
    let store = TestStore::new(StoreKind::Postgres).await;
    let world = World::start_on(store, &Options::quick(), &["--repair-url", &endpoint.url()]).await;
    let sql = world.sql().await;
    let mut projects = vec![world.project.clone()];
    while projects.len() < PROJECTS {
        let options = ["--repair-url", &endpoint.url()];
        projects.push(world.cli.create_project(&world.organization, &options).await);
    }
    for round in 1..=crate::ROUNDS {
        for project in &projects {
            let events = Events::new(CALLBACKS / PROJECTS);
            for requests in [events.receipts(), events.results("failed")] {
                load::run(world.server.address, &project.api_key, 8, requests)
                    .await
                    .unwrap();
            }
        }
        let many = Events::new(20_000).receipts();
        let figures = load::run(world.server.address, &world.project.api_key, 64, many)
            .await
            .unwrap();
        receipts.push(figures.rate);
        let start = Instant::now();
        sql.run(
            "WITH queued AS (
                UPDATE incidents SET state = 'reprocessing' WHERE state = 'open'
                RETURNING project_id, id, event_id)
             INSERT INTO replays (project_id, id, incident_id, event_id, state, attempts, steps, cut_offs,
                doubtful, next_attempt_at, body, created_at)
             SELECT project_id, gen_random_uuid(), id, event_id, 'queued', 0, 0, 0, 0, 0, '{}', 0 FROM queued",
        )
        .await;
        let expected = (round * CALLBACKS) as i64;
        eventually("every callback is delivered", async || {
            let done = "SELECT count(*) AS n FROM replays WHERE state = 'delivered'";
            (sql.count(done).await == expected).then_some(())
        })
        .await;
        delivered.push(CALLBACKS as f64 / start.elapsed().as_secs_f64());
    }
    report.add(
        "PostgreSQL: callbacks delivered to 50 projects, over receipts",
        ratio(&delivered, &receipts),
        "0.1x",
        "0.25x",
    );
}
