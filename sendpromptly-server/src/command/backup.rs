//! `backup`: the store as a file, while servers run on it.

use std::path::PathBuf;

use clap::Args;

use super::{CommandError, Context, print_json};
use crate::backup::{Programs, take};
use crate::platform::clock;
use crate::store::DatabaseUrl;

/// Where to.
#[derive(Debug, Args)]
pub struct BackupCommand {
    /// The file to make; beside it FILE.keys is made, which holds the keys of what is forgotten by the day
    file: PathBuf,
    /// Read the backup again when it is written, before it takes its name
    #[arg(long)]
    verify: bool,
}

/// Makes a backup and says what it is.
///
/// # Errors
/// [`CommandError`] by its cause; there is no backup then.
pub async fn run(context: &Context, command: &BackupCommand) -> Result<(), CommandError> {
    let storage = &context.config.storage;
    let programs = match &storage.database {
        DatabaseUrl::Sqlite(_) => None,
        DatabaseUrl::Postgres(url) => Some(Programs::new(storage.pg_bin_dir.clone(), url)),
    };
    let (file, verify) = (&command.file, command.verify);
    let taken = take(
        &context.store,
        programs,
        file,
        verify,
        &context.origin(),
        clock::now(),
    )
    .await?;
    print_json(&taken)
}
