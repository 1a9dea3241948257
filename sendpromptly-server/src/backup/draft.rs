//! A file that appears whole or not at all: written under another name in the same directory, synced, renamed.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::BackupError;
use crate::platform::directory;

/// A file in the making. It goes when it is dropped unfinished.
#[derive(Debug)]
pub(super) struct Draft {
    target: PathBuf,
    path: PathBuf,
    file: File,
    finished: bool,
}

impl Draft {
    /// Begins the file that is to be here. What a process that was killed left of one is taken up.
    pub(super) fn begin(target: &Path) -> Result<Self, BackupError> {
        Self::begin_after(target, |_| Ok(()))
    }

    /// The same, where somebody looks at what was left before it goes.
    pub(super) fn begin_after(
        target: &Path,
        look: impl FnOnce(&Path) -> Result<(), BackupError>,
    ) -> Result<Self, BackupError> {
        must_be_absent(target)?;
        let path = beside(target, ".part");
        let failed = |error| BackupError::io(&path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        // A link would lead to a file of somebody else's choice.
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
            let why = "it is a link; remove it, or name another file";
            return Err(BackupError::Broken { path, why });
        }
        let made_by = file.metadata().map_err(failed)?.uid();
        if made_by != rustix::process::geteuid().as_raw() {
            let why = "it belongs to another user; remove it, or name another file";
            return Err(BackupError::Broken { path, why });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(BackupError::UnderWay(target.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Whoever had the lock before may have finished the file that was opened here.
        let is_ours = fs::symlink_metadata(&path).is_ok_and(|meta| Some(meta.ino()) == inode(&file));
        if !is_ours {
            return Err(BackupError::UnderWay(target.to_owned()));
        }
        must_be_absent(target)?;
        look(&path)?;
        file.set_len(0).map_err(failed)?;
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(failed)?;
        Ok(Self {
            target: target.to_owned(),
            path,
            file,
            finished: false,
        })
    }

    /// Where it lies until it is finished.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What to write to.
    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// Puts it into its place, where it outlives a crash.
    pub(super) fn finish(mut self) -> Result<(), BackupError> {
        let failed = |error| BackupError::io(&self.target, error);
        self.file.sync_all().map_err(failed)?;
        must_be_absent(&self.target)?;
        fs::rename(&self.path, &self.target).map_err(failed)?;
        sync_directory_of(&self.target).map_err(failed)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file for a while, which goes when this is dropped.
#[derive(Debug)]
pub(super) struct Passing(PathBuf);

impl Passing {
    /// An empty one for its owner only, in place of what a process that was killed left there.
    pub(super) fn begin(path: PathBuf) -> Result<Self, BackupError> {
        let made = Self(path);
        made.remove();
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&made.0);
        file.map_err(|error| BackupError::io(&made.0, error))?;
        Ok(made)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Itself, and SQLite's own files beside it.
    pub(super) fn all_of(path: &Path) -> [PathBuf; 4] {
        ["", "-journal", "-wal", "-shm"].map(|ending| beside(path, ending))
    }

    fn remove(&self) {
        for path in Self::all_of(&self.0) {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The path with this at its end.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

pub(super) fn must_be_absent(path: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) => Err(BackupError::Exists(path.to_owned())),
        Err(error) => Err(BackupError::io(path, error)),
    }
}

pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    File::open(directory::of_file(path))?.sync_all()
}

fn inode(file: &File) -> Option<u64> {
    file.metadata().ok().map(|meta| meta.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_that_is_dropped_leaves_nothing_and_one_that_is_finished_is_for_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.backup");
        drop(Draft::begin(&target).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        fs::write(beside(&target, ".part"), "left by a kill").unwrap();
        fs::set_permissions(beside(&target, ".part"), Permissions::from_mode(0o644)).unwrap();
        Draft::begin(&target).unwrap().finish().unwrap();
        let made = fs::metadata(&target).unwrap();
        assert_eq!((made.len(), made.mode() & 0o7777), (0, 0o600));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_follows_no_link() {
        let directory = tempfile::tempdir().unwrap();
        let (target, other) = (directory.path().join("a.backup"), directory.path().join("other"));
        fs::write(&other, "of another").unwrap();
        std::os::unix::fs::symlink(&other, beside(&target, ".part")).unwrap();
        assert!(Draft::begin(&target).is_err());
        assert_eq!(fs::read_to_string(&other).unwrap(), "of another");
    }

    #[test]
    fn two_at_once_and_a_second_one_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("a.backup");
        let first = Draft::begin(&target).unwrap();
        assert!(matches!(Draft::begin(&target), Err(BackupError::UnderWay(_))));
        first.finish().unwrap();
        assert!(matches!(Draft::begin(&target), Err(BackupError::Exists(_))));
    }
}
