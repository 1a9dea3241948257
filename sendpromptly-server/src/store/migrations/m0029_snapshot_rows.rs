//! Snapshots by rows of SQLite's own numbering: without it, a row longer than a quarter of a page takes a page for
//! itself.

use sea_orm::{DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use super::run_step;

#[derive(Debug)]
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0029_snapshot_rows"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => run_step(manager, ON_SQLITE).await,
            _ => Ok(()),
        }
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const ON_SQLITE: &[&str] = &[
    "DROP INDEX snapshots_by_time",
    "ALTER TABLE snapshots RENAME TO snapshots_before",
    "CREATE TABLE snapshots (
        project_id {id} NOT NULL,
        event_id {id} NOT NULL,
        era {int} NOT NULL,
        received_at {int} NOT NULL,
        sealed {bytes} NOT NULL,
        PRIMARY KEY (project_id, event_id)
    ) {strict}",
    "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed)
        SELECT project_id, event_id, era, received_at, sealed FROM snapshots_before",
    "DROP TABLE snapshots_before",
    "CREATE INDEX snapshots_by_time ON snapshots (received_at)",
];
