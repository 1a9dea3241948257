//! Snapshots: the sealed payloads of receipts, where their projects ask for it.
//!
//! A project's snapshots are of an *era*. Deleting all of them begins the next one, so that they are gone at once
//! for everybody, also those that are on their way; their rows are removed bit by bit.

use sea_orm::QueryResult;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::{EventId, IncidentId, ProjectId};
use sendpromptly_core::snapshot::{self, ReadReason};
use sendpromptly_core::time::Timestamp;

use super::old_rows::OldRows;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError, audit, data_keys};
use crate::vault::Purpose;

#[cfg(test)]
mod tests;

/// How often a project's snapshots have been deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Era(u32);

/// How far the clocks of two nodes may differ: well beyond what makes one of them stop.
const CLOCKS_MS: i64 = 60_000;

impl Era {
    /// The first one, or a later one as it is stored.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub(super) fn read(row: &QueryResult) -> Result<Self, StoreError> {
        Ok(Self(rows::count(row, "snapshot_era")?))
    }
}

/// A sealed payload to store with its event.
#[derive(Debug, Clone, Copy)]
pub struct NewSnapshot<'a> {
    /// The project.
    pub project: ProjectId,
    /// The event, for whose row it is sealed.
    pub event: EventId,
    /// The era in which it was sealed.
    pub era: Era,
    /// The payload, sealed.
    pub sealed: &'a [u8],
}

/// A sealed payload as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// The project's era.
    pub era: Era,
    /// The payload, sealed.
    pub sealed: Vec<u8>,
}

/// Stores these snapshots. One whose project has meanwhile turned keeping off, or deleted what it kept, is left out.
#[must_use]
pub fn insert<'a>(snapshots: impl IntoIterator<Item = NewSnapshot<'a>>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("event_id", Kind::Id),
        Column::new("era", Kind::Int),
        Column::new("sealed", Kind::Large),
    ];
    let mut rows = Rows::new(COLUMNS);
    for new in snapshots {
        rows.push([
            new.project.as_bytes().into(),
            new.event.as_bytes().into(),
            new.era.number().into(),
            new.sealed.to_vec().into(),
        ]);
    }
    Sql::over(
        "INSERT INTO snapshots (project_id, event_id, era, sealed)
         SELECT r.project_id, r.event_id, r.era, r.sealed FROM {rows}
         JOIN projects p ON p.id = r.project_id
         WHERE p.keep_snapshots = 1 AND p.snapshot_era = r.era AND p.deleted_at IS NULL",
        rows,
    )
}

/// Holds where an event has a snapshot of its project's era; `p` is the project and `e` the event.
pub(super) const HAS_SNAPSHOT: &str = "EXISTS (SELECT 1 FROM snapshots s
    WHERE s.project_id = e.project_id AND s.event_id = e.id AND s.era = p.snapshot_era)";

/// Destroys the data keys of a project's snapshots, of every day.
pub(super) fn destroy_keys(project: ProjectId) -> Sql {
    Sql::new("DELETE FROM data_keys WHERE scope_id = {} AND purpose = 'snapshot' AND scope = 'project'")
        .bind(project.as_bytes())
}

/// The data keys of the days whose snapshots are too old, once none of those is left that they could open.
#[must_use]
pub fn old_keys(now: Timestamp) -> OldRows {
    let since = snapshot::too_old_at(now);
    data_keys::of_days_before(Purpose::SNAPSHOT, since).once(
        "NOT EXISTS (SELECT 1 FROM snapshots s WHERE s.project_id = data_keys.scope_id AND s.event_id < {})",
        vec![first_id_after(since).into()],
    )
}

