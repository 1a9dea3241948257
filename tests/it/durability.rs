//! What was acknowledged is there, once, whenever the server was killed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sendpromptly_tests::api::{Api, RECEIPT, RESULT};
use sendpromptly_tests::bodies::{receipt, result, unique};
use sendpromptly_tests::http::Connection;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::within;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};
use std::time::Duration;

on_both_stores!(
    every_acknowledged_request_survives_kills_under_load,
    a_stop_under_load_loses_nothing
);

const CONNECTIONS: usize = 24;
const KILLS: usize = 3;
const ACKNOWLEDGED_BEFORE_A_KILL: usize = 700;

async fn every_acknowledged_request_survives_kills_under_load(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let mut sent = Vec::new();
    for _ in 0..KILLS {
        let load = Load::start(&world.api());
        load.until(ACKNOWLEDGED_BEFORE_A_KILL).await;
        world.server.kill().await;
        sent.extend(load.end().await);
        world.restart(&Options::quick()).await;
    }
    assert_all_is_there_once(&world, sent).await;
}

async fn a_stop_under_load_loses_nothing(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let load = Load::start(&world.api());
    load.until(ACKNOWLEDGED_BEFORE_A_KILL).await;
    let (status, took) = world.server.stop().await;
    assert!(
        status.success() && took < Duration::from_secs(10),
        "{status} after {took:?}"
    );
    let sent = load.end().await;
    world.restart(&Options::quick()).await;
    assert_all_is_there_once(&world, sent).await;
}

/// A request, and what was answered; `None` where the server was gone before it answered.
struct Sent {
    path: &'static str,
    key: String,
    body: Value,
    answer: Option<Vec<u8>>,
}

impl Sent {
    fn is_receipt(&self) -> bool {
        self.path == RECEIPT
    }
}

/// Connections that send receipts, each followed by its result, until the server is gone.
struct Load {
    acknowledged: Arc<AtomicUsize>,
    connections: Vec<tokio::task::JoinHandle<Vec<Sent>>>,
}

impl Load {
    fn start(api: &Api) -> Self {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let connections = (0..CONNECTIONS)
            .map(|_| tokio::spawn(send_until_gone(api.clone(), acknowledged.clone())))
            .collect();
        Self {
            acknowledged,
            connections,
        }
    }

    async fn until(&self, acknowledged: usize) {
        within(Duration::from_secs(60), "enough is acknowledged", async || {
            (self.acknowledged.load(Ordering::Relaxed) >= acknowledged).then_some(())
        })
        .await;
    }

    async fn end(self) -> Vec<Sent> {
        let mut sent = Vec::new();
        for connection in self.connections {
            sent.extend(connection.await.unwrap());
        }
        sent
    }
}

async fn send_until_gone(api: Api, acknowledged: Arc<AtomicUsize>) -> Vec<Sent> {
    let mut connection = Connection::open(api.server).await;
    let mut sent = Vec::new();
    loop {
        let event_id = match sent.last() {
            Some(Sent {
                path: RECEIPT,
                answer: Some(answer),
                ..
            }) => serde_json::from_slice::<Value>(answer).unwrap()["event_id"]
                .as_str()
                .map(str::to_owned),
            _ => None,
        };
        let (path, body) = match event_id {
            Some(event) => (RESULT, result(&event, "success")),
            None => (RECEIPT, receipt(&unique("evt"))),
        };
        let key = unique("key");
        connection.send(&api.request(path, &key, &body).to_bytes()).await;
        let answer = connection.answer().await;
        let refused = answer.as_ref().is_some_and(|answer| answer.status != 202);
        assert!(!refused || answer.as_ref().unwrap().status == 503, "{answer:?}");
        let answer = answer
            .filter(|answer| answer.status == 202)
            .map(|answer| answer.body);
        let gone = answer.is_none();
        acknowledged.fetch_add(usize::from(!gone), Ordering::Relaxed);
        sent.push(Sent {
            path,
            key,
            body,
            answer,
        });
        if gone {
            return sent;
        }
    }
}

async fn assert_all_is_there_once(world: &World, sent: Vec<Sent>) {
    let sql = world.sql().await;
    let (acknowledged, unknown): (Vec<_>, Vec<_>) = sent.iter().partition(|sent| sent.answer.is_some());
    assert!(acknowledged.len() >= ACKNOWLEDGED_BEFORE_A_KILL);
    assert_stored_once(&sql, &acknowledged).await;

    // Sent again under the same key: what was acknowledged gets its own answer, byte for byte; what was not is
    // accepted now, whether or not it had been stored.
    let (events, results) = (sql.rows("events").await, sql.rows("results").await);
    let mut connection = Connection::open(world.server.address).await;
    for (again, is_known) in acknowledged
        .iter()
        .map(|sent| (sent, true))
        .chain(unknown.iter().map(|sent| (sent, false)))
    {
        connection
            .send(
                &world
                    .api()
                    .request(again.path, &again.key, &again.body)
                    .to_bytes(),
            )
            .await;
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.status, 202);
        if is_known {
            assert_eq!(Some(&answer.body), again.answer.as_ref(), "{}", again.key);
            assert_eq!(answer.header("idempotent-replayed"), Some("true"));
        }
    }
    let sent_receipts = sent.iter().filter(|sent| sent.is_receipt()).count();
    let sent_results = sent.len() - sent_receipts;
    assert_eq!(
        sql.rows("events").await,
        i64::try_from(sent_receipts).unwrap(),
        "{events} before"
    );
    assert_eq!(
        sql.rows("results").await,
        i64::try_from(sent_results).unwrap(),
        "{results} before"
    );
}

/// Every acknowledged receipt has its one event, every acknowledged result its one row, and its event's state.
async fn assert_stored_once(sql: &Sql, acknowledged: &[&Sent]) {
    let stored = sql
        .texts(&format!(
            "SELECT provider_event_id || ' ' || {} || ' ' || state AS t FROM events",
            sql.hex("id")
        ))
        .await;
    let mut events = HashMap::new();
    for row in stored {
        let parts: Vec<_> = row.split(' ').map(str::to_owned).collect();
        let earlier = events.insert(format!("evt_{}", parts[1]), (parts[0].clone(), parts[2].clone()));
        assert!(earlier.is_none());
    }
    for sent in acknowledged {
        let answer: Value = serde_json::from_slice(sent.answer.as_ref().unwrap()).unwrap();
        let (provider_event_id, state) = &events[answer["event_id"].as_str().unwrap()];
        if sent.is_receipt() {
            assert_eq!(sent.body["provider_event_id"], json!(provider_event_id));
        } else {
            assert_eq!(state, "succeeded");
        }
    }
    let doubled = sql
        .count("SELECT count(*) AS n FROM (SELECT event_id FROM results GROUP BY event_id HAVING count(*) > 1) d")
        .await;
    assert_eq!(doubled, 0, "each event was reported once");
}
