//! `alert`: whom a project's alerts go to.

use clap::Subcommand;
use sendpromptly_core::alert::Channel;
use sendpromptly_core::id::{AlertId, ProjectId};
use sendpromptly_core::project::Timeout;
use serde::Serialize;

use super::project::{in_office, scope_of};
use super::serve::alert_sender;
use super::{CommandError, Context, print_json, stdin};
use crate::alerts::{AlertError, CheckedTarget};
use crate::store::alerts::AlertMinutes;
use crate::store::scope::OrganizationScope;

/// What can be done with destinations of alerts.
#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// Add a destination, whose address or URL is read from standard input
    Add {
        /// The project whose alerts go there
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// How they go: email, slack or webhook
        #[arg(long)]
        channel: Channel,
        /// Tell it of incidents that stay open, and of nothing else
        #[arg(long)]
        escalation: bool,
    },
    /// List the destinations of a project, and how the last message to each ended
    List {
        /// The project
        #[arg(long, value_name = "ID")]
        project: ProjectId,
    },
    /// Remove a destination
    Remove {
        /// The destination's id, as `alert list` shows it
        id: AlertId,
    },
    /// Send a test alert to a destination; exit code 1 where it is not taken
    Test {
        /// The destination's id, as `alert list` shows it
        id: AlertId,
    },
    /// Say after how many minutes a project alerts of what does not happen
    Set {
        /// The project
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// Of an incident that stays open; `off` for never
        #[arg(long, value_name = "MINUTES")]
        escalate_minutes: Option<String>,
        /// Of receipts that do not come; `off` for never
        #[arg(long, value_name = "MINUTES")]
        silence_minutes: Option<String>,
    },
}

#[derive(Serialize)]
struct Added<'a> {
    alert_id: String,
    channel: &'static str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<&'a str>,
}

#[derive(Serialize)]
struct Listed<'a> {
    alert_id: String,
    channel: &'static str,
    to: &'a str,
    escalation: bool,
    waits: bool,
    sent_at: Option<String>,
    failed_at: Option<String>,
    failure: Option<&'a str>,
    given_up: u32,
    created_at: String,
}

#[derive(Serialize)]
struct Removed {
    alert_id: String,
}

#[derive(Serialize)]
struct Tested {
    alert_id: String,
    sent: bool,
}

#[derive(Serialize)]
struct Minutes {
    project_id: String,
    escalate_minutes: Option<u32>,
    silence_minutes: Option<u32>,
}

impl From<AlertError> for CommandError {
    fn from(error: AlertError) -> Self {
        Self::refused(error)
    }
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: AlertCommand) -> Result<(), CommandError> {
    match command {
        AlertCommand::Add {
            project,
            channel,
            escalation,
        } => add(context, project, channel, escalation).await,
        AlertCommand::List { project } => list(context, project).await,
        AlertCommand::Remove { id } => remove(context, id).await,
        AlertCommand::Test { id } => test(context, id).await,
        AlertCommand::Set {
            project,
            escalate_minutes,
            silence_minutes,
        } => set(context, project, escalate_minutes, silence_minutes).await,
    }
}

async fn add(
    context: &Context,
    project: ProjectId,
    channel: Channel,
    escalation: bool,
) -> Result<(), CommandError> {
    let scope = scope_of(context, project).await?;
    let to = read_address()?;
    let policy = &context.config.callbacks.policy;
    let checked = CheckedTarget::check(channel, &to, policy).await;
    let checked = checked.map_err(|refused| {
        if refused.is_ill_formed {
            CommandError::Usage(refused.to_string())
        } else {
            CommandError::refused(refused)
        }
    })?;
    if let Some(warning) = &checked.warning {
        eprintln!("warning: {warning}");
    }
    let vault = context.vault().await?;
    let added = in_office(context, scope, async |office| {
        office.add_alert(vault, project, checked, escalation).await
    });
    let added = added.await?;
    print_json(&Added {
        alert_id: added.id.to_string(),
        channel: added.channel.as_str(),
        to: &added.shown,
        signing_secret: added.secret.as_ref().map(|secret| secret.expose()),
    })
}

