//! `key`: API keys.

use clap::Subcommand;
use sendpromptly_core::credential::ApiKey;
use sendpromptly_core::id::{KeyId, ProjectId};
use serde::Serialize;

use super::{CommandError, Context, print_json};
use crate::platform::{clock, entropy};

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
    let key = ApiKey::generate(entropy::bytes());
    let new = super::project::new_key(&key, project);
    if !context.store.create_key(&new, &context.origin()).await? {
        return Err(CommandError::not_found("project", project));
    }
    print_json(&Created {
        key_id: new.id.to_string(),
        api_key: key.expose(),
    })
}

async fn list(context: &Context, project: ProjectId) -> Result<(), CommandError> {
    if context.store.project(project).await?.is_none() {
        return Err(CommandError::not_found("project", project));
    }
    for key in context.store.keys(project).await? {
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
    let revoked = context
        .store
        .revoke_key(id, &context.origin(), clock::now())
        .await?;
    let revoked_at = revoked.ok_or_else(|| CommandError::not_found("API key", id))?;
    print_json(&Revoked {
        key_id: id.to_string(),
        revoked_at: revoked_at.to_string(),
    })
}
