//! `incident`: what an operator sees of incidents, and may order.

use clap::Subcommand;
use sendpromptly_core::case::Refusal;
use sendpromptly_core::id::{IncidentId, ProjectId};
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::replay::Replay;
use serde::Serialize;

use super::{CommandError, Context, print_json};
use crate::operate::{Desk, OperateError, Reprocess};
use crate::platform::clock;
use crate::store::incident_list::{IncidentFilter, PageStart};
use crate::store::incidents::IncidentRecord;

/// Incidents read at once.
const PAGE: u32 = 500;

/// What can be done with incidents.
#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// List the incidents of a project, newest first
    List {
        /// The project
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// Only those in this state: open, reprocessing, resolved or dismissed
        #[arg(long, value_name = "STATE")]
        state: Option<IncidentState>,
    },
    /// Order the effect to be run again: a signed callback goes to the project's repair URL
    Reprocess {
        /// The incident
        id: IncidentId,
        /// Order it although the effect may have been applied; look at the customer's account first
        #[arg(long)]
        again: bool,
        /// Orders under one key are one order, so that it can be sent twice
        #[arg(long, value_name = "KEY")]
        order_key: Option<String>,
    },
    /// Put an incident aside
    Dismiss {
        /// The incident
        id: IncidentId,
        /// Why, for the audit log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Open a dismissed incident again
    Reopen {
        /// The incident
        id: IncidentId,
    },
}

/// An incident as it is printed.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    incident_id: String,
    event_id: String,
    provider: &'a str,
    provider_event_id: &'a str,
    event_type: &'a str,
    effect_type: Option<&'a str>,
    internal_reference: Option<&'a str>,
    state: &'a str,
    reason: &'a str,
    opened_at: String,
    resolved_at: Option<String>,
    replays: Vec<ShownReplay>,
}

#[derive(Serialize)]
struct ShownReplay {
    replay_id: String,
    state: &'static str,
    attempts: u32,
    last_status: Option<u16>,
}

impl<'a> From<&'a IncidentRecord> for Shown<'a> {
    fn from(record: &'a IncidentRecord) -> Self {
        let incident = &record.incident;
        Self {
            incident_id: incident.id.to_string(),
            event_id: record.event.to_string(),
            provider: record.provider.as_str(),
            provider_event_id: &record.provider_event_id,
            event_type: &record.event_type,
            effect_type: record.effect_type.map(|effect| effect.as_str()),
            internal_reference: record.internal_reference.as_deref(),
            state: incident.state.as_str(),
            reason: incident.reason.as_str(),
            opened_at: incident.opened_at.to_string(),
            resolved_at: incident.resolved_at.map(|time| time.to_string()),
            replays: record.replays.iter().map(ShownReplay::from).collect(),
        }
    }
}

impl From<&Replay> for ShownReplay {
    fn from(replay: &Replay) -> Self {
        Self {
            replay_id: replay.id.to_string(),
            state: replay.state.as_str(),
            attempts: replay.attempts,
            last_status: replay.last_status,
        }
    }
}

#[derive(Serialize)]
struct Ordered {
    replay_id: String,
    incident_id: String,
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: IncidentCommand) -> Result<(), CommandError> {
    match command {
        IncidentCommand::List { project, state } => list(context, project, state).await,
        IncidentCommand::Reprocess { id, again, order_key } => {
            let order = Reprocess {
                key: order_key.as_deref(),
                again,
                schedule: &context.config.callbacks.schedule,
            };
            let (_, replay) = at_desk(context, id, async |desk| desk.reprocess(&order).await).await?;
            print_json(&Ordered {
                replay_id: replay.to_string(),
                incident_id: id.to_string(),
            })
        }
        IncidentCommand::Dismiss { id, reason } => {
            let (project, ()) = at_desk(context, id, async |desk| desk.dismiss(&reason).await).await?;
            show(context, project, id).await
        }
        IncidentCommand::Reopen { id } => {
            let (project, ()) = at_desk(context, id, async |desk| desk.reopen().await).await?;
            show(context, project, id).await
        }
    }
}

async fn list(
    context: &Context,
    project: ProjectId,
    state: Option<IncidentState>,
) -> Result<(), CommandError> {
    let scope = super::project::scope_of(context, project).await?;
    let filter = IncidentFilter {
        project: Some(project),
        state,
        ..IncidentFilter::default()
    };
    let mut start = PageStart::Newest;
    loop {
        let page = context.store.list_incidents(scope, &filter, start, PAGE).await?;
        for record in &page.incidents {
            print_json(&Shown::from(record))?;
        }
        match page.incidents.last() {
            Some(last) if page.older => start = PageStart::OlderThan(last.incident.id),
            _ => return Ok(()),
        }
    }
}

/// Carries out an order about an incident; gives its project as well.
async fn at_desk<T>(
    context: &Context,
    incident: IncidentId,
    order: impl AsyncFnOnce(&Desk<'_>) -> Result<T, OperateError>,
) -> Result<(ProjectId, T), CommandError> {
    let found = context.store.project_of_incident(incident).await?;
    let project = found.ok_or_else(|| CommandError::not_found("incident", incident))?;
    let origin = context.origin();
    let desk = Desk {
        store: &context.store,
        project,
        incident,
        origin: &origin,
        now: clock::now(),
    };
    Ok((project, order(&desk).await.map_err(in_words)?))
}

/// Puts a refusal into the words of the command line.
fn in_words(error: OperateError) -> CommandError {
    match error {
        OperateError::Reason(_) => CommandError::Usage(format!("--reason: {error}")),
        OperateError::Key(_) => CommandError::Usage(format!("--order-key: {error}")),
        OperateError::Refused(Refusal::MayHaveBeenApplied(replay)) => CommandError::Refused(format!(
            "replay {replay} ended without a result, and its effect may have been applied; look at the customer's \
             account first, then order it again with --again"
        )),
        OperateError::NoRepairUrl => CommandError::refused(
            "the project has no repair URL to call; set one with `sendpromptly project set ID --repair-url URL`",
        ),
        error => CommandError::refused(error),
    }
}

async fn show(context: &Context, project: ProjectId, id: IncidentId) -> Result<(), CommandError> {
    let found = context.store.incident(project, id).await?;
    let record = found.ok_or_else(|| CommandError::not_found("incident", id))?;
    print_json(&Shown::from(&record))
}
