//! `master-key`: the keys that wrap all others.

use clap::Subcommand;
use sendpromptly_core::master_keys;
use serde::Serialize;

use super::{CommandError, Context, print_json, print_line};
use crate::platform::{clock, entropy};
use crate::vault::VaultError;
use crate::vault::provider::provider;
use crate::vault::rotation::RotationError;

/// What can be done with master keys.
#[derive(Debug, Subcommand)]
pub enum MasterKeyCommand {
    /// List the keys of the ring and of the store, and how many data keys each of them wraps
    List,
    /// Make a new key active and wrap every data key by it, while servers run
    Rotate,
    /// Add the key that the next rotation makes active, so that it can be brought to every node before
    Prepare,
    /// Remove a key that wraps nothing any more
    Remove {
        /// The key's name, as `master-key list` shows it
        kid: String,
    },
    /// Print the line of a new key, for keys that do not lie in a file of this program's
    Generate,
}

#[derive(Serialize)]
struct Listed<'a> {
    kid: &'a str,
    active: bool,
    in_ring: bool,
    data_keys: u64,
}

#[derive(Serialize)]
struct Rotated<'a> {
    kid: &'a str,
    previous: Option<&'a str>,
    rewrapped: u64,
    damaged: u64,
}

#[derive(Serialize)]
struct Named<'a> {
    kid: &'a str,
}

impl From<RotationError> for CommandError {
    fn from(error: RotationError) -> Self {
        Self::refused(error)
    }
}

/// Prints the line of a new key, which needs no store.
///
/// # Errors
/// [`CommandError::Refused`] where nobody reads it.
pub fn generate() -> Result<(), CommandError> {
    print_line(&master_keys::new_line(entropy::bytes()))
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: MasterKeyCommand) -> Result<(), CommandError> {
    match command {
        MasterKeyCommand::List => list(context).await,
        MasterKeyCommand::Rotate => rotate(context).await,
        MasterKeyCommand::Prepare => {
            let kid = context.vault().await?.prepare_rotation().await?;
            print_json(&Named { kid: &kid })
        }
        MasterKeyCommand::Remove { kid } => {
            let vault = context.vault().await?;
            vault
                .remove_master_key(&kid, &context.origin(), clock::now())
                .await?;
            print_json(&Named { kid: &kid })
        }
        MasterKeyCommand::Generate => generate(),
    }
}

/// It opens no vault: what it shows helps where the vault does not open.
async fn list(context: &Context) -> Result<(), CommandError> {
    let ring = provider(&context.config.keys.master);
    ring.load().await.map_err(VaultError::from)?;
    let in_ring = ring.kids();
    let active = context.store.active_kid().await?;
    let wrapped = context.store.data_keys_of_each().await?;
    let beside = wrapped
        .iter()
        .map(|(kid, _)| kid)
        .filter(|kid| !in_ring.contains(*kid));
    for kid in in_ring.iter().chain(beside) {
        let count = wrapped.iter().find(|(known, _)| known == kid);
        print_json(&Listed {
            kid,
            active: active.as_ref() == Some(kid),
            in_ring: in_ring.contains(kid),
            data_keys: count.map_or(0, |(_, count)| *count),
        })?;
    }
    Ok(())
}

async fn rotate(context: &Context) -> Result<(), CommandError> {
    let vault = context.vault().await?;
    let rotated = vault.rotate(&context.origin(), clock::now()).await?;
    if rotated.previous.is_none() {
        eprintln!("an earlier rotation was brought to its end; no new key was made");
    }
    if rotated.damaged > 0 {
        eprintln!(
            "{} data keys are damaged and stay as they are; what they sealed is lost, unless a backup has them",
            rotated.damaged
        );
    }
    print_json(&Rotated {
        kid: &rotated.kid,
        previous: rotated.previous.as_deref(),
        rewrapped: rotated.rewrapped,
        damaged: rotated.damaged,
    })
}
