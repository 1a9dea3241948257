//! `key`: API keys.

use clap::Subcommand;
use sendpromptly_core::id::{KeyId, ProjectId};
use serde::Serialize;

use super::project::{at_project, in_office, scope_of};
use super::{CommandError, Context, print_json};
use crate::projects::ProjectError;

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key, which is shown this once
    Create {
        /// The project that it opens
        #[arg(long, value_name = "ID")]
        project: ProjectId,
    },
    /// List the keys of a project, revoked ones among them
    List {
        /// The project
        #[arg(long, value_name = "ID")]
        project: ProjectId,
    },
    /// Revoke a key; it is refused everywhere within five seconds
    Revoke {
        /// The key's id, as `key list` shows it
        id: KeyId,
    },
}

#[derive(Serialize)]
struct Created<'a> {
    key_id: String,
    api_key: &'a str,
}

#[derive(Serialize)]
struct Listed<'a> {
    key_id: String,
    hint: &'a str,
    created_at: String,
    revoked_at: Option<String>,
}

#[derive(Serialize)]
struct Revoked {
    key_id: String,
    revoked_at: String,
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: KeyCommand) -> Result<(), CommandError> {
    match command {
        KeyCommand::Create { project } => create(context, project).await,
        KeyCommand::List { project } => list(context, project).await,
        KeyCommand::Revoke { id } => revoke(context, id).await,
    }
}

async fn create(context: &Context, project: ProjectId) -> Result<(), CommandError> {
    let created = at_project(context, project, async |office| office.create_key(project).await);
    let (id, key) = created.await?;
    print_json(&Created {
        key_id: id.to_string(),
        api_key: key.expose(),
    })
}

async fn list(context: &Context, project: ProjectId) -> Result<(), CommandError> {
    let scope = scope_of(context, project).await?;
    for key in context.store.keys(scope, project).await? {
        print_json(&Listed {
            key_id: key.id.to_string(),
            hint: &key.hint,
            created_at: key.created_at.to_string(),
            revoked_at: key.revoked_at.map(|time| time.to_string()),
        })?;
    }
    Ok(())
}

async fn revoke(context: &Context, id: KeyId) -> Result<(), CommandError> {
    let found = context.store.project_of_key(id).await?;
    let (scope, project) = found.ok_or_else(|| CommandError::not_found("API key", id))?;
    let revoked = in_office(context, scope, async |office| {
        office.revoke_key(project, id).await
    })
    .await;
    let revoked_at = revoked.map_err(|error| match error {
        ProjectError::NoKey => CommandError::not_found("API key", id),
        error => CommandError::refused(error),
    })?;
    print_json(&Revoked {
        key_id: id.to_string(),
        revoked_at: revoked_at.to_string(),
    })
}
