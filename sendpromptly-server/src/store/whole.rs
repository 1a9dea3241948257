//! A store as a whole: which tables are this program's, whether nobody uses it, and how it is made from a copy.

use std::fs::{self, File};
use std::path::Path;

use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::rows::{self, Sql};
use super::{Dialect, Store, StoreError, StoreRole, connect, migrations};
use crate::platform::directory;

pub use super::migrations::Turn;

/// Stands in a PostgreSQL database while a restore into it is not finished: whatever else is in there then is
/// the restore's own.
pub(super) const UNFINISHED: &str = "unfinished_restore";

/// Every table that this program makes or has ever made: all that a restore may take away.
const TABLES: &[&str] = &[
    "alert_changes",
    "alert_destinations",
    "alert_escalations",
    "alert_news",
    "alert_queue",
    "api_keys",
    "attempts",
    "audit_details",
    "audit_entries",
    "audit_heads",
    "audit_keys",
    "audit_prunes",
    "counted",
    "data_keys",
    "erasures",
    "events",
    "failed_sign_ins",
    "guesses",
    "hourly_counts",
    "hourly_repairs",
    "idempotency",
    "incidents",
    "invitations",
    "known_devices",
    "links",
    "mail_rates",
    "members",
    "notes",
    "orders",
    "organizations",
    "outbox",
    "project_calls",
    "projects",
    "provider_mappings",
    "provider_secrets",
    "recovery_codes",
    "replays",
    "results",
    "retained",
    "seaql_migrations",
    "second_factor_proposals",
    "second_factors",
    "sessions",
    "shopify_names",
    "sign_ups",
    "signing_secrets",
    "snapshots",
    "stripe_events",
    "stripe_subscriptions",
    "told_alerts",
    "told_messages",
    "used_forms",
    "users",
    UNFINISHED,
];

/// The functions, likewise.
const FUNCTIONS: &[&str] = &["audit_entries_guard"];

/// Connections to PostgreSQL of a restore: one has the turn, the others work.
const CONNECTIONS: u32 = 3;

impl Store {
    /// Connects to a PostgreSQL database, whatever its tables.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn connect_to_postgres(url: &str) -> Result<Self, StoreError> {
        connect::open_postgres(url, CONNECTIONS, StoreRole::Command).await
    }

    /// Keeps servers, commands and other restores away from a SQLite file until this is dropped, and makes its
    /// directory.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a server or a command runs on it, or it belongs to another user.
    pub fn reserve_sqlite(file: &Path) -> Result<[File; 2], StoreError> {
        connect::make_directory_of(file)?;
        Ok([
            connect::lock_for_serving(file)?,
            connect::lock_for_restoring(file)?,
        ])
    }

    /// Whether nobody has put anything into it: it has no tables, or those of this program, and there is no
    /// organization, no user, and no audit entry.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn is_unused(&self) -> Result<bool, StoreError> {
        self.is_unused_on(&self.writer).await
    }

    async fn is_unused_on(&self, on: &impl ConnectionTrait) -> Result<bool, StoreError> {
        let tables = self.tables(on).await?;
        if tables.is_empty() {
            return Ok(true);
        }
        if tables.iter().any(|table| !TABLES.contains(&table.as_str())) {
            return Ok(false);
        }
        for table in ["organizations", "users", "audit_entries"] {
            let any = Sql::new(format!("SELECT 1 AS found FROM {table} LIMIT 1"));
            if !tables.iter().any(|known| known == table) || any.one(on).await?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn tables(&self, on: &impl ConnectionTrait) -> Result<Vec<String>, StoreError> {
        let query = match self.dialect {
            Dialect::Sqlite => {
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
            }
            Dialect::Postgres => {
                "SELECT c.relname::text AS name FROM pg_class c
                 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"
            }
        };
        names(query, on).await
    }

    /// Takes the turn to change the tables of a PostgreSQL database; servers that start wait for its end.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn take_turn(&self) -> Result<Turn, StoreError> {
        Turn::take(self).await
    }

    /// Empties a PostgreSQL database that [is unused](Self::is_unused), or in which a restore was not finished,
    /// and marks it so until [`Self::finish_restore`].
    ///
    /// # Errors
    /// [`StoreError::Schema`] where something is in it.
    pub async fn begin_restore(&self) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        let tables = self.tables(&tx).await?;
        let functions = names(FUNCTIONS_THERE, &tx).await?;
        let is_foreign =
            |name: &&String| !TABLES.contains(&name.as_str()) && !FUNCTIONS.contains(&name.as_str());
        if let Some(foreign) = tables.iter().chain(&functions).find(is_foreign) {
            return Err(not_empty(&format!(": {foreign} is not this program's")));
        }
        if !tables.is_empty() {
            // From here on nobody puts anything into them.
            let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", "));
            Sql::new(lock).run(&tx).await?;
        }
        let unfinished = tables.iter().any(|table| table == UNFINISHED);
        if !unfinished && !self.is_unused_on(&tx).await? {
            return Err(not_empty(""));
        }
        drop_own(&tx, &tables).await?;
        Sql::new(format!("CREATE TABLE {UNFINISHED} (since bigint)"))
            .run(&tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Takes the mark away in this transaction.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn finish_restore(&self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        if self.dialect == Dialect::Postgres {
            Sql::new(format!("DROP TABLE {UNFINISHED}")).run(tx).await?;
        }
        Ok(())
    }

    /// Brings the tables up to date, whoever's turn it is.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn complete_schema(&self) -> Result<(), StoreError> {
        migrations::complete(self).await
    }
}

