//! `intake`: events that providers send to us themselves.

use clap::Subcommand;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::intake::Mapping;
use sendpromptly_core::project::Overlap;
use serde::Serialize;

use super::project::{at_project, in_office, scope_of};
use super::secret::overlap;
use super::{CommandError, Context, print_json, stdin};
use crate::platform::clock;
use crate::projects::ProjectError;
use crate::provider_intake::IntakeSecret;

/// What can be done with a project's endpoints for providers.
#[derive(Debug, Subcommand)]
pub enum IntakeCommand {
    /// Take a provider's events, by the secret with which it signs them, which is read from standard input
    Secret {
        /// For which project
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// Whose events: stripe or shopify
        #[arg(long)]
        provider: Provider,
        /// How long the secret before it still counts, 0s to 30d; 0s ends every other one at once
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = overlap)]
        overlap: Overlap,
    },
    /// Say which of a provider's events count and what they mean, in lines of standard input
    Map {
        /// For which project
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// Whose events: stripe or shopify
        #[arg(long)]
        provider: Provider,
        /// Read nothing, and go back to what counts unless a project says otherwise
        #[arg(long)]
        default: bool,
    },
    /// Show what is set up: for each provider its path, secrets by their times, and what its events mean
    Show {
        /// Of which project
        #[arg(long, value_name = "ID")]
        project: ProjectId,
    },
    /// Take no more of a provider's events
    Stop {
        /// For which project
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// Whose events: stripe or shopify
        #[arg(long)]
        provider: Provider,
    },
}

#[derive(Serialize)]
struct SecretSet {
    project_id: String,
    provider: &'static str,
    path: String,
    previous_expires_at: String,
}

#[derive(Serialize)]
struct Shown {
    project_id: String,
    provider: &'static str,
    path: String,
    secrets: Vec<ShownSecret>,
    mapping: Vec<ShownRule>,
}

#[derive(Serialize)]
struct ShownSecret {
    created_at: String,
    expires_at: Option<String>,
}

#[derive(Serialize)]
struct ShownRule {
    event_type: String,
    effect_type: &'static str,
    reference: Option<String>,
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: IntakeCommand) -> Result<(), CommandError> {
    match command {
        IntakeCommand::Secret {
            project,
            provider,
            overlap,
        } => set_secret(context, project, provider, overlap).await,
        IntakeCommand::Map {
            project,
            provider,
            default,
        } => {
            let mapping = if default { None } else { Some(read_mapping()?) };
            let mapped = async |office: &crate::projects::Office<'_>| {
                office.map_provider(project, provider, mapping.as_ref()).await
            };
            at_project(context, project, mapped).await?;
            show(context, project, provider).await
        }
        IntakeCommand::Show { project } => {
            for provider in Provider::ALL {
                show(context, project, *provider).await?;
            }
            Ok(())
        }
        IntakeCommand::Stop { project, provider } => {
            at_project(context, project, async |office| {
                office.stop_provider(project, provider).await
            })
            .await?;
            show(context, project, provider).await
        }
    }
}

async fn set_secret(
    context: &Context,
    project: ProjectId,
    provider: Provider,
    overlap: Overlap,
) -> Result<(), CommandError> {
    let secret = stdin::secret("the provider's secret", "secret of the endpoint at the provider")?;
    let secret = IntakeSecret::parse(provider, &secret).map_err(CommandError::refused)?;
    let vault = context.vault().await?;
    let scope = scope_of(context, project).await?;
    let set = in_office(context, scope, async |office| {
        office
            .set_provider_secret(vault, project, provider, &secret, overlap)
            .await
    });
    let previous_expires_at = set.await.map_err(|error| match error {
        ProjectError::NoProject => CommandError::not_found("project", project),
        ProjectError::TwoLive => CommandError::refused(
            "two secrets of this provider are live already; wait until the older one ends, or end all others at once \
             with --overlap 0s",
        ),
        error => CommandError::refused(error),
    })?;
    print_json(&SecretSet {
        project_id: project.to_string(),
        provider: provider.as_str(),
        path: crate::api::providers::path(project, provider),
        previous_expires_at: previous_expires_at.to_string(),
    })
}

fn read_mapping() -> Result<Mapping, CommandError> {
    let text = stdin::text("the mapping")?;
    text.parse()
        .map_err(|error| CommandError::Usage(format!("the mapping, read from standard input: {error}")))
}

async fn show(context: &Context, project: ProjectId, provider: Provider) -> Result<(), CommandError> {
    let scope = scope_of(context, project).await?;
    let listed = context
        .store
        .listed_intake(scope, project, provider, clock::now())
        .await?;
    let listed = listed.ok_or_else(|| CommandError::not_found("project", project))?;
    let secrets = listed.secrets.iter().map(|secret| ShownSecret {
        created_at: secret.created_at.to_string(),
        expires_at: secret.expires_at.map(|end| end.to_string()),
    });
    let rules = listed.mapping.rules().iter().map(|rule| ShownRule {
        event_type: rule.event_type.clone(),
        effect_type: rule.effect_type.as_str(),
        reference: rule.reference.as_ref().map(ToString::to_string),
    });
    print_json(&Shown {
        project_id: project.to_string(),
        provider: provider.as_str(),
        path: crate::api::providers::path(project, provider),
        secrets: secrets.collect(),
        mapping: rules.collect(),
    })
}
