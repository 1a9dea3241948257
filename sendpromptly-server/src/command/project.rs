//! `project`: projects and their settings.

use clap::Subcommand;
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::{OrganizationId, ProjectId};
use sendpromptly_core::project::{EventsKept, Name, Timeout, UnaskedOrders};
use serde::Serialize;

use super::{CommandError, Context, print_json};
use crate::callback::TargetError;
use crate::platform::clock;
use crate::projects::{CheckedUrl, Created, NewProject, Office, ProjectError};
use crate::store::projects::{ProjectChange, SnapshotChange, UrlChange};
use crate::store::scope::OrganizationScope;

/// Projects read at once to list them.
const PAGE: u32 = 100;

/// What can be done with projects.
#[derive(Debug, Subcommand)]
pub enum ProjectCommand {
    /// Make a project with its first API key and signing secret, which are shown this once
    Create {
        /// Its organization's id
        #[arg(long, value_name = "ID")]
        org: OrganizationId,
        /// Its name
        #[arg(long)]
        name: String,
        /// Where its signed callbacks go
        #[arg(long, value_name = "URL")]
        repair_url: Option<String>,
        /// Whether it watches real money: test or live
        #[arg(long, default_value_t = Mode::Test)]
        mode: Mode,
        /// How many minutes an event waits for its result, 1 to 43200
        #[arg(long, value_name = "N", default_value_t)]
        timeout_minutes: Timeout,
    },
    /// List the projects of an organization, the oldest first
    List {
        /// The organization's id
        #[arg(long, value_name = "ID")]
        org: OrganizationId,
    },
    /// Change a project's settings, one or more of them
    Set {
        /// Its id
        id: ProjectId,
        /// A new name
        #[arg(long)]
        name: Option<String>,
        /// Where its signed callbacks go from now on
        #[arg(long, value_name = "URL")]
        repair_url: Option<String>,
        /// How many minutes an event waits for its result, 1 to 43200
        #[arg(long, value_name = "N")]
        timeout_minutes: Option<Timeout>,
        /// How often at most a time-out is reprocessed without being asked, 0 to 3
        #[arg(long, value_name = "N")]
        reprocess_timeouts: Option<UnaskedOrders>,
        /// Whether the first bytes of its endpoint's answers are kept, sealed, for 30 days: true or false
        #[arg(long, value_name = "BOOLEAN", action = clap::ArgAction::Set)]
        keep_answers: Option<bool>,
        /// Whether the payloads of its receipts are kept, sealed, for 30 days: true or false
        #[arg(long, value_name = "BOOLEAN", action = clap::ArgAction::Set)]
        snapshots: Option<bool>,
        /// With --snapshots false: delete the payloads that are kept
        #[arg(long)]
        delete_snapshots: bool,
        /// Whether a callback bears the payload that is kept of its event: true or false
        #[arg(long, value_name = "BOOLEAN", action = clap::ArgAction::Set)]
        send_payload: Option<bool>,
        /// For how many days its events are kept, with their results and incidents, 30 to 3660
        #[arg(long, value_name = "N")]
        events_kept_days: Option<EventsKept>,
    },
}

#[derive(Serialize)]
struct ShownOnce<'a> {
    project_id: String,
    api_key: &'a str,
    signing_secret: &'a str,
}

#[derive(Serialize)]
struct Shown<'a> {
    project_id: String,
    organization_id: String,
    name: &'a str,
    mode: &'a str,
    repair_url: Option<&'a str>,
    timeout_minutes: u32,
    reprocess_timeouts: u32,
    keep_answers: bool,
    snapshots: bool,
    send_payload: bool,
    events_kept_days: u32,
    created_at: String,
}

#[derive(Serialize)]
struct Listed<'a> {
    project_id: String,
    name: &'a str,
    mode: &'a str,
    repair_origin: Option<String>,
    open_incidents: u32,
    last_receipt_at: Option<String>,
    created_at: String,
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: ProjectCommand) -> Result<(), CommandError> {
    match command {
        ProjectCommand::Create {
            org,
            name,
            repair_url,
            mode,
            timeout_minutes,
        } => {
            let new = NewProject {
                name: self::name(&name)?,
                mode,
                repair_url: checked_url(context, repair_url.as_deref()).await?,
                timeout: timeout_minutes,
            };
            let created = create(context, org, new).await?;
            print_json(&ShownOnce {
                project_id: created.project.id.to_string(),
                api_key: created.api_key.expose(),
                signing_secret: created.signing_secret.expose(),
            })
        }
        ProjectCommand::List { org } => list(context, org).await,
        ProjectCommand::Set {
            id,
            name,
            repair_url,
            timeout_minutes,
            reprocess_timeouts,
            keep_answers,
            snapshots,
            delete_snapshots,
            send_payload,
            events_kept_days,
        } => {
            let asks = [
                name.is_some(),
                repair_url.is_some(),
                timeout_minutes.is_some(),
                reprocess_timeouts.is_some(),
                keep_answers.is_some(),
                snapshots.is_some() || delete_snapshots,
                send_payload.is_some(),
                events_kept_days.is_some(),
            ];
            if !asks.contains(&true) {
                return Err(CommandError::Usage(
                    "nothing to change: give --name, --repair-url, --timeout-minutes, --reprocess-timeouts, \
                     --events-kept-days, --keep-answers, --snapshots or --send-payload"
                        .to_owned(),
                ));
            }
            let url = checked_url(context, repair_url.as_deref()).await?;
            let change = ProjectChange {
                name: name
                    .as_deref()
                    .map(self::name)
                    .transpose()?
                    .map(Name::into_string),
                repair_url: url.map_or(UrlChange::Keep, UrlChange::from),
                timeout_minutes: timeout_minutes.map(Timeout::minutes),
                reprocess_timeouts: reprocess_timeouts.map(UnaskedOrders::number),
                keep_answers,
                snapshots: snapshot_change(snapshots, delete_snapshots)?,
                send_payload,
                events_kept_days: events_kept_days.map(EventsKept::days),
            };
            set(context, id, &change).await
        }
    }
}