impl Store {
    /// The payload that is kept of an event; `None` where there is none, or its time is over.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn kept_payload(
        &self,
        project: ProjectId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<StoredSnapshot>, StoreError> {
        if !snapshot::is_kept(&event, now) {
            return Ok(None);
        }
        let query = Sql::new(
            "SELECT p.snapshot_era, s.sealed FROM projects p
             JOIN snapshots s ON s.project_id = p.id AND s.event_id = {} AND s.era = p.snapshot_era
             WHERE p.id = {} AND p.deleted_at IS NULL",
        );
        let query = query.bind(event.as_bytes()).bind(project.as_bytes());
        let row = query.one(&self.reader).await?;
        row.map(|row| {
            Ok(StoredSnapshot {
                era: Era::read(&row)?,
                sealed: rows::get(&row, "sealed")?,
            })
        })
        .transpose()
    }

    /// Whether a payload is kept of an event.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn keeps_payload_of(
        &self,
        project: ProjectId,
        event: EventId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if !snapshot::is_kept(&event, now) {
            return Ok(false);
        }
        let query = Sql::new(format!(
            "SELECT 1 AS found FROM events e JOIN projects p ON p.id = e.project_id
             WHERE e.project_id = {{}} AND e.id = {{}} AND {HAS_SNAPSHOT}"
        ));
        let query = query.bind(project.as_bytes()).bind(event.as_bytes());
        Ok(query.one(&self.reader).await?.is_some())
    }

    /// Notes in the audit log that somebody is shown the payload of an incident's event, and why. It comes before
    /// the payload is opened.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_snapshot_read(
        &self,
        scope: OrganizationScope,
        (event, incident): (EventId, IncidentId),
        reason: &ReadReason,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let event = event.to_string();
        let details = [("event", event.as_str()), ("reason", reason.as_str())];
        let draft = Draft::new(origin, Action::SnapshotRead, incident, &details);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.commit_audited(&[], &drafts).await
    }

    /// Removes snapshots that are too old by now, of one project at a time, at most `limit` of them; gives how many.
    /// It steps from project to project by the key, and looks at no young row.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn forget_snapshots(&self, now: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let before = first_id_after(snapshot::too_old_at(now));
        let next = |after: &str| {
            format!("(SELECT s.project_id FROM snapshots s {after} ORDER BY s.project_id LIMIT 1)")
        };
        let query = Sql::new(format!(
            "WITH RECURSIVE steps (project_id) AS (
                SELECT {first}
                UNION ALL SELECT {following} FROM steps WHERE steps.project_id IS NOT NULL)
             SELECT steps.project_id FROM steps WHERE steps.project_id IS NOT NULL
                AND EXISTS (SELECT 1 FROM snapshots o WHERE o.project_id = steps.project_id AND o.event_id < {{}})
             LIMIT 1",
            first = next(""),
            following = next("WHERE s.project_id > steps.project_id"),
        ));
        let Some(row) = query.bind(before).one(&self.reader).await? else {
            return Ok(0);
        };
        let project = rows::id(&row, "project_id")?;
        let delete = Sql::new(format!(
            "DELETE FROM snapshots WHERE project_id = {{}} AND event_id IN
             (SELECT event_id FROM snapshots WHERE project_id = {{}} AND event_id < {{}}
              ORDER BY event_id LIMIT {limit})"
        ));
        let tx = self.begin().await?;
        let removed = delete.bind(project).bind(project).bind(before).run(&tx).await?;
        tx.commit().await?;
        Ok(removed)
    }

    /// How many snapshots are too old by now.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count_old_snapshots(&self, now: Timestamp) -> Result<u64, StoreError> {
        let query = Sql::new("SELECT count(*) AS n FROM snapshots WHERE event_id < {}");
        let query = query.bind(first_id_after(snapshot::too_old_at(now)));
        let row = query.one(&self.reader).await?;
        row.map_or(Ok(0), |row| Ok(u64::from(rows::count(&row, "n")?)))
    }

    /// Removes snapshots that were deleted a minute ago or longer, of one project at a time, at most `limit` of them;
    /// gives how many. By then none can be under way, nor can one bear a later time, whatever the clocks of the nodes.
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
