//! `project`: projects and their settings.

use clap::Subcommand;
use sendpromptly_core::credential::{ApiKey, SigningSecret};
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::{KeyId, OrganizationId, ProjectId};
use serde::Serialize;

use super::{CommandError, Context, print_json};
use crate::callback::{RepairUrl, SystemResolver, TargetError};
use crate::platform::{clock, entropy};
use crate::store::api_keys::NewKey;
use crate::store::projects::{Project, ProjectChange};

/// The most characters of a name.
const MAX_NAME: usize = 128;

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
        /// How long an event waits for its result, 1 to 43200
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=43_200))]
        timeout_minutes: u32,
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
        /// How long an event waits for its result, 1 to 43200
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=43_200))]
        timeout_minutes: Option<u32>,
    },
}

#[derive(Serialize)]
struct Created<'a> {
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
            let now = clock::now();
            let project = Project {
                id: ProjectId::new(now, entropy::for_id()),
                organization: org,
                name: self::name(&name)?,
                mode,
                repair_url: checked_url(context, repair_url.as_deref())
                    .await?
                    .map(|url| url.as_str().to_owned()),
                timeout_minutes,
                keep_answers: true,
                created_at: now,
            };
            let (key, secret) = create(context, &project).await?;
            print_json(&Created {
                project_id: project.id.to_string(),
                api_key: key.expose(),
                signing_secret: secret.expose(),
            })
        }
        ProjectCommand::Set {
            id,
            name,
            repair_url,
            timeout_minutes,
        } => {
            if name.is_none() && repair_url.is_none() && timeout_minutes.is_none() {
                return Err(CommandError::Usage(
                    "nothing to change: give --name, --repair-url or --timeout-minutes".to_owned(),
                ));
            }
            let url = checked_url(context, repair_url.as_deref()).await?;
            let change = ProjectChange {
                name: name.as_deref().map(self::name).transpose()?,
                repair_url: url.map(|url| (url.as_str().to_owned(), url.origin())),
                timeout_minutes,
            };
            set(context, id, &change).await
        }
    }
}

/// Makes a project with its first API key and signing secret.
pub(super) async fn create(
    context: &Context,
    project: &Project,
) -> Result<(ApiKey, SigningSecret), CommandError> {
    if !context.store.has_organization(project.organization).await? {
        return Err(CommandError::not_found("organization", project.organization));
    }
    let key = ApiKey::generate(entropy::bytes());
    let new_key = new_key(&key, project.id);
    let (secret, sealed) = context
        .vault()
        .await?
        .new_secret(project.id, project.created_at)
        .await?;
    context
        .store
        .create_project(project, &new_key, &sealed, &context.origin())
        .await?;
    Ok((key, secret))
}

async fn set(context: &Context, id: ProjectId, change: &ProjectChange) -> Result<(), CommandError> {
    let changed = context
        .store
        .change_project(id, change, &context.origin(), clock::now())
        .await?;
    let project = changed.ok_or_else(|| CommandError::not_found("project", id))?;
    print_json(&Shown {
        project_id: project.id.to_string(),
        organization_id: project.organization.to_string(),
        name: &project.name,
        mode: project.mode.as_str(),
        repair_url: project.repair_url.as_deref(),
        timeout_minutes: project.timeout_minutes,
        created_at: project.created_at.to_string(),
    })
}

/// What is stored of a key that was just made.
pub(super) fn new_key(key: &ApiKey, project: ProjectId) -> NewKey {
    let now = clock::now();
    NewKey {
        id: KeyId::new(now, entropy::for_id()),
        project,
        hash: key.hash(),
        hint: key.hint().to_owned(),
        created_at: now,
    }
}

/// A name as it is stored: without white space around it.
pub(super) fn name(text: &str) -> Result<String, CommandError> {
    let name = text.trim();
    let fits = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        let allowed = format!("--name must be 1 to {MAX_NAME} characters, none of them a control character");
        Err(CommandError::Usage(allowed))
    }
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
async fn checked_url(context: &Context, text: Option<&str>) -> Result<Option<RepairUrl>, CommandError> {
    let Some(text) = text else { return Ok(None) };
    let policy = &context.config.callbacks.policy;
    let url = RepairUrl::parse(text, policy).map_err(refusal)?;
    let check = url.check_before_saving(policy, &SystemResolver).await;
    if let Some(warning) = check.map_err(refusal)?.warning() {
        eprintln!("warning: {warning}");
    }
    Ok(Some(url))
}
