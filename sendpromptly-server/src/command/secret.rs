//! `secret`: signing secrets.

use std::time::Duration;

use clap::Subcommand;
use sendpromptly_core::id::ProjectId;
use serde::Serialize;

use super::{CommandError, Context, print_json};
use crate::config::value::{NotAllowed, duration};
use crate::platform::clock;
use crate::store::signing_secrets::Rotation;

/// The longest overlap: what rotates for longer does not rotate.
const MAX_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3_600);

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
        overlap: Duration,
    },
}

#[derive(Serialize)]
struct Rotated<'a> {
    project_id: String,
    signing_secret: &'a str,
    previous_expires_at: String,
}

fn overlap(text: &str) -> Result<Duration, String> {
    let overlap = duration(text).and_then(|overlap| {
        if overlap <= MAX_OVERLAP {
            Ok(overlap)
        } else {
            Err(NotAllowed)
        }
    });
    overlap.map_err(|_| "must be a duration from 0s to 30d, such as 24h".to_owned())
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: SecretCommand) -> Result<(), CommandError> {
    let SecretCommand::Rotate { project, overlap } = command;
    if context.store.project(project).await?.is_none() {
        return Err(CommandError::not_found("project", project));
    }
    let now = clock::now();
    let (secret, sealed) = context.vault().await?.new_secret(project, now).await?;
    let rotation = context
        .store
        .rotate_secret(&sealed, now.plus(overlap), &context.origin())
        .await?;
    match rotation {
        Rotation::Done { previous_expires_at } => print_json(&Rotated {
            project_id: project.to_string(),
            signing_secret: secret.expose(),
            previous_expires_at: previous_expires_at.to_string(),
        }),
        Rotation::TwoLive => Err(CommandError::refused(
            "two signing secrets are live already; wait until the older one ends, or end all others at once with --overlap 0s",
        )),
        Rotation::NoProject => Err(CommandError::not_found("project", project)),
    }
}
