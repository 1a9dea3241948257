//! The program's commands. Each module is a noun of the command line; what it prints goes to standard output
//! as JSON, what it says to standard error.

use std::fmt;
use std::future::Future;
use std::process::ExitCode;
use std::time::Duration;

use sendpromptly_core::audit::{Actor, Origin};
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::sync::OnceCell;

use crate::backup::BackupError;
use crate::checkpoints::{CheckpointError, Checkpoints};
use crate::config::{Config, ConfigError};
use crate::store::{Store, StoreError, StoreRole};
use crate::vault::{Vault, VaultError};

pub mod alert;
pub mod audit;
pub mod backup;
pub mod demo;
pub mod doctor;
pub mod event;
pub mod incident;
pub mod intake;
pub mod key;
pub mod master_key;
pub mod migrate;
pub mod openapi;
pub mod org;
pub mod project;
pub mod restore;
pub mod retention;
pub mod secret;
pub mod serve;
mod stdin;
mod stopping;
pub mod user;

/// Connections to PostgreSQL of a command beside the server.
const CONNECTIONS: u32 = 2;

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A rule refused it, something was not found, or it failed: exit code 1.
    #[error("{0}")]
    Refused(String),
    /// It was asked in a wrong way: exit code 2.
    #[error("{0}")]
    Usage(String),
}

impl CommandError {
    /// Refused, in these words.
    pub fn refused(why: impl fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }

    /// There is none with this id.
    pub fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::Refused(format!("there is no {what} {id}"))
    }

    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
        })
    }
}

macro_rules! refused_by {
    ($($error:ty),*) => {$(
        impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::refused(error)
            }
        }
    )*};
}

refused_by!(
    StoreError,
    VaultError,
    CheckpointError,
    BackupError,
    std::io::Error
);

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// What commands work with.
#[derive(Debug)]
pub struct Context {
    /// The configuration.
    pub config: Config,
    /// The store.
    pub store: Store,
    vault: OnceCell<Vault>,
}

impl Context {
    /// Opens the store.
    ///
    /// # Errors
    /// [`CommandError::Refused`] where it cannot be had.
    pub async fn open(config: Config, role: StoreRole) -> Result<Self, CommandError> {
        Self::open_with(config, role, CONNECTIONS).await
    }

    async fn open_with(config: Config, role: StoreRole, connections: u32) -> Result<Self, CommandError> {
        let store = Store::open(&config.storage.database, role, connections).await?;
        let vault = OnceCell::new();
        Ok(Self { config, store, vault })
    }

    /// The vault, which is opened when it is first asked for: who only reads needs no master key.
    ///
    /// # Errors
    /// [`CommandError::Refused`] where the master key is not there or is not this store's.
    pub async fn vault(&self) -> Result<&Vault, CommandError> {
        let open = async || Ok(Vault::open(&self.store, &self.config.keys).await?);
        self.vault.get_or_try_init(open).await
    }

    /// What signs checkpoints of the audit log.
    ///
    /// # Errors
    /// [`CommandError::Refused`] where another key has signed the newest of those that there are: what this one signs would
    /// prove nothing to whoever has that one's public half.
    pub async fn checkpoints(&self) -> Result<Checkpoints, CommandError> {
        let checkpoints = Checkpoints::open(&self.config.keys)?;
        match checkpoints.stranger_to_any(&self.store).await? {
            Some(stranger) => Err(CommandError::refused(stranger)),
            None => Ok(checkpoints),
        }
    }

    /// Who asks, for the audit log: the operating system's user at the command line.
    #[must_use]
    pub fn origin(&self) -> Origin {
        cli_origin()
    }

    /// Closes the store.
    ///
    /// # Errors
    /// [`CommandError::Refused`] where it could not be ended in order.
    pub async fn close(self) -> Result<(), CommandError> {
        Ok(self.store.close().await?)
    }
}

/// The operating system's user at the command line.
fn cli_origin() -> Origin {
    Origin {
        actor: Actor::Cli(crate::platform::user::name()),
        address: None,
    }
}

/// Prints a result to standard output, on one line.
///
/// # Errors
/// [`CommandError::Refused`] where nobody reads it.
pub fn print_json(result: &impl Serialize) -> Result<(), CommandError> {
    let json = serde_json::to_string(result).map_err(CommandError::refused)?;
    print_line(&json)
}

/// Prints a line to standard output.
///
/// # Errors
/// [`CommandError::Refused`] where nobody reads it.
pub fn print_line(line: &str) -> Result<(), CommandError> {
    use std::io::Write;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").map_err(|error| CommandError::refused(format_args!("cannot print: {error}")))
}

/// How long threads that block may take to end after the work has: a name server may keep one waiting.
const BLOCKED: Duration = Duration::from_millis(200);

/// Runs work that may use every core.
///
/// # Errors
/// What the work ends with, or [`CommandError::Refused`] where no thread can be had.
pub fn on_all_cores(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    run_on(Builder::new_multi_thread(), work)
}

/// Runs work for which one thread is enough.
///
/// # Errors
/// As [`on_all_cores`].
pub fn on_one_core(work: impl Future<Output = Result<(), CommandError>>) -> Result<(), CommandError> {
    run_on(Builder::new_current_thread(), work)
}

fn run_on(
    mut builder: Builder,
    work: impl Future<Output = Result<(), CommandError>>,
) -> Result<(), CommandError> {
    let runtime = builder.enable_all().build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(BLOCKED);
    outcome
}
