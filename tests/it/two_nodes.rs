//! Two servers on one PostgreSQL: the database settles every race, whichever node it comes to.

use sendpromptly_tests::api::Api;
use sendpromptly_tests::bodies::{receipt, unique, with};
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::http::Answer;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::json;

/// A world, and a second server on its store.
struct Nodes {
    world: World,
    second: Server,
}

impl Nodes {
    async fn start(project: &[&str]) -> Self {
        let options = Options::quick();
        let world = World::start_with(StoreKind::Postgres, &options, project).await;
        let second = world.start_second_node(&options).await;
        Self { world, second }
    }

    /// The project's API at both.
    fn apis(&self) -> [Api; 2] {
        let first = self.world.api();
        let second = Api {
            server: self.second.address,
            ..first.clone()
        };
        [first, second]
    }
}

/// Sends the same request to both nodes, so many times each, all at once.
async fn at_both<F>(apis: &[Api; 2], times: usize, send: impl Fn(Api, usize) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let sent: Vec<_> = (0..times)
        .flat_map(|time| apis.iter().cloned().map(move |api| (api, time)))
        .map(|(api, time)| tokio::spawn(send(api, time)))
        .collect();
    let mut answers = Vec::new();
    for answer in sent {
        answers.push(answer.await.unwrap());
    }
    answers
}

#[tokio::test]
async fn one_provider_event_received_at_both_is_one_event() {
    let nodes = Nodes::start(&[]).await;
    for round in 0..5 {
        let event = format!("evt_{round}");
        let answers = at_both(&nodes.apis(), 8, |api, _| {
            let body = receipt(&event);
            async move { api.receipt(&unique("key"), &body).await }
        })
        .await;
        let firsts = answers
            .iter()
            .filter(|answer| answer.json()["duplicate"] == json!(false))
            .count();
        assert_eq!(firsts, 1, "round {round}");
        for answer in &answers {
            assert_eq!(answer.status, 202);
            assert_eq!(answer.json()["event_id"], answers[0].json()["event_id"]);
            assert_eq!(answer.json()["timeout_at"], answers[0].json()["timeout_at"]);
        }
    }
    assert_eq!(nodes.world.sql().await.rows("events").await, 5);
}

#[tokio::test]
async fn one_idempotency_key_at_both_runs_once_and_is_answered_alike() {
    let nodes = Nodes::start(&[]).await;
    for round in 0..5 {
        let key = format!("key-{round}");
        let body = receipt(&unique("evt"));
        let answers = at_both(&nodes.apis(), 8, |api, _| {
            let (key, body) = (key.clone(), body.clone());
            async move { api.receipt(&key, &body).await }
        })
        .await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.status == 202 && answer.body == answers[0].body)
        );
        let afresh = answers
            .iter()
            .filter(|answer| answer.header("idempotent-replayed").is_none())
            .count();
        assert_eq!(afresh, 1, "round {round}");
    }

    // Two requests under one key: the one that came first is accepted, the other stored nowhere.
    let answers = at_both(&nodes.apis(), 8, |api, time| {
        let body = with(
            receipt("evt_contested"),
            "internal_reference",
            format!("{}-{time}", api.server).into(),
        );
        async move { api.receipt("contested", &body).await }
    })
    .await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    let conflicts = answers
        .iter()
        .filter(|answer| answer.verdict() == "409 idempotency_conflict")
        .count();
    assert_eq!((accepted, conflicts), (1, 15));
    assert_eq!(nodes.world.sql().await.rows("events").await, 6);
}

#[tokio::test]
async fn failures_and_sweeps_at_both_open_one_incident_an_event() {
    const EVENTS: usize = 20;
    let nodes = Nodes::start(&[]).await;
    let [first, second] = nodes.apis();
    let mut events = Vec::new();
    for _ in 0..EVENTS {
        events.push(first.new_event().await);
    }
    let sql = nodes.world.sql().await;
    // Half are reported at both while the sweeps find them, half are left to the sweeps.
    let reports: Vec<_> = events[..EVENTS / 2]
        .iter()
        .flat_map(|event| [(first.clone(), event.clone()), (second.clone(), event.clone())])
        .map(|(api, event)| {
            tokio::spawn(async move { (api.report(&event, "failed").await["incident_id"].clone(), event) })
        })
        .collect();
    sql.run("UPDATE events SET timeout_at = 1000, sweep_at = 1000 WHERE sweep_at IS NOT NULL")
        .await;
    let mut told = Vec::new();
    for report in reports {
        told.push(report.await.unwrap());
    }
    eventually("every event has its incident", async || {
        (sql.rows("incidents").await == i64::try_from(EVENTS).unwrap()).then_some(())
    })
    .await;
    let incidents = nodes.world.cli.incidents(&nodes.world.project.id).await;
    for (incident, event) in told {
        let stored: Vec<_> = incidents
            .iter()
            .filter(|stored| stored["event_id"] == event)
            .collect();
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0]["incident_id"], incident);
    }
    let opened = sql
        .count("SELECT count(*) AS n FROM audit_entries WHERE action = 'incident.opened'")
        .await;
    assert_eq!(opened, i64::try_from(EVENTS).unwrap());
    assert_eq!(nodes.world.cli.run(&["audit", "verify"]).await.code, 0);
}

