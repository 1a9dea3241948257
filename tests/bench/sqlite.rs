//! The yardstick on SQLite: a receipt's two rows, one transaction each, on one connection.

use std::time::Instant;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DbBackend, SqliteTransactionMode, Statement};
use sea_orm::{TransactionOptions, TransactionTrait};

/// Transactions of each run.
const COUNT: usize = 8_000;

/// How many a second SQLite commits one at a time, as durably as the server does.
pub(crate) async fn one_at_a_time() -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("yardstick.db");
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(1)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            let options = options.in_memory(false).filename(&path).create_if_missing(true);
            options
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
        });
    let database = Database::connect(options).await.unwrap();
    for table in ["one", "two"] {
        let create = format!(
            "CREATE TABLE {table} (project blob, id blob, body text, at integer, PRIMARY KEY (project, id))"
        );
        database.execute_unprepared(&create).await.unwrap();
    }
    let start = Instant::now();
    for number in 0..COUNT {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let tx = database.begin_with_options(immediate).await.unwrap();
        for table in ["one", "two"] {
            let insert = Statement::from_sql_and_values(
                DbBackend::Sqlite,
                format!(
                    "INSERT INTO {table} VALUES (x'01', randomblob(16), \
                     'checkout.session.completed access_unlock customer_7', $1) ON CONFLICT DO NOTHING"
                ),
                [i64::try_from(number).unwrap().into()],
            );
            tx.execute_raw(insert).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let rate = COUNT as f64 / start.elapsed().as_secs_f64();
    database.close().await.unwrap();
    rate
}
