//! Backups: a store as a file, made while servers run, and put back into an empty store.
//!
//! A backup is two files. `FILE` holds the store, but for the data keys that go by days; those lie in `FILE.keys`.
//! So what was sealed by the day is forgotten with the key files of its time, in old backups too. The formats are
//! told in `docs/data.md`, the use in `docs/backup.md`.

use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoints::CheckpointError;
use crate::store::StoreError;
use crate::vault::VaultError;

mod draft;
mod format;
mod left;
mod making;
mod postgres;
mod restore;
mod take;

pub use format::{Header, Kind, Postgres};
pub use left::left_beside;
pub use making::{Making, Stopped};
pub use postgres::Programs;
pub use restore::{Restored, restore};
pub use take::{Taken, Wanted, take};

/// Why a backup was not made, or not put back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is a file already.
    #[error("{} is there already, and no backup is written over; name another file, or move it away", .0.display())]
    Exists(PathBuf),
    /// Another process makes the same backup.
    #[error("another backup to {} is under way", .0.display())]
    UnderWay(PathBuf),
    /// The file system failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// A backup's file cannot be relied on.
    #[error("{} cannot be used: {why}", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A rule refuses it.
    #[error("{0}")]
    Refused(String),
    /// A program of PostgreSQL's failed.
    #[error("{0}")]
    Program(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys are not those of the backup.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// What was restored could not be declared.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl BackupError {
    fn io(path: &Path, error: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}

/// The file beside a backup that holds the data keys which go by days.
#[must_use]
pub fn keys_file(file: &Path) -> PathBuf {
    draft::beside(file, ".keys")
}

/// Runs work that blocks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(BackupError::Program(error.to_string())))
}