/// The functions of this schema, but for those of extensions.
const FUNCTIONS_THERE: &str = "SELECT p.proname::text AS name FROM pg_proc p
     WHERE p.pronamespace = current_schema()::regnamespace
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')";

async fn names(query: &str, on: &impl ConnectionTrait) -> Result<Vec<String>, StoreError> {
    let found = Sql::new(query).all(on).await?;
    found.iter().map(|row| rows::get(row, "name")).collect()
}

fn not_empty(why: &str) -> StoreError {
    StoreError::Schema(format!(
        "the database is not empty{why}, and a restore goes into an empty one only; make one with `createdb`"
    ))
}

/// Drops these tables and this program's functions. What others have made to depend on them keeps them.
async fn drop_own(tx: &DatabaseTransaction, tables: &[String]) -> Result<(), StoreError> {
    if !tables.is_empty() {
        Sql::new(format!("DROP TABLE {}", tables.join(", ")))
            .run(tx)
            .await?;
    }
    for function in FUNCTIONS {
        Sql::new(format!("DROP FUNCTION IF EXISTS {function}()"))
            .run(tx)
            .await?;
    }
    Ok(())
}

/// Puts a SQLite file that is finished into the place of one that is unused or absent.
///
/// # Errors
/// [`std::io::Error`] where it cannot be moved there.
pub fn put_in_place(made: &Path, place: &Path) -> std::io::Result<()> {
    File::open(made)?.sync_all()?;
    fs::rename(made, place)?;
    File::open(directory::of_file(place))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DatabaseUrl;

    #[tokio::test]
    async fn a_sqlite_file_that_is_in_use_is_not_restored_into_and_one_that_is_restored_into_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("a.db"));
        let DatabaseUrl::Sqlite(file) = &url else { return };
        let commands = [
            Store::open(&url, StoreRole::First, 1).await.unwrap(),
            Store::open(&url, StoreRole::Command, 1).await.unwrap(),
        ];
        let refused = Store::reserve_sqlite(file).unwrap_err();
        assert!(refused.to_string().contains("a command runs"), "{refused}");
        for command in commands {
            command.close().await.unwrap();
        }
        let _reserved = Store::reserve_sqlite(file).unwrap();
        for role in [
            StoreRole::Command,
            StoreRole::First,
            StoreRole::Migrate,
            StoreRole::Serve,
        ] {
            let refused = Store::open(&url, role, 1).await.unwrap_err();
            assert!(refused.to_string().contains("a restore"), "{refused}");
        }
    }

    #[tokio::test]
    async fn every_table_of_the_schema_is_known_as_this_programs() {
        let world = crate::testing::World::set_up().await;
        let tables = world.store.tables(&world.store.writer).await.unwrap();
        assert!(tables.len() > 30, "{tables:?}");
        let unknown: Vec<_> = tables
            .iter()
            .filter(|table| !TABLES.contains(&table.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[tokio::test]
    async fn a_store_is_unused_until_somebody_puts_something_into_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.db");
        let absent = Store::open_alone(&file).await.unwrap();
        assert!(absent.is_unused().await.unwrap());
        absent.close().await.unwrap();
        let url = DatabaseUrl::Sqlite(file);
        let store = Store::open(&url, StoreRole::Migrate, 1).await.unwrap();
        assert!(store.is_unused().await.unwrap());
        let insert = Sql::new("INSERT INTO organizations (id, name, created_at) VALUES ({}, 'a', 1)");
        store.commit_together(vec![insert.bind([1; 16])]).await.unwrap();
        assert!(!store.is_unused().await.unwrap());
        store.close().await.unwrap();

        let foreign = directory.path().join("foreign.db");
        let foreign = Store::open_alone(&foreign).await.unwrap();
        Sql::new("CREATE TABLE t (a)").run(&foreign.writer).await.unwrap();
        assert!(!foreign.is_unused().await.unwrap(), "another program's");
    }
}
