//! `demo`: the main job in one command. A real server, a sample customer and Stripe-shaped events show how a
//! payment without its effect is found, repaired once, and proven.

use clap::Args;
use tempfile::TempDir;

use self::stage::{OWNER, Stage};
use super::serve::Signals;
use super::{CommandError, on_all_cores, print_line};
use crate::config::Config;
use crate::config::sources::Given;
use crate::logging;

mod settings;
mod shop;
mod stage;
mod story;
pub mod stripe_event;
mod telling;
#[cfg(test)]
mod tests;
mod wire;

/// How the demo is run.
#[derive(Debug, Args)]
pub struct DemoCommand {
    /// End after the run; the exit code is 0 only if the incident was resolved
    #[arg(long)]
    once: bool,
}

/// Runs it, with these options of the configuration.
///
/// # Errors
/// [`CommandError::Refused`] where something did not happen as it should, [`CommandError::Usage`] where an option
/// was given that the demo does not take.
pub fn run(command: &DemoCommand, given: &Given) -> Result<(), CommandError> {
    let directory = tempfile::Builder::new().prefix("sendpromptly-demo-").tempdir()?;
    let config = settings::read(given, directory.path())?;
    logging::start(&config.log, config.log.level);
    on_all_cores(perform(command, config, directory))
}

async fn perform(command: &DemoCommand, config: Config, directory: TempDir) -> Result<(), CommandError> {
    print_line("SendPromptly: a customer has paid and got nothing. Watch it be found and repaired.")?;
    let stage = Stage::set(config, directory, Clone::clone).await?;
    let played = play(&stage, command).await;
    let cleared = stage.clear().await;
    played.and(cleared)
}

async fn play(stage: &Stage, command: &DemoCommand) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    introduce(stage)?;
    tokio::select! {
        told = story::tell(stage) => told?,
        name = signals.next() => return Err(CommandError::refused(format_args!("{name}: the demo was stopped"))),
    }
    print_line("\nPaid, lost, found, repaired once, proven.")?;
    if !command.once {
        invite(stage)?;
        signals.next().await;
    }
    Ok(())
}

fn introduce(stage: &Stage) -> Result<(), CommandError> {
    let (server, shop) = (stage.server.address, stage.shop_address);
    print_line(&format!(
        "\n   server  http://{server}  the real one, on a new store"
    ))?;
    print_line(&format!(
        "   shop    http://{shop}  a sample app that embeds sendpromptly-verify"
    ))
}

/// Tells what can be tried while the server stays up.
fn invite(stage: &Stage) -> Result<(), CommandError> {
    let api = format!("http://{}/api/v1", stage.server.address);
    let key = stage.api_key.expose();
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "sendpromptly".to_owned());
    let (project, directory) = (stage.project.id, stage.directory().display());
    let curl = |path: &str, body: &str| {
        format!(
            "  curl {api}/{path} -H 'Authorization: Bearer {key}' \\\n    -H 'Idempotency-Key: {path}-1' \
             -H 'Content-Type: application/json' \\\n    -d '{body}'"
        )
    };
    let receipt = r#"{"provider":"stripe","provider_event_id":"evt_mine","event_type":"invoice.paid",
        "effect_type":"credit_grant","internal_reference":"account_42","occurred_at":"2026-01-31T09:30:00Z"}"#;
    let result = r#"{"provider_event_id":"evt_mine","status":"failed"}"#;
    for line in [
        format!(
            "\nThe server stays up until Ctrl-C. Its console is at http://{}\n\n  e-mail    {OWNER}\n  password  {}",
            stage.server.address,
            stage.owner_password.as_str()
        ),
        "\nPay once more, and say that it failed:\n".to_owned(),
        curl("receipt", receipt),
        curl("result", result),
        "\nFind it and have it repaired, in the console or in another terminal:\n".to_owned(),
        format!("  export SENDPROMPTLY_DATA_DIR={directory}"),
        format!("  {program} incident list --project {project}"),
        format!("  {program} incident reprocess inc_…"),
        format!(
            "\nThe API's description: http://{}/api/openapi.json",
            stage.server.address
        ),
    ] {
        print_line(&line)?;
    }
    Ok(())
}
