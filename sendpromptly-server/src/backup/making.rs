//! A backup in the making, as whoever is told to stop it sees it.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::BackupError;

/// How far a backup has come.
#[derive(Debug, Clone, Default)]
pub struct Making(Arc<Mutex<Stage>>);

#[derive(Debug, Default)]
enum Stage {
    /// Nothing is made yet.
    #[default]
    Before,
    /// These files are being made.
    Files(Vec<PathBuf>),
    /// The files have the names of a backup.
    Named,
}

/// A backup that was stopped. It takes its names no more while this is there, so the process ends with it.
#[derive(Debug)]
#[must_use]
pub struct Stopped<'a>(#[expect(dead_code, reason = "what counts is that it is held")] MutexGuard<'a, Stage>);

impl Making {
    /// Begins files, which are its own from then on. It is stopped before or after, so that none stays behind.
    pub(super) fn begin<T>(
        &self,
        begin: impl FnOnce() -> Result<(T, Vec<PathBuf>), BackupError>,
    ) -> Result<T, BackupError> {
        let mut stage = self.stage();
        let (begun, files) = begin()?;
        *stage = Stage::Files(files);
        Ok(begun)
    }

    /// Gives the files the names of a backup, all of them before it can be stopped.
    pub(super) fn name(&self, name: impl FnOnce() -> Result<(), BackupError>) -> Result<(), BackupError> {
        let mut stage = self.stage();
        name()?;
        *stage = Stage::Named;
        Ok(())
    }

    /// Stops it, and removes what was made. `None` where it has its names already.
    #[must_use]
    pub fn stop(&self) -> Option<Stopped<'_>> {
        let stage = self.stage();
        match &*stage {
            Stage::Named => return None,
            Stage::Before => {}
            Stage::Files(files) => {
                for file in files {
                    let _ = fs::remove_file(file);
                }
            }
        }
        Some(Stopped(stage))
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stopped_leaves_nothing_and_what_has_its_names_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.backup.part");
        let making = Making::default();
        fs::write(&file, "of another process").unwrap();
        assert!(making.stop().is_some());
        assert!(file.exists(), "it was not begun");
        making.begin(|| Ok(((), vec![file.clone()]))).unwrap();
        assert!(making.stop().is_some());
        assert!(!file.exists());
        fs::write(&file, "whole").unwrap();
        making.name(|| Ok(())).unwrap();
        assert!(making.stop().is_none());
        assert!(file.exists());
    }
}
