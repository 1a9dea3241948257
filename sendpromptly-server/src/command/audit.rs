//! `audit`: the audit log, out of the store and against its proof.

use std::path::PathBuf;

use clap::Subcommand;
use sendpromptly_core::id::OrganizationId;

use super::{CommandError, Context};

mod export;
mod verify;

pub(super) use verify::prove;

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Print an organization's entries, and a signed checkpoint of their end, one JSON object a line
    Export {
        /// Whose entries
        #[arg(long, value_name = "ID")]
        org: OrganizationId,
    },
    /// Walk the chains of entries and hold them against signed checkpoints; exit code 1 where one is broken
    Verify {
        /// Whose chain alone
        #[arg(long, value_name = "ID")]
        org: Option<OrganizationId>,
        /// A file of checkpoints, or an export; may stand several times [default: --checkpoint-file]
        #[arg(long, value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
        /// The public key that was kept apart, in 64 hex digits [default: the audit key's own]
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
    },
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: AuditCommand) -> Result<(), CommandError> {
    match command {
        AuditCommand::Export { org } => export::run(context, org).await,
        AuditCommand::Verify {
            org,
            checkpoints,
            public_key,
        } => verify::run(context, org, &checkpoints, public_key.as_deref()).await,
    }
}
