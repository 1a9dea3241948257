//! What belongs to an event, which goes with it.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::id::{EventId, ProjectId};

use super::id_rows;
use crate::store::rows::{self, Rows, Sql};
use crate::store::{Store, StoreError};

/// What belongs to an event beside its own row and its incident's, and by which column. What others are found by
/// comes after them.
pub(super) const BELONGING: &[(&str, Owner)] = &[
    ("results", Owner::Event),
    ("snapshots", Owner::Event),
    ("attempts", Owner::Replay),
    ("orders", Owner::Incident),
    ("notes", Owner::Incident),
    ("told_alerts", Owner::Incident),
    ("shopify_names", Owner::Event),
    ("replays", Owner::Event),
    ("incidents", Owner::Event),
];

/// By which column a row belongs to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Event,
    Incident,
    Replay,
}

impl Owner {
    const fn column(self) -> &'static str {
        match self {
            Self::Event => "event_id",
            Self::Incident => "incident_id",
            Self::Replay => "replay_id",
        }
    }
}

impl Store {
    /// Drops these events, which are locked, and what belongs to them.
    pub(super) async fn drop_events(
        &self,
        tx: &DatabaseTransaction,
        project: ProjectId,
        events: &[EventId],
    ) -> Result<(), StoreError> {
        let events = id_rows(events.iter().map(EventId::as_bytes));
        let incidents = owned(tx, "incidents", project, &events).await?;
        // Without an incident there is no replay.
        let replays = if incidents.is_empty() {
            id_rows([])
        } else {
            owned(tx, "replays", project, &events).await?
        };
        for (table, owner) in BELONGING {
            let ids = match owner {
                Owner::Event => &events,
                Owner::Incident => &incidents,
                Owner::Replay => &replays,
            };
            self.drop_of(tx, table, owner.column(), project, ids).await?;
        }
        self.drop_of(tx, "events", "id", project, &events).await
    }

    async fn drop_of(
        &self,
        tx: &DatabaseTransaction,
        table: &str,
        column: &str,
        project: ProjectId,
        ids: &Rows,
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let one_of = self.dialect.is_one_of(column, "SELECT r.id FROM {rows}");
        let delete = Sql::over(
            format!("DELETE FROM {table} WHERE project_id = {{}} AND {one_of}"),
            ids.clone(),
        );
        delete.bind(project.as_bytes()).run(tx).await?;
        Ok(())
    }
}

/// The ids of the rows of a table that belong to these events.
async fn owned(
    tx: &DatabaseTransaction,
    table: &str,
    project: ProjectId,
    events: &Rows,
) -> Result<Rows, StoreError> {
    if events.is_empty() {
        return Ok(id_rows([]));
    }
    let query = Sql::over(
        format!("SELECT o.id FROM {{rows}} JOIN {table} o ON o.project_id = {{}} AND o.event_id = r.id"),
        events.clone(),
    );
    let found = query.bind(project.as_bytes()).all(tx).await?;
    let ids: Vec<_> = found
        .iter()
        .map(|row| rows::id(row, "id"))
        .collect::<Result<_, _>>()?;
    Ok(id_rows(&ids))
}
