//! `backup`: the store as a file, while servers run on it.

use std::future::Future;
use std::path::PathBuf;

use clap::Args;

use super::stopping::told_to_end;
use super::{CommandError, Context, print_json};
use crate::backup::{Making, Programs, Wanted, left_beside, take};
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
    let wanted = Wanted {
        file: &command.file,
        programs,
        verify: command.verify,
    };
    for left in left_beside(&command.file) {
        eprintln!(
            "warning: {} is left of a backup that was killed, and holds what was copied by then; remove it",
            left.display()
        );
    }
    let making = Making::default();
    tokio::spawn(stop_by_signal(making.clone(), command.file.clone())?);
    let taken = take(&context.store, wanted, &making, &context.origin(), clock::now()).await?;
    print_json(&taken)
}

/// Ends the process when it is told to end, with nothing left of the backup: a copy that nobody takes up again would
/// hold everything. A backup that has its names is made.
fn stop_by_signal(making: Making, file: PathBuf) -> Result<impl Future<Output = ()> + Send, CommandError> {
    let told = told_to_end()?;
    Ok(async move {
        told.await;
        if let Some(_stopped) = making.stop() {
            eprintln!(
                "error: stopped by a signal; there is no backup {}",
                file.display()
            );
            std::process::exit(1);
        }
    })
}
