//! `secret`: signing secrets.

use clap::Subcommand;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::project::{Overlap, OverlapError};
use serde::Serialize;

use super::project::{in_office, scope_of};
use super::{CommandError, Context, print_json};
use crate::config::value::duration;
use crate::projects::ProjectError;

/// What can be done with signing secrets.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Make a new signing secret, which is shown this once; callbacks are signed with both for a while
    Rotate {
        /// Whose secret
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// How long the secret before it still signs, 0s to 30d; 0s ends every other one at once
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = overlap)]
        overlap: Overlap,
    },
}

#[derive(Serialize)]
struct Rotated<'a> {
    project_id: String,
    signing_secret: &'a str,
    previous_expires_at: String,
}

pub(super) fn overlap(text: &str) -> Result<Overlap, String> {
    let overlap = duration(text).ok().map(Overlap::new);
    overlap
        .unwrap_or(Err(OverlapError))
        .map_err(|error| error.to_string())
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: SecretCommand) -> Result<(), CommandError> {
    let SecretCommand::Rotate { project, overlap } = command;
    let vault = context.vault().await?;
    let scope = scope_of(context, project).await?;
    let rotated = in_office(context, scope, async |office| {
        office.rotate_secret(vault, project, overlap).await
    });
    let rotated = rotated.await.map_err(|error| match error {
        ProjectError::NoProject => CommandError::not_found("project", project),
        ProjectError::TwoLive => CommandError::refused(format_args!("{error} with --overlap 0s")),
        error => CommandError::refused(error),
    })?;
    print_json(&Rotated {
        project_id: project.to_string(),
        signing_secret: rotated.signing_secret.expose(),
        previous_expires_at: rotated.previous_expires_at.to_string(),
    })
}
