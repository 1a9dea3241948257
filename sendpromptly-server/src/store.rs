//! What the rest of the server may ask of the database. One file for each aggregate; no HTTP in here.
//!
//! The same statements run on SQLite and PostgreSQL; [`dialect`] holds the difference.

use std::fs::File;
use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, IsolationLevel, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sendpromptly_core::time::Timestamp;

use rows::Sql;

pub mod alert_queue;
pub mod alerts;
mod alone;
pub mod announcements;
pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod audit_chain;
mod audit_keys;
pub mod audit_pages;
pub mod audit_prunes;
pub mod backlog;
pub mod billing;
pub mod cases;
pub mod claims;
mod connect;
pub mod copying;
pub mod data_keys;
mod database_url;
pub mod deleted_users;
pub mod dialect;
pub mod erasures;
mod error;
pub mod events;
pub mod failed_sign_ins;
pub mod guesses;
pub mod hours;
pub mod idempotency;
mod incident_facets;
pub mod incident_history;
pub mod incident_list;
pub mod incidents;
pub mod invitations;
pub mod key_rows;
pub mod known_devices;
mod last_receipt;
pub mod links;
pub mod mail_rates;
pub mod master_keys;
pub mod members;
pub mod migrations;
pub mod notes;
pub mod old_events;
pub mod old_rows;
pub mod orders;
pub mod organization_deletion;
pub mod organizations;
pub mod outbox;
pub mod overdue;
pub mod overview;
mod own_actions;
pub mod own_password;
pub mod own_sessions;
pub mod people;
pub mod project_list;
pub mod projects;
pub mod provider_intake;
pub mod purge;
pub mod receipts;
pub mod repair_targets;
pub mod resets;
pub mod restored;
pub mod results;
mod retained;
mod retry;
pub mod rows;
pub mod scope;
pub mod second_factors;
pub mod sessions;
pub mod shopify_names;
pub mod sign_ups;
pub mod signing_secrets;
pub mod snapshots;
mod space;
pub mod takeout;
pub mod told_alerts;
pub mod users;
pub mod whole;

pub use connect::StoreRole;
pub use database_url::{DatabaseUrl, DatabaseUrlError};
pub use dialect::Dialect;
pub use error::StoreError;

/// A database, open and ready for use.
#[derive(Debug, Clone)]
pub struct Store {
    dialect: Dialect,
    writer: DatabaseConnection,
    reader: DatabaseConnection,
    /// Connections that committers have to themselves, where they are reserved.
    commits: Option<DatabaseConnection>,
    /// Held for as long as a SQLite file is in use: by anybody, and by a server.
    locks: Option<Arc<[Option<File>; 2]>>,
}

impl Store {
    /// Which kind of database it is.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The same store for committers. Where connections are reserved, they go over these: nobody else's burst keeps them
    /// waiting, and the database's process at the other end has at hand what it used a moment ago.
    #[must_use]
    pub fn for_commits(&self) -> Self {
        let mut own = self.clone();
        if let Some(commits) = &self.commits {
            own.writer = commits.clone();
            own.reader = commits.clone();
        }
        own
    }

    /// Where to read outside a transaction that writes. On SQLite these connections cannot write.
    #[must_use]
    pub const fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// Begins a transaction that may write. On SQLite it holds the write lock from the start, for one that
    /// reads first and then writes fails at once when another has written between.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the database is down or stays locked.
    pub async fn begin(&self) -> Result<DatabaseTransaction, StoreError> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.writer.begin_with_options(options).await?)
    }

    /// Begins a transaction that only reads, and sees everything as it was at its first query.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the database is down.
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, StoreError> {
        let isolation_level = match self.dialect {
            Dialect::Sqlite => None, // it has no other
            Dialect::Postgres => Some(IsolationLevel::RepeatableRead),
        };
        let options = TransactionOptions {
            isolation_level,
            ..TransactionOptions::default()
        };
        Ok(self.reader.begin_with_options(options).await?)
    }

    /// Runs these statements in a transaction of their own.
    ///
    /// # Errors
    /// [`StoreError`] by its cause; nothing is written then, unless it is [`StoreError::Broken`], which
    /// leaves open whether the commit took place.
    pub async fn commit_together(&self, writes: Vec<Sql>) -> Result<(), StoreError> {
        if self.dialect == Dialect::Postgres {
            // One statement is a transaction.
            return rows::write_together(&self.writer, writes).await;
        }
        let tx = self.begin().await?;
        rows::write_together(&tx, writes).await?;
        Ok(tx.commit().await?)
    }

    /// Whether the database answers and its tables are those of this program.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it does not answer, [`StoreError::Schema`] where `migrate` is due.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.reader
            .query_one_raw(Statement::from_string(self.dialect.backend(), "SELECT 1"))
            .await?;
        migrations::check(self).await
    }

    /// The database's own clock, where it has one; SQLite goes by this machine's.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.dialect == Dialect::Sqlite {
            return Ok(None);
        }
        let query = Sql::new("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now");
        let row = query.one(&self.reader).await?;
        row.map(|row| rows::time(&row, "now")).transpose()
    }

    /// Settings of the database under which a commit would not be durable, or a crash could tear its files. Of
    /// `synchronous_commit` each connection takes care itself.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn unsafe_settings(&self) -> Result<Vec<String>, StoreError> {
        if self.dialect == Dialect::Sqlite {
            return Ok(Vec::new()); // they are this program's own
        }
        let query = Sql::new(
            "SELECT name, setting FROM pg_settings
             WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name",
        );
        let found = query.all(&self.reader).await?;
        found.iter().map(|row| rows::get(row, "name")).collect()
    }

    /// Closes every connection.
    ///
    /// # Errors
    /// [`StoreError`] where a connection could not be ended in order.
    pub async fn close(self) -> Result<(), StoreError> {
        self.writer.close().await?;
        self.reader.close().await?;
        if let Some(commits) = self.commits {
            commits.close().await?;
        }
        drop(self.locks);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_that_failed_does_not_swallow_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("a.db"));
        let store = Store::open(&url, StoreRole::Serve, 1).await.unwrap();
        let run = async |tx: &DatabaseTransaction, sql: &str| Sql::new(sql).run(tx).await.unwrap();

        // As a full disk does: SQLite undoes the transaction by itself, and the commit fails.
        let tx = store.begin().await.unwrap();
        run(&tx, "ROLLBACK").await;
        assert!(tx.commit().await.is_err());

        let tx = store.begin().await.unwrap();
        run(
            &tx,
            "INSERT INTO audit_prunes (organization_id, seq) VALUES (zeroblob(16), 7)",
        )
        .await;
        tx.commit().await.unwrap();
        let stored = Sql::new("SELECT seq FROM audit_prunes").one(store.reader()).await;
        assert!(stored.unwrap().is_some());
    }
}
