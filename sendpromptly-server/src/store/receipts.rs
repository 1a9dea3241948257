//! The events that receipts make.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use sendpromptly_core::case::EventStatus;
use sendpromptly_core::dedupe;
use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::dialect::LockClause;
use super::incident_facets;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

/// Names an event as its provider does: the project, the digest of the provider's id, and the provider.
pub type ProviderEventName = (ProjectId, [u8; 16], Provider);

/// The index of events by project, digest of the provider's id, and provider.
pub(super) const EVENTS_BY_NAME: &str = "events_by_provider_event";

/// An event that is stored.
#[derive(Debug, Clone)]
pub struct KnownEvent {
    /// Its id, and what changes of it.
    pub status: EventStatus,
    /// Its first receipt; `None` where only its provider has told of it.
    pub receipt: Option<FirstReceipt>,
}

/// What is stored of an event's first receipt.
#[derive(Debug, Clone)]
pub struct FirstReceipt {
    /// What the first receipt said.
    pub event_type: String,
    /// What the first receipt said.
    pub effect_type: EffectType,
    /// What the first receipt said.
    pub internal_reference: String,
}

/// An event to store.
#[derive(Debug, Clone)]
pub struct NewEvent<'a> {
    /// Its name at the provider.
    pub name: ProviderEventName,
    /// Its id.
    pub id: EventId,
    /// By when its result must come.
    pub timeout_at: Timestamp,
    /// What is stored of its receipt.
    pub receipt: FirstReceipt,
    /// The provider's own id.
    pub provider_event_id: &'a str,
    /// The shop, for Shopify.
    pub shop_domain: Option<&'a str>,
    /// When it happened, as the app says.
    pub occurred_at: Timestamp,
    /// When the receipt was accepted.
    pub received_at: Timestamp,
    /// In what later receipts differed, joined by commas.
    pub differs: Option<String>,
}

/// The receipt of an event that was announced.
#[derive(Debug, Clone)]
pub struct Filling<'a> {
    /// The event's project.
    pub project: ProjectId,
    /// The provider's own id of the event, as the app has it.
    pub provider_event_id: &'a str,
    /// The event as it is once the receipt has come.
    pub status: EventStatus,
    /// Whose event it is.
    pub provider: Provider,
    /// What the receipt says.
    pub receipt: FirstReceipt,
    /// The shop, for Shopify.
    pub shop_domain: Option<&'a str>,
    /// When it happened, as the app says.
    pub occurred_at: Timestamp,
    /// When the receipt was accepted.
    pub received_at: Timestamp,
    /// In what later receipts differed, joined by commas.
    pub differs: Option<String>,
}

impl Store {
    /// The events that these names have, as far as they are stored.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn known_events(
        &self,
        names: impl IntoIterator<Item = ProviderEventName>,
    ) -> Result<HashMap<ProviderEventName, KnownEvent>, StoreError> {
        self.find_events(&self.reader, names, None).await
    }

    /// The same, locked until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn lock_known_events(
        &self,
        tx: &DatabaseTransaction,
        names: impl IntoIterator<Item = ProviderEventName>,
    ) -> Result<HashMap<ProviderEventName, KnownEvent>, StoreError> {
        let lock = self.dialect.for_update_of("e");
        self.find_events(tx, names, Some(lock)).await
    }

    async fn find_events(
        &self,
        on: &impl ConnectionTrait,
        names: impl IntoIterator<Item = ProviderEventName>,
        lock: Option<LockClause>,
    ) -> Result<HashMap<ProviderEventName, KnownEvent>, StoreError> {
        const COLUMNS: &[Column] = &[
            Column::new("project_id", Kind::Id),
            Column::new("digest", Kind::Id),
            Column::new("provider", Kind::Text),
        ];
        let mut wanted = Rows::new(COLUMNS);
        for (project, digest, provider) in names {
            wanted.push([project.as_bytes().into(), digest.into(), provider.as_str().into()]);
        }
        let by_name = self.dialect.by_index(EVENTS_BY_NAME);
        // Locks are taken in one order everywhere.
        let order = lock.map_or_else(String::new, |lock| format!(" ORDER BY e.project_id, e.id{lock}"));
        let query = Sql::over(
            format!(
                "SELECT e.project_id, e.provider_event_digest, e.provider, e.id, e.timeout_at, e.event_type,
                    e.effect_type, e.internal_reference, e.state, e.sweep_at, e.received_at
                 FROM {{rows}} JOIN events e{by_name} ON e.project_id = r.project_id
                    AND e.provider_event_digest = r.digest AND e.provider = r.provider{order}"
            ),
            wanted,
        );
        let mut found = HashMap::new();
        for row in query.all(on).await? {
            let name = (
                ProjectId::from_bytes(rows::id(&row, "project_id")?),
                rows::id(&row, "provider_event_digest")?,
                rows::word(&row, "provider")?,
            );
            found.insert(name, known_event(&row)?);
        }
        Ok(found)
    }
}

fn known_event(row: &QueryResult) -> Result<KnownEvent, StoreError> {
    let status = EventStatus {
        id: EventId::from_bytes(rows::id(row, "id")?),
        state: rows::word(row, "state")?,
        timeout_at: rows::time(row, "timeout_at")?,
        sweep_at: rows::optional_time(row, "sweep_at")?,
        has_receipt: rows::optional_time(row, "received_at")?.is_some(),
    };
    let receipt = if status.has_receipt {
        Some(FirstReceipt {
            event_type: rows::get(row, "event_type")?,
            effect_type: rows::word(row, "effect_type")?,
            internal_reference: rows::get(row, "internal_reference")?,
        })
    } else {
        None
    };
    Ok(KnownEvent { status, receipt })
}

