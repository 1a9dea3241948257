//! Space of a SQLite file: given back to the file system bit by bit, or all at once while no server runs.
//! PostgreSQL does this by itself.

use sea_orm::{ConnectionTrait, Statement};

use super::connect::lock_for_serving;
use super::rows::{self, Sql};
use super::{Dialect, Store, StoreError};

/// Of so many pages one stays free: what comes next needs it, and it would only be asked for again.
const ONE_SPARE_IN: i64 = 10;

impl Store {
    /// Gives at most so many free pages of a SQLite file back; `true` where more are to be given back. A file
    /// that was made before this was possible keeps them, until it is compacted.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn give_space_back(&self, pages: u32) -> Result<bool, StoreError> {
        if self.dialect == Dialect::Postgres {
            return Ok(false);
        }
        let query = Sql::new(
            "SELECT f.freelist_count AS free, p.page_count AS pages, v.auto_vacuum AS mode
             FROM pragma_freelist_count f, pragma_page_count p, pragma_auto_vacuum v",
        );
        let Some(row) = query.one(&self.reader).await? else {
            return Ok(false);
        };
        let number = |column| rows::get::<i64>(&row, column);
        let incremental = number("mode")? == 2;
        let spare = number("free")? - number("pages")? / ONE_SPARE_IN;
        if !incremental || spare <= 0 {
            return Ok(false);
        }
        self.run_alone(&format!("PRAGMA incremental_vacuum({})", spare.min(pages.into())))
            .await?;
        self.write_log_back().await?;
        Ok(spare > pages.into())
    }

    /// Puts what SQLite's write-ahead log holds into the file, as far as nobody reads what was there. Whoever has written
    /// much does so: others write meanwhile, where otherwise the one whose commit fills the log would do it all, and every
    /// receipt wait for that.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn write_log_back(&self) -> Result<(), StoreError> {
        if self.dialect == Dialect::Sqlite {
            // A connection that only reads may do it as well.
            let statement = Statement::from_string(self.dialect.backend(), "PRAGMA wal_checkpoint(PASSIVE)");
            self.reader.query_one_raw(statement).await?;
        }
        Ok(())
    }

    /// Rewrites a SQLite file without its free pages. From then on space is given back bit by bit.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where a server runs on the file, or the disk has no room for a copy;
    /// [`StoreError::Internal`] on PostgreSQL.
    pub async fn compact(&self) -> Result<(), StoreError> {
        if self.dialect == Dialect::Postgres {
            return Err(StoreError::Internal(
                "only a SQLite file is compacted; PostgreSQL gives space back by itself (autovacuum)"
                    .to_owned(),
            ));
        }
        let _no_server = lock_for_serving(&self.path().await?)?;
        for statement in [
            // The copy is as large as the file: not in memory.
            "PRAGMA temp_store = file",
            "PRAGMA auto_vacuum = incremental",
            "VACUUM",
            "PRAGMA wal_checkpoint(TRUNCATE)",
        ] {
            self.run_alone(statement).await?;
        }
        Ok(())
    }

    /// Runs a statement that is no part of a transaction.
    async fn run_alone(&self, statement: &str) -> Result<(), StoreError> {
        let statement = Statement::from_string(self.dialect.backend(), statement);
        self.writer.execute_raw(statement).await?;
        Ok(())
    }

    /// Where a SQLite store lies.
    pub(super) async fn path(&self) -> Result<std::path::PathBuf, StoreError> {
        let query = Sql::new("SELECT file FROM pragma_database_list WHERE name = 'main'");
        let row = query.one(&self.reader).await?;
        let row = row.ok_or_else(|| StoreError::Internal("SQLite names no file".to_owned()))?;
        rows::get::<String>(&row, "file").map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, World};

    async fn pages(world: &World) -> i64 {
        world
            .number(Sql::new("SELECT page_count AS n FROM pragma_page_count"))
            .await
    }

    async fn fill_and_empty(world: &World) {
        for number in 0..400 {
            let row = Sql::new("INSERT INTO audit_prunes (organization_id, seq) VALUES (randomblob(16), {})");
            world.write(row.bind(i64::from(number))).await;
            let filler = Sql::new(
                "INSERT INTO outbox (id, sealed, due_at, created_at) VALUES (randomblob(16), zeroblob(8000), 0, {})",
            );
            world.write(filler.bind(NOW)).await;
        }
        world.write(Sql::new("DELETE FROM outbox")).await;
    }

    #[tokio::test]
    async fn a_file_gives_space_back_bit_by_bit() {
        let world = World::set_up().await;
        if world.store.dialect() == Dialect::Postgres {
            assert!(!world.store.give_space_back(10).await.unwrap());
            return;
        }
        let empty = pages(&world).await;
        fill_and_empty(&world).await;
        let full = pages(&world).await;
        assert!(full > empty + 800, "{empty} {full}");
        assert!(world.store.give_space_back(100).await.unwrap());
        assert_eq!(pages(&world).await, full - 100);
        while world.store.give_space_back(100).await.unwrap() {}
        let after = pages(&world).await;
        assert!(after < empty * 2, "{empty} {full} {after}");
    }

    #[tokio::test]
    async fn what_the_log_holds_is_put_into_the_file_while_others_write() {
        let world = World::set_up().await;
        if world.store.dialect() == Dialect::Postgres {
            world.store.write_log_back().await.unwrap(); // it has nothing to do
            return;
        }
        let synchronous = "SELECT synchronous AS n FROM pragma_synchronous";
        assert_eq!(world.number(Sql::new(synchronous)).await, 2, "FULL");
        fill_and_empty(&world).await;
        assert!(world.pages_in_log().await > 800);
        let others = world.store.begin().await.unwrap();
        world.store.write_log_back().await.unwrap();
        others.rollback().await.unwrap();
        assert_eq!(world.pages_in_log().await, 0);
    }

    #[tokio::test]
    async fn a_file_is_compacted_only_while_no_server_runs() {
        let world = World::set_up().await;
        if world.store.dialect() == Dialect::Postgres {
            let refused = world.store.compact().await.unwrap_err();
            assert!(refused.to_string().contains("autovacuum"), "{refused}");
            return;
        }
        let refused = world.store.compact().await.unwrap_err();
        assert!(refused.to_string().contains("another server runs"), "{refused}");
    }
}
