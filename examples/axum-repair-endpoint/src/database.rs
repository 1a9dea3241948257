//! The app's database.

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
    -- What each payment bought, as the webhook stored it.
    CREATE TABLE IF NOT EXISTS purchases (
        provider_event_id TEXT PRIMARY KEY,
        credits INTEGER NOT NULL
    ) STRICT;
    -- The effects that have happened, by whichever way: the usual work writes here too.
    CREATE TABLE IF NOT EXISTS effects (
        provider_event_id TEXT NOT NULL,
        effect_type TEXT NOT NULL,
        PRIMARY KEY (provider_event_id, effect_type)
    ) STRICT;
    -- The orders to repair that have been carried out.
    CREATE TABLE IF NOT EXISTS applied_replays (
        replay_id BLOB PRIMARY KEY
    ) STRICT;
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

/// Makes an account that has bought credits with one payment, and got none of them. A real app has accounts of
/// its own.
///
/// # Errors
/// [`sqlx::Error`] where the database cannot be written.
pub async fn create_example(
    pool: &SqlitePool,
    account: &str,
    payment: &str,
    credits: i64,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO accounts (id) VALUES (?) ON CONFLICT DO NOTHING")
        .bind(account)
        .execute(pool)
        .await?;
    sqlx::query("INSERT INTO purchases (provider_event_id, credits) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(payment)
        .bind(credits)
        .execute(pool)
        .await?;
    Ok(())
}
