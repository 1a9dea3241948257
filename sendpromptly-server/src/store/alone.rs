//! A SQLite file by itself, beside no server: to be looked at, or made into a store.

use std::path::Path;

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

use super::connect::connect_sqlite;
use super::{Dialect, Store, StoreError};

impl Store {
    /// Opens a SQLite file that nobody else uses, whatever its tables. It has no log beside it, so that it can be
    /// moved when it is closed.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn open_alone(path: &Path) -> Result<Self, StoreError> {
        let connect = async |read_only: &'static str| {
            connect_sqlite(path, 1, move |options| {
                options
                    .journal_mode(SqliteJournalMode::Delete)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .pragma("query_only", read_only)
                    .pragma("temp_store", "memory")
            })
            .await
        };
        Ok(Self {
            dialect: Dialect::Sqlite,
            writer: connect("0").await?,
            reader: connect("1").await?,
            commits: None,
            locks: None,
        })
    }

    /// Opens a SQLite file as it is, to look at it. It can write nothing.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn open_to_look(path: &Path) -> Result<Self, StoreError> {
        let looking = connect_sqlite(path, 1, |options| options.pragma("query_only", "1")).await?;
        Ok(Self {
            dialect: Dialect::Sqlite,
            writer: looking.clone(),
            reader: looking,
            commits: None,
            locks: None,
        })
    }
}
