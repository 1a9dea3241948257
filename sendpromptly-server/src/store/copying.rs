//! Copying a store while it is used, and what a copy must be known by.

use std::path::Path;

use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement};

use super::rows::{self, Sql};
use super::{Store, StoreError};

/// What a PostgreSQL database tells for its dump: all of one moment.
#[derive(Debug)]
pub struct DumpPoint {
    /// What `pg_dump` takes the moment by. It holds for as long as [`Self::transaction`] lasts.
    pub snapshot: String,
    /// The schema in which the tables lie.
    pub schema: String,
    /// What is read here is of the same moment.
    pub transaction: DatabaseTransaction,
}

impl Store {
    /// Copies a SQLite store into an empty file, as it is at this moment. It waits for no writer, and none for
    /// it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where the disk is full, among others.
    pub async fn copy_into(&self, file: &Path) -> Result<(), StoreError> {
        let Some(name) = file.to_str() else {
            let why = format!("{} is not in UTF-8", file.display());
            return Err(StoreError::Unavailable(why));
        };
        let copy = Sql::new("VACUUM INTO {}").bind(name);
        copy.run(&self.writer).await?;
        Ok(())
    }

    /// What is wrong with a SQLite file, if anything is.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot even be looked at.
    pub async fn damage(&self) -> Result<Option<String>, StoreError> {
        let row = Sql::new("PRAGMA integrity_check(1)").one(&self.writer).await?;
        let found: Option<String> = row.map(|row| rows::get(&row, "integrity_check")).transpose()?;
        Ok(found.filter(|found| found != "ok"))
    }

    /// Begins what a dump of PostgreSQL is taken by.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn dump_point(&self) -> Result<DumpPoint, StoreError> {
        let transaction = self.snapshot().await?;
        Sql::new("SET LOCAL idle_in_transaction_session_timeout = 0")
            .run(&transaction)
            .await?;
        let query = Sql::new("SELECT pg_export_snapshot() AS id, current_schema()::text AS schema");
        let row = query.one(&transaction).await?.ok_or_else(nothing)?;
        Ok(DumpPoint {
            snapshot: rows::get(&row, "id")?,
            schema: rows::get(&row, "schema")?,
            transaction,
        })
    }

    /// The major version of a PostgreSQL server.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn server_version(&self) -> Result<u32, StoreError> {
        let query = Sql::new("SELECT current_setting('server_version_num')::bigint / 10000 AS version");
        let row = query.one(&self.reader).await?.ok_or_else(nothing)?;
        let version: i64 = rows::get(&row, "version")?;
        u32::try_from(version).map_err(|_| StoreError::Corrupt(format!("{version} is no version")))
    }

    /// The schema in which a PostgreSQL database has its tables.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn current_schema(&self) -> Result<Option<String>, StoreError> {
        let query = Sql::new("SELECT current_schema()::text AS schema");
        let row = query.one(&self.reader).await?.ok_or_else(nothing)?;
        rows::get(&row, "schema")
    }
}

/// The steps of the schema that were applied, in their order.
///
/// # Errors
/// [`StoreError`] by its cause.
pub async fn applied_steps(on: &impl ConnectionTrait) -> Result<Vec<String>, StoreError> {
    let query = Statement::from_string(
        on.get_database_backend(),
        "SELECT version FROM seaql_migrations ORDER BY version",
    );
    let found = on.query_all_raw(query).await?;
    found.iter().map(|row| rows::get(row, "version")).collect()
}

fn nothing() -> StoreError {
    StoreError::Internal("the database answers nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DatabaseUrl, StoreRole};

    #[tokio::test]
    async fn a_copy_waits_for_no_writer_and_holds_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("a.db"));
        let server = Store::open(&url, StoreRole::Serve, 1).await.unwrap();
        let insert = |name: &str| {
            let id = if name == "committed" { [1; 16] } else { [2; 16] };
            Sql::new("INSERT INTO organizations (id, name, created_at) VALUES ({}, {}, 1)")
                .bind(id)
                .bind(name)
        };
        server.commit_together(vec![insert("committed")]).await.unwrap();
        // It holds the write lock all the while.
        let writer = server.begin().await.unwrap();
        insert("under way").run(&writer).await.unwrap();
        let beside = Store::open(&url, StoreRole::Command, 1).await.unwrap();
        let file = directory.path().join("copy.db");
        beside.copy_into(&file).await.unwrap();
        writer.commit().await.unwrap();

        let copy = Store::open_to_look(&file).await.unwrap();
        let names = Sql::new("SELECT name FROM organizations")
            .all(copy.reader())
            .await;
        let names: Vec<String> = names
            .unwrap()
            .iter()
            .map(|row| rows::get(row, "name").unwrap())
            .collect();
        assert_eq!(names, ["committed"]);
        assert_eq!(copy.damage().await.unwrap(), None);
    }
}