#[tokio::test]
async fn orders_at_once_make_one_replay_and_one_call() {
    let endpoint = Endpoint::start(|_, _| Reply::Held(200)).await;
    let nodes = Nodes::start(&["--repair-url", &endpoint.url()]).await;
    let (_, incident) = nodes.world.api().new_incident().await;
    let orders: Vec<_> = (0..6)
        .map(|_| {
            let (cli, incident) = (nodes.world.cli.clone(), incident.clone());
            tokio::spawn(async move { cli.run(&["incident", "reprocess", &incident]).await })
        })
        .collect();
    let mut codes = Vec::new();
    for order in orders {
        codes.push(order.await.unwrap().code);
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, 1, 1, 1, 1, 1]);

    // Both nodes look for work; the replay of another incident, ordered later, shows that both had their turn.
    endpoint.after_calls(1).await;
    let (_, other) = nodes.world.api().new_incident().await;
    nodes.world.cli.reprocess(&other).await;
    endpoint.after_calls(2).await;
    endpoint.release();
    nodes.world.replay_becomes(&incident, "delivered").await;
    nodes.world.replay_becomes(&other, "delivered").await;
    assert_eq!(endpoint.calls().len(), 2);
}

#[tokio::test]
async fn the_second_node_takes_over_a_call_when_its_lease_has_run_out() {
    let endpoint = Endpoint::holding_the_first().await;
    let mut world = World::start_calling(StoreKind::Postgres, &endpoint).await;
    let (_, incident) = world.api().new_incident().await;
    let replay = world.cli.reprocess(&incident).await;
    endpoint.after_calls(1).await;
    let second = world.start_second_node(&Options::quick()).await;
    world.server.kill().await;
    // The second node could not know that the first is gone before the lease is over.
    let sql = world.sql().await;
    assert_eq!(endpoint.calls().len(), 1);
    sql.let_lease_run_out(&replay).await;
    let replay = world.replay_becomes(&incident, "delivered").await;
    assert_eq!(
        (&replay["attempts"], &replay["last_status"]),
        (&json!(2), &json!(200))
    );
    let calls = endpoint.calls();
    assert_eq!(calls[1].header("x-sendpromptly-attempt"), "2");
    assert_eq!(calls[0].body, calls[1].body);
    drop(second);
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_every_node() {
    let nodes = Nodes::start(&[]).await;
    let listed = nodes
        .world
        .cli
        .run(&["key", "list", "--project", &nodes.world.project.id])
        .await;
    let key_id = listed.json_lines()[0]["key_id"].as_str().unwrap().to_owned();
    for api in nodes.apis() {
        api.new_event().await; // both have the key in their memory now
    }
    assert_eq!(nodes.world.cli.run(&["key", "revoke", &key_id]).await.code, 0);
    for api in nodes.apis() {
        eventually("the key is refused", async || {
            let answer = api.receipt(&unique("key"), &receipt(&unique("evt"))).await;
            (answer.verdict() == "401 unauthorized").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn nodes_that_start_at_once_migrate_once() {
    let store = TestStore::new(StoreKind::Postgres).await;
    let elsewhere = World::start(StoreKind::Sqlite).await; // makes a master key for all
    let master = elsewhere.store.data_dir().join("master.key");
    let options = Options::quick().set("--master-key-file", master.to_str().unwrap());
    let directories = ["one", "two", "three"].map(|name| store.directory().join(name));
    let (one, two, three) = tokio::join!(
        Server::start_as(&store, &options, &directories[0]),
        Server::start_as(&store, &options, &directories[1]),
        Server::start_as(&store, &options, &directories[2]),
    );
    for server in [&one, &two, &three] {
        assert_eq!(server.get("/readyz").await.status, 200);
    }
}
