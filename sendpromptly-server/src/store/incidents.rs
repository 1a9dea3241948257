//! Incidents as they are shown: with their event's names and their replays.

use std::collections::HashMap;

use sea_orm::QueryResult;
use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::id::{EventId, IncidentId, ProjectId};
use sendpromptly_core::incident::Incident;
use sendpromptly_core::replay::Replay;

use super::cases::{REPLAY_COLUMNS, incident, replay};
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

#[cfg(test)]
mod tests;

/// An incident with what is shown of it.
#[derive(Debug, Clone)]
pub struct IncidentRecord {
    /// Its project.
    pub project: ProjectId,
    /// The incident itself.
    pub incident: Incident,
    /// Its event.
    pub event: EventId,
    /// Whose event it is.
    pub provider: Provider,
    /// The provider's own id of the event.
    pub provider_event_id: String,
    /// The provider's type of the event.
    pub event_type: String,
    /// The effect that is missing; not known before the event's receipt.
    pub effect_type: Option<EffectType>,
    /// The app's own reference; not known before the event's receipt.
    pub internal_reference: Option<String>,
    /// Its replays, oldest first.
    pub replays: Vec<Replay>,
}

pub(super) const COLUMNS: &str =
    "i.project_id, i.id AS incident_id, i.event_id, i.state AS incident_state, i.reason,
    i.opened_at, i.resolved_at, e.provider, e.provider_event_id, e.event_type, e.effect_type,
    e.internal_reference";

impl Store {
    /// One incident of a project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn incident(
        &self,
        project: ProjectId,
        id: IncidentId,
    ) -> Result<Option<IncidentRecord>, StoreError> {
        self.one_incident(project, "id", id.as_bytes()).await
    }

    /// The incident of an event.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn incident_of_event(
        &self,
        project: ProjectId,
        event: EventId,
    ) -> Result<Option<IncidentRecord>, StoreError> {
        self.one_incident(project, "event_id", event.as_bytes()).await
    }

    async fn one_incident(
        &self,
        project: ProjectId,
        by: &'static str,
        id: &[u8; 16],
    ) -> Result<Option<IncidentRecord>, StoreError> {
        let query = Sql::new(format!(
            "SELECT {COLUMNS} FROM incidents i
             JOIN events e ON e.project_id = i.project_id AND e.id = i.event_id
             WHERE i.project_id = {{}} AND i.{by} = {{}}"
        ));
        let found = self.records(query.bind(project.as_bytes()).bind(id));
        Ok(found.await?.pop())
    }

    /// The project of an incident, for an operator at the machine, who may see every project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn project_of_incident(&self, id: IncidentId) -> Result<Option<ProjectId>, StoreError> {
        let query = Sql::new(
            "SELECT i.project_id FROM projects p JOIN incidents i ON i.project_id = p.id AND i.id = {}
             WHERE p.deleted_at IS NULL",
        );
        let row = query.bind(id.as_bytes()).one(&self.reader).await?;
        row.map(|row| Ok(ProjectId::from_bytes(rows::id(&row, "project_id")?)))
            .transpose()
    }

    pub(super) async fn records(&self, query: Sql) -> Result<Vec<IncidentRecord>, StoreError> {
        let found = query.all(&self.reader).await?;
        let mut records = found.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        let mut replays = self.replays_of(&records).await?;
        for record in &mut records {
            record.replays = replays
                .remove(&(record.project, record.event))
                .unwrap_or_default();
        }
        Ok(records)
    }

    async fn replays_of(
        &self,
        records: &[IncidentRecord],
    ) -> Result<HashMap<(ProjectId, EventId), Vec<Replay>>, StoreError> {
        const EVENTS: &[Column] = &[
            Column::new("project_id", Kind::Id),
            Column::new("event_id", Kind::Id),
        ];
        let mut events = Rows::new(EVENTS);
        for record in records {
            events.push([record.project.as_bytes().into(), record.event.as_bytes().into()]);
        }
        let mut replays: HashMap<_, Vec<Replay>> = HashMap::new();
        if events.is_empty() {
            return Ok(replays);
        }
        let by_event = self.dialect.by_index("replays_by_event");
        let query = Sql::over(
            format!(
                "SELECT p.project_id, p.event_id, {REPLAY_COLUMNS}
                 FROM {{rows}} JOIN replays p{by_event}
                    ON p.project_id = r.project_id AND p.event_id = r.event_id ORDER BY p.id"
            ),
            events,
        );
        for row in query.all(&self.reader).await? {
            let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
            let event = EventId::from_bytes(rows::id(&row, "event_id")?);
            replays.entry((project, event)).or_default().extend(replay(&row)?);
        }
        Ok(replays)
    }
}

fn record(row: &QueryResult) -> Result<IncidentRecord, StoreError> {
    Ok(IncidentRecord {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        incident: incident(row)?,
        event: EventId::from_bytes(rows::id(row, "event_id")?),
        provider: rows::word(row, "provider")?,
        provider_event_id: rows::get(row, "provider_event_id")?,
        event_type: rows::get(row, "event_type")?,
        effect_type: rows::optional_word(row, "effect_type")?,
        internal_reference: rows::get(row, "internal_reference")?,
        replays: Vec::new(),
    })
}
