//! What backups that were killed have left behind: told, and taken up where the same backup is made again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::draft::beside;
use super::format::{Part, Sound};
use super::{BackupError, keys_file};
use crate::platform::directory;

/// What a backup is called while it is made.
const PART: &str = ".part";

/// Files of backups to other names in the directory of this one, which were killed while they were made. They hold
/// what a backup holds, and nobody takes them up.
#[must_use]
pub fn left_beside(file: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory::of_file(file)) else {
        return Vec::new();
    };
    let parts = entries.flatten().map(|entry| entry.path());
    let mut left: Vec<_> = parts
        .filter_map(|part| backup_of(&part))
        .filter(|other| other.file_name() != file.file_name())
        .flat_map(|other| left_of(&other))
        .collect();
    left.sort();
    left
}

/// The backup of which this is the main file in the making, where nobody is making it.
fn backup_of(part: &Path) -> Option<PathBuf> {
    let name = part.file_name()?.to_str()?.strip_suffix(PART)?;
    let backup = part.with_file_name(name);
    let keys = keys_file(&backup);
    let is_backup = beside(&keys, PART).exists() || keys.exists();
    let is_alone = || File::open(part).is_ok_and(|file| file.try_lock().is_ok());
    (is_backup && is_alone()).then_some(backup)
}

fn left_of(backup: &Path) -> Vec<PathBuf> {
    let keys = keys_file(backup);
    let mut left = vec![beside(backup, PART), beside(&keys, PART), beside(backup, ".copy")];
    if !backup.exists() {
        left.push(keys);
    }
    left.retain(|path| path.exists());
    left
}

/// Removes the key file of a backup that was killed before its main file had its name too: it opens nothing, and would
/// stand in the way. `part` is what is left of that main file.
pub(super) fn take_up_keys(file: &Path, part: &Path) -> Result<(), BackupError> {
    let keys = keys_file(file);
    if !keys.exists() {
        return Ok(());
    }
    let (Ok(main), Ok(of_keys)) = (Sound::read(part, Part::Main), Sound::read(&keys, Part::Keys)) else {
        return Ok(()); // what else it may be is told as a file that is in the way
    };
    if main.header.backup == of_keys.header.backup {
        fs::remove_file(&keys).map_err(|error| BackupError::io(&keys, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::draft::Draft;
    use super::*;

    #[test]
    fn what_killed_backups_left_is_found_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in [
            "old.part",
            "old.keys.part",
            "old.copy",
            "film.part",
            "b",
            "b.keys",
            "c.copy",
        ] {
            fs::write(at(name), "").unwrap();
        }
        for name in ["half.part", "half.keys"] {
            fs::write(at(name), "").unwrap();
        }
        let under_way = at("now");
        let _drafts = [&under_way, &keys_file(&under_way)].map(|file| Draft::begin(file).unwrap());
        let expected = ["half.keys", "half.part", "old.copy", "old.keys.part", "old.part"];
        assert_eq!(left_beside(&at("new")), expected.map(at));
        assert_eq!(
            left_beside(&at("old")),
            expected[..2].iter().map(|name| at(name)).collect::<Vec<_>>()
        );
    }
}
