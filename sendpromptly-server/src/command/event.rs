//! `event`: what is stored of a receipt.

use clap::Subcommand;
use sendpromptly_core::id::EventId;
use serde::Serialize;

use super::incident::Shown as ShownIncident;
use super::{CommandError, Context, print_json};
use crate::store::events::EventRecord;

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventCommand {
    /// Show an event with its state and its incident
    Show {
        /// The event, as the answer to its receipt named it
        id: EventId,
    },
}

#[derive(Serialize)]
struct Shown<'a> {
    event_id: String,
    project_id: String,
    provider: &'a str,
    provider_event_id: &'a str,
    event_type: &'a str,
    effect_type: Option<&'a str>,
    internal_reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shopify_shop_domain: Option<&'a str>,
    occurred_at: String,
    received_at: Option<String>,
    timeout_at: String,
    state: &'a str,
    differs: &'a [String],
    incident: Option<ShownIncident<'a>>,
}

impl<'a> Shown<'a> {
    fn new(event: &'a EventRecord, incident: Option<ShownIncident<'a>>) -> Self {
        Self {
            event_id: event.id.to_string(),
            project_id: event.project.to_string(),
            provider: event.provider.as_str(),
            provider_event_id: &event.provider_event_id,
            event_type: &event.event_type,
            effect_type: event.effect_type.map(|effect| effect.as_str()),
            internal_reference: event.internal_reference.as_deref(),
            shopify_shop_domain: event.shop_domain.as_deref(),
            occurred_at: event.occurred_at.to_string(),
            received_at: event.received_at.map(|time| time.to_string()),
            timeout_at: event.timeout_at.to_string(),
            state: event.state.as_str(),
            differs: &event.differs,
            incident,
        }
    }
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: EventCommand) -> Result<(), CommandError> {
    let EventCommand::Show { id } = command;
    let store = &context.store;
    let event = match store.project_of_event(id).await? {
        Some(project) => store.event(project, id).await?,
        None => None,
    };
    let event = event.ok_or_else(|| CommandError::not_found("event", id))?;
    let incident = store.incident_of_event(event.project, id).await?;
    print_json(&Shown::new(&event, incident.as_ref().map(ShownIncident::from)))
}
