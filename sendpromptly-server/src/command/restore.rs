//! `restore`: a backup into an empty store.

use std::path::PathBuf;

use clap::Args;
use sendpromptly_core::audit::{Action, Draft, INSTANCE};

use super::{CommandError, Context, cli_origin, print_json};
use crate::backup::{self, keys_file};
use crate::checkpoints::Checkpoints;
use crate::checkpoints::declare::{Seen, declare};
use crate::config::Config;
use crate::platform::clock;
use crate::store::restored::set_right;
use crate::store::{StoreRole, audit};

/// Which backup.
#[derive(Debug, Args)]
pub struct RestoreCommand {
    /// The backup; FILE.keys is taken from beside it
    #[arg(required_unless_present = "declare", conflicts_with = "declare")]
    file: Option<PathBuf>,
    /// A further file of checkpoints, such as another node's, which tells what was lost; may stand several times
    #[arg(long, value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// The store was restored by other means: only declare to where its audit log went back
    #[arg(long)]
    declare: bool,
}

/// Restores, or declares, and says what was done.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(config: Config, command: RestoreCommand) -> Result<(), CommandError> {
    let Some(file) = &command.file else {
        return declare_only(config, &command).await;
    };
    let restored = backup::restore(&config, file, &command.checkpoints, &cli_origin(), clock::now()).await?;
    if restored.day_keys_lost > 0 {
        eprintln!(
            "warning: {} is not there, so what was sealed by the day, payloads and answers of endpoints, can never be read \
             again: {} keys are lost; nothing else is",
            keys_file(file).display(),
            restored.day_keys_lost
        );
    }
    if restored.keys_damaged > 0 {
        eprintln!(
            "warning: {} data keys of the backup are damaged, and what they sealed is lost; nothing else is",
            restored.keys_damaged
        );
    }
    print_json(&restored)
}

async fn declare_only(config: Config, command: &RestoreCommand) -> Result<(), CommandError> {
    let context = Context::open(config, StoreRole::Command).await?;
    let checkpoints = Checkpoints::open(&context.config.keys)?;
    if let Some(stranger) = checkpoints.stranger_to_restored(&context.store).await? {
        return Err(CommandError::refused(stranger));
    }
    let now = clock::now();
    let seen = Seen::read(&checkpoints, &command.checkpoints)?;
    let chains = declare(context.store.audit_heads().await?, &checkpoints, &seen, now).await?;
    let entry = Draft::new(&cli_origin(), Action::StoreRestored, INSTANCE, &[]);
    let drafts = audit::drafts_of(INSTANCE, now, vec![entry]);
    context.store.commit_audited(&set_right(now), &drafts).await?;
    context.close().await?;
    for chain in &chains {
        print_json(chain)?;
    }
    Ok(())
}