async fn list(context: &Context, project: ProjectId) -> Result<(), CommandError> {
    let scope = scope_of(context, project).await?;
    for listed in context.store.alerts(scope, project).await? {
        let failure = listed.failure.as_ref();
        print_json(&Listed {
            alert_id: listed.id.to_string(),
            channel: listed.channel.as_str(),
            to: &listed.shown,
            escalation: listed.escalation,
            waits: listed.waits,
            sent_at: listed.sent_at.map(|at| at.to_string()),
            failed_at: failure.map(|(at, _)| at.to_string()),
            failure: failure.map(|(_, words)| words.as_str()),
            given_up: listed.given_up,
            created_at: listed.created_at.to_string(),
        })?;
    }
    Ok(())
}

async fn remove(context: &Context, id: AlertId) -> Result<(), CommandError> {
    let (scope, project) = find(context, id).await?;
    in_office(context, scope, async |office| {
        office.remove_alert(project, id).await
    })
    .await?;
    print_json(&Removed {
        alert_id: id.to_string(),
    })
}

async fn test(context: &Context, id: AlertId) -> Result<(), CommandError> {
    let (scope, project) = find(context, id).await?;
    let config = &context.config;
    let sender = alert_sender(config, &config.http.base_url(config.http.listen))?;
    let vault = context.vault().await?;
    let sent = in_office(context, scope, async |office| {
        office.try_alert(vault, &sender, project, id).await
    });
    match sent.await? {
        Ok(()) => print_json(&Tested {
            alert_id: id.to_string(),
            sent: true,
        }),
        Err(failure) => Err(CommandError::refused(format_args!(
            "the test alert was not taken: {}",
            failure.words()
        ))),
    }
}

async fn set(
    context: &Context,
    project: ProjectId,
    escalate: Option<String>,
    silence: Option<String>,
) -> Result<(), CommandError> {
    if escalate.is_none() && silence.is_none() {
        let words = "nothing to change: give --escalate-minutes or --silence-minutes";
        return Err(CommandError::Usage(words.to_owned()));
    }
    let scope = scope_of(context, project).await?;
    let before = context.store.alert_minutes(scope, project).await?;
    let before = before.ok_or_else(|| CommandError::not_found("project", project))?;
    let after = AlertMinutes {
        escalate: minutes("--escalate-minutes", escalate, before.escalate)?,
        silence: minutes("--silence-minutes", silence, before.silence)?,
    };
    in_office(context, scope, async |office| {
        office.set_alert_minutes(project, after).await
    })
    .await?;
    print_json(&Minutes {
        project_id: project.to_string(),
        escalate_minutes: after.escalate,
        silence_minutes: after.silence,
    })
}

fn minutes(option: &str, given: Option<String>, before: Option<u32>) -> Result<Option<u32>, CommandError> {
    match given.as_deref() {
        None => Ok(before),
        Some("off") => Ok(None),
        Some(text) => match text.parse::<Timeout>() {
            Ok(minutes) => Ok(Some(minutes.minutes())),
            Err(error) => Err(CommandError::Usage(format!("{option} {error}, or off"))),
        },
    }
}

async fn find(context: &Context, id: AlertId) -> Result<(OrganizationScope, ProjectId), CommandError> {
    let found = context.store.project_of_alert(id).await?;
    found.ok_or_else(|| CommandError::not_found("destination of alerts", id))
}

/// An address without white space around it. A URL may be a secret, so it is no argument.
fn read_address() -> Result<String, CommandError> {
    match stdin::text("the e-mail address or the URL")?.trim() {
        "" => Err(CommandError::Usage(
            "give the e-mail address or the URL on standard input".to_owned(),
        )),
        address => Ok(address.to_owned()),
    }
}
