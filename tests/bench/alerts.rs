//! What alerts cost ingest: receipts while incidents are told to nobody, while ten destinations answer at once, and while
//! all ten hang. Each is measured just after the incidents opened, while their news are handed on, and once more when
//! they are.

use std::cell::RefCell;

use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

use crate::load::{self, Figures};
use crate::report::{Report, median};
use crate::workload::Events;

/// Rounds: a 99th percentile wavers more than a rate does.
const ROUNDS: usize = 9;
/// Connections at once.
const CONNECTIONS: usize = 64;
/// Receipts in a round.
const RECEIPTS: usize = 20_000;
/// Incidents that open before them.
const INCIDENTS: usize = 2_000;
/// Destinations of a project, the most it may have.
const DESTINATIONS: usize = 10;
/// Messages that a project has under way at once.
const AT_ONCE: usize = 4;

/// Whom incidents are told in a world.
#[derive(Clone, Copy)]
enum Told {
    Nobody,
    Answering,
    Hanging,
}

pub(crate) async fn measure(report: &mut Report) {
    for (name, kind) in [("PostgreSQL", StoreKind::Postgres), ("SQLite", StoreKind::Sqlite)] {
        let quiet = Scene::set(kind, Told::Nobody).await;
        let answering = Scene::set(kind, Told::Answering).await;
        let hanging = Scene::set(kind, Told::Hanging).await;
        for _ in 0..ROUNDS {
            for scene in [&quiet, &answering, &hanging] {
                scene.round().await;
            }
        }
        for (what, told) in [("answer at once", &answering), ("hang", &hanging)] {
            add(
                report,
                &format!("{name}, ten destinations {what}, while news are handed on"),
                &quiet.busy,
                &told.busy,
            );
            add(
                report,
                &format!("{name}, ten destinations {what}, once they are"),
                &quiet.calm,
                &told.calm,
            );
        }
    }
}

/// A server whose project's incidents are told so.
struct Scene {
    world: World,
    told: Told,
    endpoint: Endpoint,
    busy: RefCell<Vec<Figures>>,
    calm: RefCell<Vec<Figures>>,
}

impl Scene {
    async fn set(kind: StoreKind, told: Told) -> Self {
        let endpoint = match told {
            Told::Hanging => Endpoint::start(|_, _| Reply::Held(200)).await,
            Told::Nobody | Told::Answering => Endpoint::always(200).await,
        };
        let world = World::start_with(kind, &Options::quick(), &[]).await;
        let destinations = if matches!(told, Told::Nobody) {
            0
        } else {
            DESTINATIONS
        };
        for _ in 0..destinations {
            let add = [
                "alert",
                "add",
                "--project",
                &world.project.id,
                "--channel",
                "slack",
            ];
            let added = world.cli.run_with_input(&add, &endpoint.url()).await;
            assert_eq!(added.code, 0, "{added:?}");
        }
        Self {
            world,
            told,
            endpoint,
            busy: RefCell::default(),
            calm: RefCell::default(),
        }
    }

    /// Receipts and results that open incidents; then receipts, and receipts again when all news are handed on.
    async fn round(&self) {
        let failing = Events::new(INCIDENTS);
        send(&self.world, failing.receipts()).await;
        send(&self.world, failing.results("failed")).await;
        let busy = send(&self.world, Events::new(RECEIPTS).receipts()).await;
        self.busy.borrow_mut().push(busy);
        let sql = self.world.sql().await;
        eventually("all news are handed on", async || {
            (sql.rows("alert_changes").await == 0).then_some(())
        })
        .await;
        if matches!(self.told, Told::Hanging) {
            self.until_calls_hang(&sql).await;
        }
        let calm = send(&self.world, Events::new(RECEIPTS).receipts()).await;
        self.calm.borrow_mut().push(calm);
        if matches!(self.told, Told::Hanging) {
            assert!(self.endpoint.in_flight() > 0, "calls hung while receipts came");
        }
    }

    /// Has every message that waits sent now, and waits until as many hang as a project may have under way.
    async fn until_calls_hang(&self, sql: &Sql) {
        sql.run("UPDATE alert_destinations SET due_at = 0 WHERE due_at IS NOT NULL AND lease_token IS NULL")
            .await;
        eventually("calls hang", async || {
            (self.endpoint.in_flight() >= AT_ONCE).then_some(())
        })
        .await;
    }
}

async fn send(world: &World, requests: Vec<load::Request>) -> Figures {
    let key = &world.project.api_key;
    let figures = load::run(world.server.address, key, CONNECTIONS, requests)
        .await
        .unwrap();
    assert_eq!(figures.refused, 0, "every request is to be accepted");
    figures
}

fn add(report: &mut Report, what: &str, without: &RefCell<Vec<Figures>>, with: &RefCell<Vec<Figures>>) {
    let p99 = |rounds: &RefCell<Vec<Figures>>| {
        median(
            rounds
                .borrow()
                .iter()
                .map(|f| f.p99.as_secs_f64() * 1_000.0)
                .collect(),
        )
    };
    let (before, after) = (p99(without), p99(with));
    report.add(
        &format!("{what}: p99 of receipts, over p99 without any"),
        format!("**{:.2}x** ({after:.1} ms over {before:.1} ms)", after / before),
        "1.2x",
        "1.05x",
    );
}
