//! Events as they are shown.

use sea_orm::QueryResult;
use sendpromptly_core::event::{EffectType, EventState, Provider};
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::rows::{self, Sql};
use super::{Store, StoreError};

/// An event with what is shown of it.
#[derive(Debug, Clone)]
pub struct EventRecord {
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: EventId,
    /// Whose event it is.
    pub provider: Provider,
    /// The provider's own id.
    pub provider_event_id: String,
    /// The provider's type.
    pub event_type: String,
    /// What the payment should have caused; not known before the receipt.
    pub effect_type: Option<EffectType>,
    /// The app's own reference; not known before the receipt.
    pub internal_reference: Option<String>,
    /// The shop, for Shopify.
    pub shop_domain: Option<String>,
    /// When it happened, as the app says.
    pub occurred_at: Timestamp,
    /// When its receipt was accepted.
    pub received_at: Option<Timestamp>,
    /// By when its result must come.
    pub timeout_at: Timestamp,
    /// What is known of the effect.
    pub state: EventState,
    /// In what later receipts differed from the first.
    pub differs: Vec<String>,
}

impl Store {
    /// One event of a project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn event(&self, project: ProjectId, id: EventId) -> Result<Option<EventRecord>, StoreError> {
        let query = Sql::new(
            "SELECT project_id, id, provider, provider_event_id, event_type, effect_type, internal_reference,
                shop_domain, occurred_at, received_at, timeout_at, state, differs
             FROM events WHERE project_id = {} AND id = {}",
        );
        let query = query.bind(project.as_bytes()).bind(id.as_bytes());
        query.one(&self.reader).await?.as_ref().map(record).transpose()
    }

    /// The project of an event, for an operator at the machine, who may see every project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn project_of_event(&self, id: EventId) -> Result<Option<ProjectId>, StoreError> {
        let query = Sql::new(
            "SELECT e.project_id FROM projects p JOIN events e ON e.project_id = p.id AND e.id = {}
             WHERE p.deleted_at IS NULL",
        );
        let row = query.bind(id.as_bytes()).one(&self.reader).await?;
        row.map(|row| Ok(ProjectId::from_bytes(rows::id(&row, "project_id")?)))
            .transpose()
    }
}

fn record(row: &QueryResult) -> Result<EventRecord, StoreError> {
    let differs: Option<String> = rows::get(row, "differs")?;
    Ok(EventRecord {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        id: EventId::from_bytes(rows::id(row, "id")?),
        provider: rows::word(row, "provider")?,
        provider_event_id: rows::get(row, "provider_event_id")?,
        event_type: rows::get(row, "event_type")?,
        effect_type: rows::optional_word(row, "effect_type")?,
        internal_reference: rows::get(row, "internal_reference")?,
        shop_domain: rows::get(row, "shop_domain")?,
        occurred_at: rows::time(row, "occurred_at")?,
        received_at: rows::optional_time(row, "received_at")?,
        timeout_at: rows::time(row, "timeout_at")?,
        state: rows::word(row, "state")?,
        differs: differs
            .iter()
            .flat_map(|names| names.split(','))
            .map(str::to_owned)
            .collect(),
    })
}
