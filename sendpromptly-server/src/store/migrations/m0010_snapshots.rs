//! Payloads that projects ask to keep, sealed; the settings by which they are kept and sent along.

use sea_orm::{DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

use super::run_step;

#[derive(Debug)]
pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0010_snapshots"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run_step(manager, STATEMENTS).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            run_step(manager, POSTGRES_STORAGE).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

const STATEMENTS: &[&str] = &[
    // An event's id may be older than its receipt, so the receipt's time is stored: 30 days count from it.
    "CREATE TABLE snapshots (
        project_id {id} NOT NULL,
        event_id {id} NOT NULL,
        era {int} NOT NULL,
        received_at {int} NOT NULL,
        sealed {bytes} NOT NULL,
        PRIMARY KEY (project_id, event_id)
    ) {clustered}",
    "CREATE INDEX snapshots_by_time ON snapshots (received_at)",
    "ALTER TABLE projects ADD COLUMN keep_snapshots {int} NOT NULL DEFAULT 0",
    // How often what was kept has been deleted. Only snapshots of the present era count.
    "ALTER TABLE projects ADD COLUMN snapshot_era {int} NOT NULL DEFAULT 0",
    // Set while rows of an era before have still to be removed.
    "ALTER TABLE projects ADD COLUMN snapshots_deleted_at {int}",
    "ALTER TABLE projects ADD COLUMN send_payload {int} NOT NULL DEFAULT 0",
    "CREATE INDEX projects_with_deleted_snapshots ON projects (snapshots_deleted_at)
        WHERE snapshots_deleted_at IS NOT NULL",
    "ALTER TABLE replays ADD COLUMN with_payload {int} NOT NULL DEFAULT 0",
    "CREATE INDEX data_keys_by_day ON data_keys (purpose, day) WHERE day > 0",
];

/// What is sealed cannot be compressed, so that is not tried.
const POSTGRES_STORAGE: &[&str] = &["ALTER TABLE snapshots ALTER COLUMN sealed SET STORAGE EXTERNAL"];
