//! Snapshots: the sealed payloads of receipts, where their projects ask for it.
//!
//! A project's snapshots are of an *era*. Deleting all of them begins the next one, so that they are gone at once
//! for everybody, also those that are on their way; their rows are removed bit by bit ([`passes`]).

use std::collections::BTreeSet;

use sea_orm::QueryResult;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::{EventId, IncidentId, ProjectId};
use sendpromptly_core::snapshot::{ReadReason, too_old_at};
use sendpromptly_core::time::Timestamp;

use super::cases::key_rows;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::scope::OrganizationScope;
use super::{Dialect, Store, StoreError, audit};

pub mod passes;
#[cfg(test)]
mod tests;

/// How often a project's snapshots have been deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Era(u32);

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
    /// When its receipt came, which the event's id need not tell.
    pub received_at: Timestamp,
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

/// Stores these snapshots. One whose project has meanwhile turned keeping off, or deleted what it kept, is left out;
/// where somebody is about to do so, that is waited for.
#[must_use]
pub fn insert<'a>(dialect: Dialect, snapshots: impl IntoIterator<Item = NewSnapshot<'a>>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("event_id", Kind::Id),
        Column::new("era", Kind::Int),
        Column::new("received_at", Kind::Int),
        Column::new("sealed", Kind::Large),
    ];
    let mut rows = Rows::new(COLUMNS);
    for new in snapshots {
        let [start, length] = rows.large(new.sealed);
        rows.push([
            new.project.as_bytes().into(),
            new.event.as_bytes().into(),
            new.era.number().into(),
            new.received_at.into(),
            start,
            length,
        ]);
    }
    // On PostgreSQL each project is locked once, however many of the rows are its.
    let projects = match dialect {
        Dialect::Sqlite => "projects",
        Dialect::Postgres => "(SELECT * FROM projects WHERE id IN ({rows.project_id}) FOR SHARE)",
    };
    Sql::over(
        format!(
            "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed)
             SELECT r.project_id, r.event_id, r.era, r.received_at, r.sealed FROM {{rows}}
             JOIN {projects} p ON p.id = r.project_id
             WHERE p.keep_snapshots = 1 AND p.snapshot_era = r.era AND p.deleted_at IS NULL"
        ),
        rows,
    )
}

/// Holds where an event has a snapshot of its project's era that was received after a time, which is bound; `p` is the
/// project and `e` the event.
pub(super) const HAS_SNAPSHOT: &str = "EXISTS (SELECT 1 FROM snapshots s
    WHERE s.project_id = e.project_id AND s.event_id = e.id AND s.era = p.snapshot_era AND s.received_at > {})";

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
        let row = kept("s.sealed", project, event, now).one(&self.reader).await?;
        row.map(|row| {
            Ok(StoredSnapshot {
                era: Era::read(&row)?,
                sealed: rows::get(&row, "sealed")?,
            })
        })
        .transpose()
    }

    /// When the payload that is kept of an event was received; `None` where none is kept.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn payload_received_at(
        &self,
        project: ProjectId,
        event: EventId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let row = kept("s.received_at", project, event, now)
            .one(&self.reader)
            .await?;
        row.map(|row| rows::time(&row, "received_at")).transpose()
    }

    /// The events among these, of an organization's projects, whose kept payload a callback would bear.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn payloads_to_send(
        &self,
        scope: OrganizationScope,
        events: impl IntoIterator<Item = (ProjectId, EventId)>,
        now: Timestamp,
    ) -> Result<BTreeSet<EventId>, StoreError> {
        let wanted = key_rows(events);
        if wanted.is_empty() {
            return Ok(BTreeSet::new());
        }
        let query = to_send(scope, wanted, now);
        let found = query.all(&self.reader).await?;
        let id = |row| Ok(EventId::from_bytes(rows::id(row, "id")?));
        found.iter().map(id).collect()
    }

    /// Removes what was kept of an event and opens no more, so that nobody counts on it any longer.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn drop_lost_payload(
        &self,
        project: ProjectId,
        event: EventId,
        lost: &StoredSnapshot,
    ) -> Result<(), StoreError> {
        let delete = Sql::new("DELETE FROM snapshots WHERE project_id = {} AND event_id = {} AND era = {}")
            .bind(project.as_bytes())
            .bind(event.as_bytes())
            .bind(lost.era.number());
        self.commit_together(vec![delete]).await
    }

    /// Notes in the audit log that somebody is shown the payload of an incident's event, and why. It comes before
    /// anything is shown.
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
}

/// Those of these events of an organization whose payload goes along with a call.
fn to_send(scope: OrganizationScope, wanted: Rows, now: Timestamp) -> Sql {
    let query = Sql::over(
        format!(
            "SELECT e.id FROM {{rows}} CROSS JOIN events e CROSS JOIN projects p
             WHERE e.project_id = r.project_id AND e.id = r.id AND p.id = e.project_id
                AND p.organization_id = {{}} AND p.deleted_at IS NULL AND p.send_payload = 1 AND {HAS_SNAPSHOT}"
        ),
        wanted,
    );
    query.bind(scope.as_bytes()).bind(too_old_at(now))
}

/// Looks up what is kept of an event.
fn kept(column: &str, project: ProjectId, event: EventId, now: Timestamp) -> Sql {
    let query = Sql::new(format!(
        "SELECT p.snapshot_era, {column} FROM projects p
         JOIN snapshots s ON s.project_id = p.id AND s.event_id = {{}} AND s.era = p.snapshot_era
         WHERE p.id = {{}} AND p.deleted_at IS NULL AND s.received_at > {{}}"
    ));
    query
        .bind(event.as_bytes())
        .bind(project.as_bytes())
        .bind(too_old_at(now))
}
