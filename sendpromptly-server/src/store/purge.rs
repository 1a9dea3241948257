//! Deleting a project: it is gone for everyone at once, and what it held is removed bit by bit.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;

use super::old_rows::OldRows;
use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::snapshots::passes as snapshots;
use super::{Dialect, Store, StoreError, audit, data_keys};

#[cfg(test)]
pub(super) mod tests;

/// What is removed with a project, and each table's key; last what the rows before refer to.
const HELD: &[(&str, &str)] = &[
    ("results", "project_id, event_id, id"),
    ("attempts", "project_id, replay_id, number"),
    ("snapshots", "project_id, event_id"),
    ("orders", "project_id, key_digest"),
    ("idempotency", "project_id, key_digest"),
    ("replays", "project_id, id"),
    ("notes", "project_id, incident_id, id"),
    ("told_alerts", "project_id, incident_id, id"),
    ("incidents", "project_id, id"),
    ("shopify_names", "project_id, resource, place"),
    ("events", "project_id, id"),
    ("hourly_counts", "project_id, hour"),
    ("hourly_repairs", "project_id, hour, step"),
    ("project_calls", "project_id"),
    ("alert_changes", "project_id, id"),
    ("alert_news", "project_id, escalation, number"),
    ("told_messages", "project_id, id"),
    ("alert_queue", "project_id, destination_id, subject_id"),
    ("alert_escalations", "project_id, subject_id"),
    ("alert_destinations", "project_id, id"),
    ("signing_secrets", "project_id, id"),
    ("provider_secrets", "project_id, id"),
    ("provider_mappings", "project_id, provider"),
    ("api_keys", "project_id, id"),
];

/// What a step of the removal has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purged {
    /// Rows of a project are removed; there may be more.
    Rows(u64),
    /// A project is removed, with all that it held.
    Project,
    /// No project waits to be removed.
    Nothing,
}

impl Store {
    /// Deletes a project: from now on nobody finds it, its keys open nothing and its callbacks are not made.
    /// Its data keys are destroyed with the same commit, so what was sealed for it opens no more. What it held is
    /// removed later. `false` where there is no such project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn delete_project(
        &self,
        scope: OrganizationScope,
        id: ProjectId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| async {
            let tx = self.begin().await?;
            let Some(project) = self.lock_project(&tx, scope, id).await? else {
                return Ok(false);
            };
            let details = [("name", project.name.as_str())];
            let draft = Draft::new(origin, Action::ProjectDeleted, id, &details);
            // The repair URL may hold a secret, and nobody calls it any more.
            let mark = Sql::new("UPDATE projects SET deleted_at = {}, repair_url = NULL WHERE id = {}")
                .bind(now)
                .bind(id.as_bytes());
            let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
            let deaf = Sql::new("DELETE FROM alert_destinations WHERE project_id = {}").bind(id.as_bytes());
            let writes = vec![mark, deaf, data_keys::destroy("project", id.as_bytes())];
            self.write_audited(&tx, writes, &drafts).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// How many rows [`purge`](Self::purge) would remove by and by: the projects that were deleted by this time, and
    /// what they hold.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count_to_purge(&self, deleted_by: Timestamp) -> Result<u64, StoreError> {
        let held = HELD.iter().map(|(table, _)| ("project_id", *table));
        let mut count = 0;
        for (project, table) in held.chain([("id", "projects")]) {
            let query = Sql::new(format!(
                "SELECT count(*) AS n FROM {table}
                 WHERE {project} IN (SELECT p.id FROM projects p WHERE p.deleted_at <= {{}})"
            ));
            let row = query.bind(deleted_by).one(&self.reader).await?;
            let rows: i64 = row.map_or(Ok(0), |row| rows::get(&row, "n"))?;
            count += u64::try_from(rows).unwrap_or_default();
        }
        Ok(count)
    }

    /// Removes at most `limit` rows of one project that was deleted by this time. One that holds nothing any
    /// more is removed itself.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn purge(&self, deleted_by: Timestamp, limit: u32) -> Result<Purged, StoreError> {
        let tx = self.begin().await?;
        let lock = self.dialect.for_update_skip_locked("p");
        let next = Sql::new(format!(
            "SELECT p.id FROM projects p WHERE p.deleted_at <= {{}} ORDER BY p.deleted_at LIMIT 1{lock}"
        ));
        let Some(row) = next.bind(deleted_by).one(&tx).await? else {
            tx.rollback().await?;
            return Ok(Purged::Nothing);
        };
        let project = ProjectId::from_bytes(rows::id(&row, "id")?);
        let removed = remove_rows(&tx, self.dialect, project, limit).await?;
        if removed == 0 {
            remove_project(&tx, project).await?;
        }
        tx.commit().await?;
        Ok(if removed == 0 {
            Purged::Project
        } else {
            Purged::Rows(removed)
        })
    }
}

/// Removes rows of the first table that has any; gives how many. One table at a time, so that no other
/// transaction can wait for it in a circle.
async fn remove_rows(
    tx: &DatabaseTransaction,
    dialect: Dialect,
    project: ProjectId,
    limit: u32,
) -> Result<u64, StoreError> {
    for (table, key) in HELD {
        let limit = match *table {
            "snapshots" => limit.min(snapshots::BATCH),
            _ => limit,
        };
        let removed = held(table, key, project).drop(dialect, limit).run(tx).await?;
        if removed > 0 {
            return Ok(removed);
        }
    }
    Ok(0)
}

fn held(table: &'static str, key: &'static str, project: ProjectId) -> OldRows {
    let rows = OldRows::of(table, "project_id = {}").keyed_by(key);
    rows.bind(project.as_bytes())
}

/// Removes the project, and the data keys that calls under way have made since it was deleted.
async fn remove_project(tx: &DatabaseTransaction, project: ProjectId) -> Result<(), StoreError> {
    data_keys::destroy("project", project.as_bytes()).run(tx).await?;
    let row = Sql::new("DELETE FROM projects WHERE id = {}");
    row.bind(project.as_bytes()).run(tx).await?;
    Ok(())
}
