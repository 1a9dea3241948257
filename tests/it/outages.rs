//! A store that is down, locked, full or failing: 503, then recovery, and nothing lost or half-written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sendpromptly_tests::api::{Api, RECEIPT};
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::Answer;
use sendpromptly_tests::postgres::Cluster;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::wait::{eventually, within};
use sendpromptly_tests::world::World;
use tokio::process::Command;

#[tokio::test]
async fn a_stopped_postgresql_gives_503_and_nothing_is_lost() {
    let cluster = Cluster::private();
    let store = TestStore::in_cluster(&cluster).await;
    let world = World::start_on(store, &Options::quick(), &[]).await;
    let senders = Senders::start(&world.api(), 8);
    senders
        .until("receipts are accepted", |seen| seen.accepted() >= 100)
        .await;
    cluster.stop();
    senders
        .until("receipts are refused", |seen| seen.refused() >= 16)
        .await;
    assert_eq!(world.server.get("/readyz").await.status, 503);
    assert_eq!(world.server.get("/healthz").await.status, 200);

    let before = senders.accepted();
    cluster.start();
    senders
        .until("receipts are accepted again", |seen| {
            seen.accepted() >= before + 100
        })
        .await;
    assert_ready_again(&world.server).await;
    let accepted = senders.end().await;
    assert_each_is_stored_whole(&world.sql().await, accepted).await;
}

#[tokio::test]
async fn a_locked_file_gives_503_and_the_same_key_is_accepted_later() {
    let world = World::start(StoreKind::Sqlite).await;
    let other_program = world.sql().await;
    other_program.run("BEGIN IMMEDIATE").await;
    let body = receipt("evt_locked");
    let refused = world.api().receipt("key-1", &body).await;
    assert_unavailable(&refused);
    other_program.run("ROLLBACK").await;

    let accepted = world.api().receipt("key-1", &body).await;
    assert_eq!(accepted.status, 202);
    assert_eq!(
        accepted.header("idempotent-replayed"),
        None,
        "what was refused is handled afresh"
    );
    assert_each_is_stored_whole(&other_program, 1).await;
}

#[tokio::test]
async fn a_full_disk_gives_503_until_there_is_space_again() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    // No file may grow beyond this: the write that would make one larger fails.
    let full = [
        "env",
        "--ignore-signal=XFSZ",
        "prlimit",
        "--fsize=4000000:unlimited",
    ];
    let world = World::start_on(store, &Options::quick().under(&full), &[]).await;
    let mut accepted = 0;
    let refused = loop {
        let answer = world
            .api()
            .receipt(&unique("key"), &receipt(&unique("evt")))
            .await;
        if answer.status != 202 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 5_000, "the disk never fills");
    };
    assert_unavailable(&refused);
    // It stays alive, and says that it cannot take more as long as that is so.
    assert_unavailable(&world.api().receipt("key-1", &receipt("evt_full")).await);
    assert_eq!(world.server.get("/healthz").await.status, 200);

    let pid = world.server.pid().to_string();
    let more_space = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited"])
        .status()
        .await;
    assert!(more_space.unwrap().success());
    accept_again(&world.api(), "key-1", "evt_full").await;
    assert_ready_again(&world.server).await;
    // The one that was refused first has not been stored: its key was its own.
    assert_each_is_stored_whole(&world.sql().await, accepted + 1).await;
}

#[tokio::test]
async fn a_commit_that_does_not_reach_the_disk_is_not_acknowledged() {
    for (calls, error) in [("fsync,fdatasync", "EIO"), ("pwrite64", "ENOSPC")] {
        let mut world = World::start(StoreKind::Sqlite).await;
        let known = receipt("evt_known");
        let accepted = world.api().receipt("known", &known).await;
        world.server.stop().await;

        // From here on the system calls that bring a commit to the disk fail.
        let trace = world.store.directory().join("strace.log");
        let wal = world.store.data_dir().join("test.db-wal");
        let options = Options::quick().under(&[
            "strace",
            "-D",
            "-f",
            "-qq",
            "-o",
            trace.to_str().unwrap(),
            "-P",
            wal.to_str().unwrap(),
            "-e",
            &format!("inject={calls}:error={error}"),
        ]);
        world.restart(&options).await;
        for number in 0..8 {
            let event = format!("evt_{number}");
            let refused = world.api().receipt(&event, &receipt(&event)).await;
            assert_unavailable(&refused);
        }
        let injected = std::fs::read_to_string(&trace).unwrap();
        assert!(injected.contains("(INJECTED)"), "{injected}");

        world.server.kill().await;
        world.restart(&Options::quick()).await;
        let again = world.api().receipt("known", &known).await;
        assert_eq!(
            (again.status, again.header("idempotent-replayed")),
            (202, Some("true"))
        );
        assert_eq!(again.body, accepted.body, "{error}");
        for number in 0..8 {
            let event = format!("evt_{number}");
            let answer = world.api().receipt(&event, &receipt(&event)).await;
            assert_eq!(answer.status, 202, "{}", answer.text());
        }
        assert_each_is_stored_whole(&world.sql().await, 9).await;
    }
}

/// What the senders have seen.
#[derive(Default)]
struct Seen {
    accepted: AtomicUsize,
    refused: AtomicUsize,
    end: AtomicBool,
}

impl Seen {
    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }
}

/// Apps that send receipts one after another, each again under its key until it is accepted.
struct Senders {
    seen: Arc<Seen>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Senders {
    fn start(api: &Api, count: usize) -> Self {
        let seen = Arc::new(Seen::default());
        let tasks = (0..count)
            .map(|_| tokio::spawn(send(api.clone(), seen.clone())))
            .collect();
        Self { seen, tasks }
    }

    fn accepted(&self) -> usize {
        self.seen.accepted()
    }

    async fn until(&self, what: &str, reached: impl Fn(&Seen) -> bool) {
        within(Duration::from_secs(60), what, async || {
            reached(&self.seen).then_some(())
        })
        .await;
    }

    /// Ends them when what each is sending is accepted; gives how many were.
    async fn end(self) -> usize {
        self.seen.end.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.seen.accepted()
    }
}

async fn send(api: Api, seen: Arc<Seen>) {
    while !seen.end.load(Ordering::SeqCst) {
        let request = api.request(RECEIPT, &unique("key"), &receipt(&unique("evt")));
        loop {
            let answer = request.send(api.server).await;
            if answer.status == 202 {
                seen.accepted.fetch_add(1, Ordering::SeqCst);
                break;
            }
            assert_unavailable(&answer);
            seen.refused.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await; // as a polite sender would
        }
    }
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.verdict(), "503 unavailable", "{}", answer.text());
    let retry_after: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry_after));
}

async fn assert_ready_again(server: &Server) {
    eventually("the server is ready again", async || {
        (server.get("/readyz").await.status == 200).then_some(())
    })
    .await;
}

async fn accept_again(api: &Api, key: &str, event: &str) {
    eventually("receipts are accepted again", async || {
        (api.receipt(key, &receipt(event)).await.status == 202).then_some(())
    })
    .await;
}

/// So many events are stored, each with the answer that belongs to it.
async fn assert_each_is_stored_whole(sql: &Sql, accepted: usize) {
    let accepted = i64::try_from(accepted).unwrap();
    assert_eq!(
        (sql.rows("events").await, sql.rows("idempotency").await),
        (accepted, accepted)
    );
}