/// What becomes of the payloads of its receipts.
fn snapshot_change(keep: Option<bool>, delete: bool) -> Result<SnapshotChange, CommandError> {
    match (keep, delete) {
        (None, false) => Ok(SnapshotChange::Leave),
        (Some(true), false) => Ok(SnapshotChange::On),
        (Some(false), false) => Ok(SnapshotChange::Off),
        (Some(false), true) => Ok(SnapshotChange::OffAndDelete),
        (None | Some(true), true) => Err(CommandError::Usage(
            "--delete-snapshots deletes what is kept once no more is kept: give --snapshots false with it"
                .to_owned(),
        )),
    }
}

/// Makes a project with its first API key and signing secret.
pub(super) async fn create(
    context: &Context,
    organization: OrganizationId,
    new: NewProject,
) -> Result<Created, CommandError> {
    let vault = context.vault().await?;
    let scope = OrganizationScope::of_the_command_line(organization);
    let created = in_office(context, scope, async |office| office.create(vault, new).await).await;
    created.map_err(|error| match error {
        ProjectError::NoOrganization => CommandError::not_found("organization", organization),
        error => CommandError::refused(error),
    })
}

async fn set(context: &Context, id: ProjectId, change: &ProjectChange) -> Result<(), CommandError> {
    let project = at_project(context, id, async |office| office.change(id, change).await).await?;
    print_json(&Shown {
        project_id: project.id.to_string(),
        organization_id: project.organization.to_string(),
        name: &project.name,
        mode: project.mode.as_str(),
        repair_url: project.repair_url.as_deref(),
        timeout_minutes: project.timeout_minutes,
        reprocess_timeouts: project.reprocess_timeouts,
        keep_answers: project.keep_answers,
        snapshots: project.keep_snapshots,
        send_payload: project.send_payload,
        events_kept_days: project.events_kept_days,
        created_at: project.created_at.to_string(),
    })
}

async fn list(context: &Context, organization: OrganizationId) -> Result<(), CommandError> {
    if !context.store.has_organization(organization).await? {
        return Err(CommandError::not_found("organization", organization));
    }
    let scope = OrganizationScope::of_the_command_line(organization);
    let mut last = None;
    loop {
        let page = context.store.listed_projects(scope, last, PAGE).await?;
        let Some(end) = page.last() else { return Ok(()) };
        last = Some(end.project.id);
        for listed in &page {
            let project = &listed.project;
            print_json(&Listed {
                project_id: project.id.to_string(),
                name: &project.name,
                mode: project.mode.as_str(),
                repair_origin: project.repair_origin(),
                open_incidents: listed.open_incidents,
                last_receipt_at: listed.last_receipt_at.map(|time| time.to_string()),
                created_at: project.created_at.to_string(),
            })?;
        }
    }
}

/// Works on the projects of an organization.
pub(super) async fn in_office<T, E>(
    context: &Context,
    scope: OrganizationScope,
    work: impl AsyncFnOnce(&Office<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let origin = context.origin();
    let office = Office {
        store: &context.store,
        scope,
        origin: &origin,
        now: clock::now(),
    };
    work(&office).await
}

/// Works on a project, whosever it is.
pub(super) async fn at_project<T>(
    context: &Context,
    project: ProjectId,
    work: impl AsyncFnOnce(&Office<'_>) -> Result<T, ProjectError>,
) -> Result<T, CommandError> {
    let scope = scope_of(context, project).await?;
    let done = in_office(context, scope, work).await;
    done.map_err(|error| match error {
        ProjectError::NoProject => CommandError::not_found("project", project),
        error => CommandError::refused(error),
    })
}

/// The organization of a project.
pub(super) async fn scope_of(
    context: &Context,
    project: ProjectId,
) -> Result<OrganizationScope, CommandError> {
    let scope = context.store.scope_of_project(project).await?;
    scope.ok_or_else(|| CommandError::not_found("project", project))
}

/// A name as it is stored: without white space around it.
pub(super) fn name(text: &str) -> Result<Name, CommandError> {
    text.parse()
        .map_err(|error| CommandError::Usage(format!("--name {error}")))
}

/// An ill-formed URL is wrong usage, a forbidden one is refused by a rule.
fn refusal(error: TargetError) -> CommandError {
    if error.is_ill_formed() {
        CommandError::Usage(format!("--repair-url: {error}"))
    } else {
        CommandError::refused(error)
    }
}

/// Refuses a repair URL that could never be called, and warns of one that cannot be called now.
async fn checked_url(context: &Context, text: Option<&str>) -> Result<Option<CheckedUrl>, CommandError> {
    let Some(text) = text else { return Ok(None) };
    let policy = &context.config.callbacks.policy;
    let checked = CheckedUrl::check(text, policy).await.map_err(refusal)?;
    if let Some(warning) = &checked.warning {
        eprintln!("warning: {warning}");
    }
    Ok(Some(checked))
}
