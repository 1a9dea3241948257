//! The app's database. What is committed here outlives the process and the power.

use std::path::Path;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, SqliteConnection};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS accounts (
        id TEXT PRIMARY KEY,
        has_access INTEGER NOT NULL DEFAULT 0,
        credits INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    -- Work that was accepted. The event's id is the key, so a webhook that comes twice is one job.
    CREATE TABLE IF NOT EXISTS jobs (
        event_id TEXT PRIMARY KEY,
        event TEXT NOT NULL,
        done INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX IF NOT EXISTS jobs_to_do ON jobs (event_id) WHERE NOT done;
    -- Messages on their way to SendPromptly, in the order in which they were written.
    CREATE TABLE IF NOT EXISTS outbox (
        id INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL,
        path TEXT NOT NULL,
        idempotency_key TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at INTEGER NOT NULL, -- Unix milliseconds
        refused TEXT -- why it can never be accepted as it stands
    ) STRICT;
    CREATE INDEX IF NOT EXISTS outbox_by_event ON outbox (event_id, id);
";

/// Opens the database, and makes it where it is absent.
///
/// # Errors
/// [`sqlx::Error`] where the file cannot be used.
pub async fn open(path: &Path) -> sqlx::Result<SqlitePool> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL, which many use with WAL, may lose commits at a power cut.
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new()
        // SQLite writes one at a time anyway; with one connection nobody finds it locked.
        .max_connections(1)
        .before_acquire(|connection: &mut SqliteConnection, _| {
            // After a commit that failed (a full disk), the library takes the next one for a nested one,
            // which reaches no disk. Such a connection is closed.
            let sound = !connection.is_in_transaction();
            Box::pin(async move { Ok(sound) })
        })
        .connect_with(options)
        .await?;
    sqlx::raw_sql(SCHEMA).execute(&pool).await?;
    Ok(pool)
}

/// Makes an account, where there is none with this id.
///
/// # Errors
/// [`sqlx::Error`] where the database cannot be written.
pub async fn create_account(pool: &SqlitePool, id: &str) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO accounts (id) VALUES (?) ON CONFLICT DO NOTHING")
        .bind(id)
        .execute(pool)
        .await?;
    Ok(())
}
