//! Orders to reprocess: what they need to know, and the key that makes one order out of two.

use std::collections::BTreeMap;

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::case::PlacedOrder;
use sendpromptly_core::event::{EffectType, Mode, Provider};
use sendpromptly_core::id::{EventId, IncidentId, OrganizationId, ProjectId, ReplayId};
use sendpromptly_core::project::UnaskedOrders;
use sendpromptly_core::signing::CallbackBody;
use sendpromptly_core::snapshot::too_old_at;
use sendpromptly_core::time::Timestamp;

use super::cases::{CaseKey, ReplayBody, key_rows};
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

/// What the server needs to know to follow a project's standing order about a case.
#[derive(Debug, Clone)]
pub struct StandingFacts {
    /// The most orders for an incident.
    pub at_most: UnaskedOrders,
    /// The rest is what any order needs.
    pub facts: IncidentFacts,
}

/// An order and the key that it is kept under.
#[derive(Debug, Clone, Copy)]
pub struct KeptOrder {
    /// The project.
    pub project: ProjectId,
    /// The digest of its key.
    pub key_digest: [u8; 16],
    /// What came of it.
    pub placed: PlacedOrder,
    /// When it was given.
    pub at: Timestamp,
}

impl IncidentFacts {
    /// What the callbacks of a replay of this incident say; `None` where it is not known what should be repaired.
    #[must_use]
    pub fn replay_body(
        &self,
        project: ProjectId,
        incident: IncidentId,
        replay: ReplayId,
    ) -> Option<ReplayBody> {
        let (effect_type, internal_reference) = self.effect.as_ref()?;
        let body = CallbackBody {
            replay_id: replay,
            incident_id: incident,
            event_id: self.event,
            project_id: project,
            mode: self.mode,
            provider: self.provider,
            provider_event_id: &self.provider_event_id,
            event_type: &self.event_type,
            effect_type: *effect_type,
            internal_reference,
            occurred_at: self.occurred_at,
        };
        Some(ReplayBody {
            json: body.to_json(),
            with_payload: self.sends_payload,
        })
    }
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
            "SELECT {} FROM incidents i
             JOIN events e ON e.project_id = i.project_id AND e.id = i.event_id
             JOIN projects p ON p.id = i.project_id
             WHERE i.project_id = {{}} AND i.id = {{}} AND p.deleted_at IS NULL",
            facts_columns()
        ));
        let query = query.bind(too_old_at(now));
        let query = query.bind(project.as_bytes()).bind(incident.as_bytes());
        let found = query.one(&self.reader).await?;
        found.as_ref().map(facts_of).transpose()
    }

    /// What a standing order about each of these cases needs. Those whose project gives none, or has nobody to call, are
    /// left out, and so are those of which it is not known what should be repaired.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn standing_orders(
        &self,
        tx: &DatabaseTransaction,
        keys: impl IntoIterator<Item = CaseKey>,
        now: Timestamp,
    ) -> Result<BTreeMap<CaseKey, StandingFacts>, StoreError> {
        let keys = key_rows(keys);
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let query = Sql::over(
            format!(
                "SELECT e.project_id, p.reprocess_timeouts, {} FROM {{rows}}
                 JOIN projects p ON p.id = r.project_id
                 JOIN events e ON e.project_id = r.project_id AND e.id = r.id
                 WHERE p.reprocess_timeouts > 0 AND p.repair_url IS NOT NULL AND p.deleted_at IS NULL
                    AND e.effect_type IS NOT NULL AND e.internal_reference IS NOT NULL",
                facts_columns()
            ),
            keys,
        );
        let found = query.bind(too_old_at(now)).all(tx).await?;
        found.iter().map(standing_facts).collect()
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

/// What [`IncidentFacts`] are read from, of an event `e` and its project `p`. It takes the time at which a payload is too
/// old.
fn facts_columns() -> String {
    format!(
        "p.organization_id, p.mode, p.repair_url, e.id AS event_id, e.provider, e.provider_event_id,
            e.event_type, e.effect_type, e.internal_reference, e.occurred_at,
            CAST(CASE WHEN p.send_payload = 1 AND {HAS_SNAPSHOT} THEN 1 ELSE 0 END AS bigint) AS sends_payload"
    )
}

fn facts_of(row: &QueryResult) -> Result<IncidentFacts, StoreError> {
    let repair_url: Option<String> = rows::get(row, "repair_url")?;
    let effect_type = rows::optional_word(row, "effect_type")?;
    Ok(IncidentFacts {
        organization: OrganizationId::from_bytes(rows::id(row, "organization_id")?),
        mode: rows::word(row, "mode")?,
        has_repair_url: repair_url.is_some(),
        event: EventId::from_bytes(rows::id(row, "event_id")?),
        provider: rows::word(row, "provider")?,
        provider_event_id: rows::get(row, "provider_event_id")?,
        event_type: rows::get(row, "event_type")?,
        effect: effect_type.zip(rows::get(row, "internal_reference")?),
        occurred_at: rows::time(row, "occurred_at")?,
        sends_payload: rows::flag(row, "sends_payload")?,
    })
}

fn standing_facts(row: &QueryResult) -> Result<(CaseKey, StandingFacts), StoreError> {
    let project = ProjectId::from_bytes(rows::id(row, "project_id")?);
    let facts = facts_of(row)?;
    // A number that this program does not know lets nothing happen unasked.
    let at_most = UnaskedOrders::new(rows::count(row, "reprocess_timeouts")?).unwrap_or_default();
    Ok(((project, facts.event), StandingFacts { at_most, facts }))
}

/// Keeps orders under their keys. A key that is taken fails the statement.
#[must_use]
pub fn insert(orders: &[KeptOrder]) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("key_digest", Kind::Id),
        Column::new("incident_id", Kind::Id),
        Column::new("replay_id", Kind::Id),
        Column::new("created_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for order in orders {
        rows.push([
            order.project.as_bytes().into(),
            order.key_digest.into(),
            order.placed.incident_id.as_bytes().into(),
            order.placed.replay_id.as_bytes().into(),
            order.at.into(),
        ]);
    }
    Sql::over(
        "INSERT INTO orders (project_id, key_digest, incident_id, replay_id, created_at)
         SELECT r.project_id, r.key_digest, r.incident_id, r.replay_id, r.created_at FROM {rows}",
        rows,
    )
}
