//! How snapshots go: those whose time is over, those that were deleted, and the keys that sealed them.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::snapshot::too_old_at;
use sendpromptly_core::time::Timestamp;

use super::Era;
use crate::store::old_rows::OldRows;
use crate::store::rows::{self, Sql};
use crate::store::{Store, StoreError, data_keys};
use crate::vault::Purpose;

/// The most snapshots that go in one transaction. Each may have 64 KiB, and others wait for it on SQLite.
pub const BATCH: u32 = 50;

/// How far the clocks of two nodes may differ: well beyond what makes one of them stop.
pub(super) const CLOCKS_MS: i64 = 60_000;

/// The snapshots that are too old by now.
#[must_use]
pub fn old_snapshots(now: Timestamp) -> OldRows {
    OldRows::up_to("snapshots", "received_at", too_old_at(now)).keyed_by("project_id, event_id")
}

/// The data keys of the days whose snapshots are too old, once none of those is left that they could open. Snapshots of
/// the day that is ending by then do not count: some of them are due at every time.
#[must_use]
pub fn old_keys(now: Timestamp) -> OldRows {
    let since = too_old_at(now);
    data_keys::of_days_before(Purpose::SNAPSHOT, since).once(
        "(SELECT 1 FROM snapshots s WHERE s.received_at < {} ORDER BY s.received_at LIMIT 1) IS NULL",
        vec![data_keys::begin_of_day(since).into()],
    )
}

/// Destroys the data keys of a project's snapshots, of every day.
pub(in crate::store) fn destroy_keys(project: ProjectId) -> Sql {
    Sql::new("DELETE FROM data_keys WHERE scope_id = {} AND purpose = 'snapshot' AND scope = 'project'")
        .bind(project.as_bytes())
}

/// The time up to which a project's snapshots are deleted, ordered now. Whoever orders it may have a slow clock: what
/// is there by then goes, whatever time it bears. The project must be locked.
pub(in crate::store) async fn deleted_up_to(
    tx: &DatabaseTransaction,
    project: ProjectId,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let newest =
        Sql::new("SELECT event_id FROM snapshots WHERE project_id = {} ORDER BY event_id DESC LIMIT 1");
    let row = newest.bind(project.as_bytes()).one(tx).await?;
    row.map_or(Ok(now), |row| {
        let newest = EventId::from_bytes(rows::id(&row, "event_id")?);
        Ok(now.max(newest.made_at()))
    })
}

impl Store {
    /// Removes snapshots that were deleted a minute ago or longer, of one project at a time, at most `limit` of them;
    /// gives how many.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn remove_deleted_snapshots(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let next = Sql::new(
            "SELECT p.id, p.snapshot_era, p.snapshots_deleted_at FROM projects p
             WHERE p.snapshots_deleted_at <= {} ORDER BY p.snapshots_deleted_at LIMIT 100",
        );
        for row in next.bind(now.plus_millis(-CLOCKS_MS)).all(&self.reader).await? {
            let (project, era) = (rows::id(&row, "id")?, Era::read(&row)?);
            let deleted_at = rows::time(&row, "snapshots_deleted_at")?;
            let until = first_id_after(deleted_at.plus_millis(CLOCKS_MS));
            let delete = Sql::new(format!(
                "DELETE FROM snapshots WHERE project_id = {{}} AND event_id IN
                 (SELECT event_id FROM snapshots WHERE project_id = {{}} AND event_id < {{}} AND era < {{}}
                  ORDER BY event_id LIMIT {limit})"
            ));
            let delete = delete.bind(project).bind(project).bind(until).bind(era.number());
            let tx = self.begin().await?;
            let removed = delete.run(&tx).await?;
            if removed < u64::from(limit) {
                let done = Sql::new(
                    "UPDATE projects SET snapshots_deleted_at = NULL WHERE id = {} AND snapshot_era = {}",
                );
                done.bind(project).bind(era.number()).run(&tx).await?;
            }
            tx.commit().await?;
            if removed > 0 {
                return Ok(removed);
            }
        }
        Ok(0)
    }

    /// How many snapshots were deleted a minute ago or longer.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count_deleted_snapshots(&self, now: Timestamp) -> Result<u64, StoreError> {
        let query = Sql::new(
            "SELECT count(*) AS n FROM projects p
             JOIN snapshots s ON s.project_id = p.id AND s.era < p.snapshot_era
             WHERE p.snapshots_deleted_at <= {}",
        );
        let query = query.bind(now.plus_millis(-CLOCKS_MS));
        let row = query.one(&self.reader).await?;
        row.map_or(Ok(0), |row| Ok(u64::from(rows::count(&row, "n")?)))
    }
}

/// No id of this time or earlier sorts at or after these bytes, and each of a later time does.
fn first_id_after(time: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(time.as_millis()).unwrap_or(0).saturating_add(1);
    (u128::from(millis) << 80).to_be_bytes()
}
