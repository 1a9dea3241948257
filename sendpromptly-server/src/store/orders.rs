//! Orders to reprocess: what they need to know, and the key that makes one order out of two.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::case::PlacedOrder;
use sendpromptly_core::event::{EffectType, Mode, Provider};
use sendpromptly_core::id::{EventId, IncidentId, OrganizationId, ProjectId, ReplayId};
use sendpromptly_core::snapshot::too_old_at;
use sendpromptly_core::time::Timestamp;

use super::rows::{self, Column, Kind, Rows, Sql};
use super::snapshots::HAS_SNAPSHOT;
use super::{Store, StoreError};

/// What an order about an incident needs to know of it beside its case.
#[derive(Debug, Clone)]
pub struct IncidentFacts {
    /// The organization of the project.
    pub organization: OrganizationId,
    /// Whether the project watches real money.
    pub mode: Mode,
    /// Whether there is somebody to call.
    pub has_repair_url: bool,
    /// The incident's event.
    pub event: EventId,
    /// Whose event it is.
    pub provider: Provider,
    /// The provider's own id of the event.
    pub provider_event_id: String,
    /// The provider's type of the event.
    pub event_type: String,
    /// The effect that is missing, and the app's own reference; not known before the event's receipt.
    pub effect: Option<(EffectType, String)>,
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// Whether a payload is kept of the event that the project sends along.
    pub sends_payload: bool,
}

impl Store {
    /// What an order about this incident needs to know.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn incident_facts(
        &self,
        project: ProjectId,
        incident: IncidentId,
        now: Timestamp,
    ) -> Result<Option<IncidentFacts>, StoreError> {
        let query = Sql::new(format!(
            "SELECT p.organization_id, p.mode, p.repair_url, i.event_id, e.provider, e.provider_event_id,
                e.event_type, e.effect_type, e.internal_reference, e.occurred_at,
                CAST(CASE WHEN p.send_payload = 1 AND {HAS_SNAPSHOT} THEN 1 ELSE 0 END AS bigint) AS sends_payload
             FROM incidents i
             JOIN events e ON e.project_id = i.project_id AND e.id = i.event_id
             JOIN projects p ON p.id = i.project_id
             WHERE i.project_id = {{}} AND i.id = {{}} AND p.deleted_at IS NULL"
        ));
        let query = query.bind(too_old_at(now));
        let query = query.bind(project.as_bytes()).bind(incident.as_bytes());
        let Some(row) = query.one(&self.reader).await? else {
            return Ok(None);
        };
        let repair_url: Option<String> = rows::get(&row, "repair_url")?;
        let effect_type = rows::optional_word(&row, "effect_type")?;
        Ok(Some(IncidentFacts {
            organization: OrganizationId::from_bytes(rows::id(&row, "organization_id")?),
            mode: rows::word(&row, "mode")?,
            has_repair_url: repair_url.is_some(),
            event: EventId::from_bytes(rows::id(&row, "event_id")?),
            provider: rows::word(&row, "provider")?,
            provider_event_id: rows::get(&row, "provider_event_id")?,
            event_type: rows::get(&row, "event_type")?,
            effect: effect_type.zip(rows::get(&row, "internal_reference")?),
            occurred_at: rows::time(&row, "occurred_at")?,
            sends_payload: rows::flag(&row, "sends_payload")?,
        }))
    }

    /// The order that was given under the key with this digest.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn given_order(
        &self,
        tx: &DatabaseTransaction,
        project: ProjectId,
        key_digest: [u8; 16],
    ) -> Result<Option<PlacedOrder>, StoreError> {
        let query =
            Sql::new("SELECT incident_id, replay_id FROM orders WHERE project_id = {} AND key_digest = {}");
        let query = query.bind(project.as_bytes()).bind(key_digest);
        let Some(row) = query.one(tx).await? else {
            return Ok(None);
        };
        Ok(Some(PlacedOrder {
            incident_id: IncidentId::from_bytes(rows::id(&row, "incident_id")?),
            replay_id: ReplayId::from_bytes(rows::id(&row, "replay_id")?),
        }))
    }
}

/// Keeps an order under its key. A key that is taken fails the statement.
#[must_use]
pub fn insert(project: ProjectId, key_digest: [u8; 16], order: PlacedOrder, now: Timestamp) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("key_digest", Kind::Id),
        Column::new("incident_id", Kind::Id),
        Column::new("replay_id", Kind::Id),
        Column::new("created_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    rows.push([
        project.as_bytes().into(),
        key_digest.into(),
        order.incident_id.as_bytes().into(),
        order.replay_id.as_bytes().into(),
        now.into(),
    ]);
    Sql::over(
        "INSERT INTO orders (project_id, key_digest, incident_id, replay_id, created_at)
         SELECT r.project_id, r.key_digest, r.incident_id, r.replay_id, r.created_at FROM {rows}",
        rows,
    )
}
