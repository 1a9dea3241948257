//! Crashes between the claim of a repair (its `replay_id`) and its confirmation (the commit).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum_repair_endpoint::database;
use sqlx::sqlite::SqlitePool;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::app::{App, call, credits, success};
use crate::callback::{CREDITS, SECRET};

#[tokio::test]
async fn an_effect_that_breaks_off_leaves_its_replay_free() {
    let app = App::start().await;
    app.run("CREATE TRIGGER broken BEFORE UPDATE ON accounts BEGIN SELECT RAISE(ABORT, 'broken'); END")
        .await;
    assert_eq!(app.call(CREDITS.attempt()).await, (503, None));
    app.run("DROP TRIGGER broken").await;
    assert_eq!(app.call(CREDITS.attempt()).await, success());
    assert_eq!(app.credits().await, 500);
}

/// The real app, in a process of its own.
struct Process {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    url: String,
}

impl Process {
    async fn start(database: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_axum-repair-endpoint"))
            .env("SIGNING_SECRETS", SECRET)
            .env("DATABASE", database)
            .env("LISTEN", "127.0.0.1:0")
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = after(&mut log, "listening address=").await;
        let url = format!("http://{address}/repair");
        Self { child, log, url }
    }
}

/// What the log's next line with this text says after it.
async fn after(log: &mut Lines<BufReader<ChildStderr>>, text: &str) -> String {
    loop {
        let line = log.next_line().await.unwrap().expect("the app runs");
        if let Some((_, rest)) = line.split_once(text) {
            return rest.to_owned();
        }
    }
}

const ENDLESS: &str = "CREATE TRIGGER endless BEFORE UPDATE ON accounts BEGIN
    SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n);
END";

/// Whether the process holds the write lock: it has claimed the replay, and has not committed.
async fn is_locked(pool: &SqlitePool) -> bool {
    sqlx::query("PRAGMA busy_timeout = 0")
        .execute(pool)
        .await
        .unwrap();
    pool.begin_with("BEGIN IMMEDIATE").await.is_err()
}

#[tokio::test]
async fn a_kill_after_the_claim_and_before_the_commit_leaves_the_replay_free() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.db");
    let pool = database::open(&file).await.unwrap();
    let mut process = Process::start(&file).await;
    // The effect never ends, so the process is killed in the middle of it.
    sqlx::raw_sql(ENDLESS).execute(&pool).await.unwrap();
    let url = process.url.clone();
    let lost = tokio::spawn(async move { call(&url, CREDITS.attempt()).await });
    while !is_locked(&pool).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    process.child.kill().await.unwrap();
    assert!(lost.await.unwrap().is_err());
    sqlx::raw_sql("DROP TRIGGER endless")
        .execute(&pool)
        .await
        .unwrap();

    let process = Process::start(&file).await;
    assert_eq!(call(&process.url, CREDITS.attempt()).await.unwrap(), success());
    assert_eq!(credits(&pool).await, 500);
}

#[tokio::test]
async fn a_kill_after_the_commit_applies_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.db");
    let mut process = Process::start(&file).await;
    assert_eq!(call(&process.url, CREDITS.attempt()).await.unwrap(), success());
    after(&mut process.log, "a callback was answered").await;
    process.child.kill().await.unwrap();

    // SendPromptly may not have read the answer, so it calls again.
    let process = Process::start(&file).await;
    assert_eq!(call(&process.url, CREDITS.attempt()).await.unwrap(), success());
    let pool = database::open(&file).await.unwrap();
    assert_eq!(credits(&pool).await, 500);
}
