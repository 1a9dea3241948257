//! A backup that is made while receipts come in.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sendpromptly_tests::api::{Api, RECEIPT};
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::Connection;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::within;
use sendpromptly_tests::world::World;

use super::{Target, back_up};

on_both_stores!(every_event_acknowledged_before_a_backup_began_is_in_it);

const CONNECTIONS: usize = 16;
const BEFORE: usize = 600;

type Acknowledged = Arc<Mutex<Vec<String>>>;

async fn every_event_acknowledged_before_a_backup_began_is_in_it(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let acknowledged = Acknowledged::default();
    let load: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(send_until_gone(world.api(), acknowledged.clone())))
        .collect();
    reaches(&acknowledged, BEFORE).await;
    let before = acknowledged.lock().unwrap().clone();
    back_up(&world).await;
    // It went on all the while.
    let during = acknowledged.lock().unwrap().len();
    assert!(during > before.len());
    reaches(&acknowledged, during + CONNECTIONS).await;
    world.server.kill().await;
    for connection in load {
        connection.await.unwrap();
    }

    let target = Target::with_keys_of(&world).await;
    target.restored(&world).await;
    let verified = target.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    let sql = target.store.sql().await;
    let stored = sql
        .texts(&format!("SELECT 'evt_' || {} AS t FROM events", sql.hex("id")))
        .await;
    let stored: BTreeSet<_> = stored.iter().collect();
    let lost: Vec<_> = before.iter().filter(|event| !stored.contains(event)).collect();
    assert!(lost.is_empty(), "{} of {} are lost", lost.len(), before.len());
}

async fn reaches(acknowledged: &Acknowledged, count: usize) {
    within(Duration::from_secs(60), "enough is acknowledged", async || {
        (acknowledged.lock().unwrap().len() >= count).then_some(())
    })
    .await;
}

async fn send_until_gone(api: Api, acknowledged: Acknowledged) {
    let mut connection = Connection::open(api.server).await;
    loop {
        let request = api.request(RECEIPT, &unique("key"), &receipt(&unique("evt")));
        connection.send(&request.to_bytes()).await;
        match connection.answer().await {
            Some(answer) if answer.status == 202 => {
                let event = answer.json()["event_id"].as_str().unwrap().to_owned();
                acknowledged.lock().unwrap().push(event);
            }
            _ => return,
        }
    }
}