/// Stores these events. A name that is taken fails the whole statement.
#[must_use]
pub fn insert(events: &[NewEvent<'_>]) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("id", Kind::Id),
        Column::new("provider", Kind::Text),
        Column::new("digest", Kind::Id),
        Column::new("provider_event_id", Kind::Text),
        Column::new("event_type", Kind::Text),
        Column::new("effect_type", Kind::Text),
        Column::new("internal_reference", Kind::Text),
        Column::optional("shop_domain", Kind::Text),
        Column::new("occurred_at", Kind::Int),
        Column::new("received_at", Kind::Int),
        Column::new("timeout_at", Kind::Int),
        Column::optional("differs", Kind::Text),
    ];
    let mut rows = Rows::new(COLUMNS);
    for event in events {
        let (project, digest, provider) = event.name;
        rows.push([
            project.as_bytes().into(),
            event.id.as_bytes().into(),
            provider.as_str().into(),
            digest.into(),
            event.provider_event_id.into(),
            event.receipt.event_type.as_str().into(),
            event.receipt.effect_type.as_str().into(),
            event.receipt.internal_reference.as_str().into(),
            event.shop_domain.into(),
            event.occurred_at.into(),
            event.received_at.into(),
            event.timeout_at.into(),
            event.differs.clone().into(),
        ]);
    }
    Sql::over(
        "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type,
            effect_type, internal_reference, shop_domain, occurred_at, received_at, timeout_at, state,
            sweep_at, differs)
         SELECT r.project_id, r.id, r.provider, r.digest, r.provider_event_id, r.event_type,
            r.effect_type, r.internal_reference, r.shop_domain, r.occurred_at, r.received_at, r.timeout_at,
            'pending', r.timeout_at, r.differs FROM {rows}",
        rows,
    )
}

const FILLING_COLUMNS: &[Column] = &[
    Column::new("project_id", Kind::Id),
    Column::new("id", Kind::Id),
    Column::new("digest", Kind::Id),
    Column::new("provider_event_id", Kind::Text),
    Column::new("event_type", Kind::Text),
    Column::new("effect_type", Kind::Text),
    Column::new("internal_reference", Kind::Text),
    Column::optional("shop_domain", Kind::Text),
    Column::new("occurred_at", Kind::Int),
    Column::new("received_at", Kind::Int),
    Column::new("timeout_at", Kind::Int),
    Column::optional("sweep_at", Kind::Int),
    Column::optional("differs", Kind::Text),
    Column::new("facet", Kind::Int),
];

/// Fills events that were announced with their receipts, by whose names they are known from then on, and their incidents with what the list of incidents is
/// filtered by. The events must be locked.
#[must_use]
pub fn fill(fillings: &[Filling<'_>]) -> [Sql; 2] {
    let mut rows = Rows::new(FILLING_COLUMNS);
    for filling in fillings {
        rows.push([
            filling.project.as_bytes().into(),
            filling.status.id.as_bytes().into(),
            dedupe::digest(filling.provider_event_id).into(),
            filling.provider_event_id.into(),
            filling.receipt.event_type.as_str().into(),
            filling.receipt.effect_type.as_str().into(),
            filling.receipt.internal_reference.as_str().into(),
            filling.shop_domain.into(),
            filling.occurred_at.into(),
            filling.received_at.into(),
            filling.status.timeout_at.into(),
            filling.status.sweep_at.into(),
            filling.differs.clone().into(),
            incident_facets::of_receipt(filling.provider, filling.receipt.effect_type).into(),
        ]);
    }
    let events = Sql::over(
        "UPDATE events SET provider_event_digest = r.digest, provider_event_id = r.provider_event_id,
            event_type = r.event_type, effect_type = r.effect_type,
            internal_reference = r.internal_reference, shop_domain = r.shop_domain, occurred_at = r.occurred_at,
            received_at = r.received_at, timeout_at = r.timeout_at, sweep_at = r.sweep_at, differs = r.differs
         FROM {rows} WHERE events.project_id = r.project_id AND events.id = r.id",
        rows.clone(),
    );
    let incidents = Sql::over(
        format!(
            "UPDATE incidents SET internal_reference = r.internal_reference,
                provider_event_digest = r.digest, facet = {} FROM {{rows}}
             WHERE incidents.project_id = r.project_id AND incidents.event_id = r.id",
            incident_facets::with_receipt("incidents.facet", "r.facet")
        ),
        rows,
    );
    [events, incidents]
}

/// Notes in what a later receipt of a stored event differed from the first.
#[must_use]
pub fn note_differences<'a>(differences: impl IntoIterator<Item = (ProjectId, EventId, &'a str)>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("id", Kind::Id),
        Column::new("differs", Kind::Text),
    ];
    let mut rows = Rows::new(COLUMNS);
    for (project, event, differs) in differences {
        rows.push([project.as_bytes().into(), event.as_bytes().into(), differs.into()]);
    }
    Sql::over(
        "UPDATE events SET differs = r.differs FROM {rows}
         WHERE events.project_id = r.project_id AND events.id = r.id",
        rows,
    )
}
