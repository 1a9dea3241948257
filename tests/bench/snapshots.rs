//! What it costs to keep payloads: sealing one, and receipts that bear one in a project that keeps them, over the
//! same receipts in a project that does not.

use std::hint::black_box;
use std::time::Instant;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sendpromptly_core::envelope::{DataKey, Place};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

use crate::load;
use crate::payload::{SIZE, payload};
use crate::recycled;
use crate::report::{Report, ratio};
use crate::workload::Events;

/// Connections at once.
const CONNECTIONS: usize = 64;
/// Receipts of each side in a round.
const REQUESTS: usize = 1_500;
/// Rounds of receipts: many and short, for the disk's pace changes from second to second.
const ROUNDS: usize = 161;
/// Receipts before the first round, with payloads kept: PostgreSQL's buffers are full then, as on a server that has run
/// for a while, and what its processes touch they have touched before.
const WARM_UP: usize = 60_000;
/// Turns that the two ways to seal take, and seals in each.
const TURNS: usize = 101;
const SEALS: usize = 500;

pub(crate) async fn measure(report: &mut Report) {
    sealing(report);
    for (kind, name) in [(StoreKind::Postgres, "PostgreSQL"), (StoreKind::Sqlite, "SQLite")] {
        let store = TestStore::new(kind).await;
        let world = World::start_on(store, &Options::quick(), &[]).await;
        recycled::log(&world).await;
        receipts(report, &world, name).await;
    }
}

/// The bare cipher has its key set up once and its nonce given. Sealing binds the place, sets the key up, and draws a
/// nonce from random bytes that are asked for by the kilobyte, as the server does.
fn sealing(report: &mut Report) {
    assert_eq!(SIZE, 4_096);
    let payload = payload();
    let (mut key, mut entropy) = ([0; 32], Stock::default());
    getrandom::fill(&mut key).unwrap();
    let bare = Aes256Gcm::new(&key.into());
    let data_key = DataKey::new([1; 16], key);
    let place = Place {
        purpose: "snapshot",
        scope: &[2; 16],
        row: &[3; 16],
    };
    let (mut bares, mut sealings) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        bares.push(a_second(|| {
            let text = Payload {
                msg: black_box(payload.as_bytes()),
                aad: b"",
            };
            drop(black_box(bare.encrypt(&Nonce::from([4; 12]), text)));
        }));
        sealings.push(a_second(|| {
            drop(black_box(data_key.seal(
                black_box(place),
                black_box(payload.as_bytes()),
                entropy.take(),
            )));
        }));
    }
    report.add(
        "sealing 4 KiB, over bare AES-256-GCM",
        ratio(&bares, &sealings),
        "1.3x",
        "1.1x",
    );
}

/// How often a second this is done.
fn a_second(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..SEALS {
        work();
    }
    SEALS as f64 / start.elapsed().as_secs_f64()
}

/// Random bytes for nonces.
#[derive(Default)]
struct Stock(Vec<[u8; 12]>);

impl Stock {
    fn take(&mut self) -> [u8; 12] {
        if self.0.is_empty() {
            let mut bytes = [0; 600];
            getrandom::fill(&mut bytes).unwrap();
            self.0.extend(bytes.as_chunks().0);
        }
        self.0.pop().unwrap()
    }
}

async fn receipts(report: &mut Report, world: &World, store: &str) {
    let keeping = world.cli.create_project(&world.organization, &[]).await;
    let set = ["project", "set", &keeping.id, "--snapshots", "true"];
    assert_eq!(world.cli.run(&set).await.code, 0);
    let send = async |key: &str, count| {
        let requests = Events::new(count).receipts_with(payload);
        let sent = load::run_fresh(world.server.address, key, CONNECTIONS, requests).await;
        let figures = sent.unwrap();
        assert_eq!(figures.refused, 0, "every request is to be accepted");
        figures.rate
    };
    let (on, off) = (keeping.api_key.as_str(), world.project.api_key.as_str());
    for _ in 0..WARM_UP / REQUESTS {
        send(on, REQUESTS).await;
    }
    send(off, REQUESTS).await;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(send(off, REQUESTS).await);
        with.push(send(on, REQUESTS).await);
    }
    let kept = world.sql().await.rows("snapshots").await;
    assert_eq!(kept, (ROUNDS * REQUESTS + WARM_UP) as i64);
    report.add(
        &format!("{store}: receipts whose 4 KiB payloads are kept, over receipts whose payloads are dropped"),
        ratio(&with, &without),
        "0.75x",
        "0.9x",
    );
}
