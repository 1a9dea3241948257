//! Files that hold keys: readable by their owner only, and made whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sendpromptly_core::hex;
use zeroize::Zeroizing;

use crate::platform::{directory, entropy};

/// More than any key file holds.
const MAX_BYTES: u64 = 64 * 1024;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It is not there.
    #[error("the key file {} is not there", path.display())]
    Absent {
        /// Which file.
        path: PathBuf,
    },
    /// Others than its owner may read or write it.
    #[error(
        "the key file {0} has mode {mode:04o}, so others can read it; allow its owner only: chmod 600 {0}",
        path.display()
    )]
    Mode {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It does not hold what it should.
    #[error("the key file {} cannot be used: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file system failed.
    #[error("the key file {} cannot be used: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
}

/// Reads a key file.
///
/// # Errors
/// [`KeyFileError`] where it is not there, others may read it, or it is no text.
pub fn read(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Absent {
            path: path.to_owned(),
        },
        _ => KeyFileError::Io {
            path: path.to_owned(),
            error,
        },
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    // What was cut off would be lost when the rest is written back.
    if text.len() as u64 > MAX_BYTES {
        return Err(KeyFileError::Malformed {
            path: path.to_owned(),
            why: "it holds more than 64 KiB",
        });
    }
    Ok(text)
}

/// Makes a key file, unless there is one: of processes that start at once, one wins and the others read what
/// it wrote. The file appears whole, for it is written under another name and then linked.
///
/// # Errors
/// [`KeyFileError::Io`] where it cannot be written.
pub fn create(path: &Path, text: &str) -> Result<(), KeyFileError> {
    create_with(path, text, 0o600)
}

/// The same for a file of public keys, which all may read.
///
/// # Errors
/// [`KeyFileError::Io`] where it cannot be written.
pub fn create_readable(path: &Path, text: &str) -> Result<(), KeyFileError> {
    create_with(path, text, 0o644)
}

fn create_with(path: &Path, text: &str, mode: u32) -> Result<(), KeyFileError> {
    create_in_place(path, text, mode).map_err(|error| KeyFileError::Io {
        path: path.to_owned(),
        error,
    })
}

fn create_in_place(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let directory = directory::of_file(path);
    directory::make_private(directory)?;
    let draft = path.with_extension(format!("new-{}", hex::encode(&entropy::bytes::<8>())));
    let linked = write_synced(&draft, text, mode).and_then(|()| fs::hard_link(&draft, path));
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => linked?,
    }
    removed?;
    File::open(directory)?.sync_all()
}

/// What processes that were killed while they made or changed a key file have left beside it, and beside the file that a
/// link leads to. Keys are in it.
#[must_use]
pub fn left_beside(path: &Path) -> Vec<PathBuf> {
    let mut left = drafts_beside(path);
    if let Ok(real) = path.canonicalize()
        && real != path
    {
        left.extend(drafts_beside(&real));
    }
    left.sort();
    left.dedup();
    left
}

fn drafts_beside(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory::of_file(path)) else {
        return Vec::new();
    };
    let (made, changed) = (path.with_extension("new-"), draft_of_change(path));
    let is_left = |found: &PathBuf| {
        let name = found.as_os_str().as_encoded_bytes();
        *found == changed || name.starts_with(made.as_os_str().as_encoded_bytes())
    };
    let found = entries
        .flatten()
        .map(|entry| path.with_file_name(entry.file_name()));
    found.filter(is_left).collect()
}

fn draft_of_change(path: &Path) -> PathBuf {
    let mut draft = path.to_owned().into_os_string();
    draft.push(".new");
    draft.into()
}

/// The right to change key files of this directory, until it is dropped.
///
/// # Errors
/// [`KeyFileError::Io`] where the directory cannot be locked.
pub fn take_turn(path: &Path) -> Result<File, KeyFileError> {
    let locked = File::open(directory::of_file(path)).and_then(|directory| {
        directory.lock()?;
        Ok(directory)
    });
    locked.map_err(|error| KeyFileError::Io {
        path: path.to_owned(),
        error,
    })
}

/// Puts a text in the place of that of a key file, whole or not at all. Its owner and its mode stay. Whoever does
/// it has a [turn](take_turn).
///
/// # Errors
/// [`KeyFileError::Io`] where it cannot be written.
pub fn replace(path: &Path, text: &str) -> Result<(), KeyFileError> {
    let failed = |error| KeyFileError::Io {
        path: path.to_owned(),
        error,
    };
    // A link stays a link.
    let path = &path.canonicalize().map_err(failed)?;
    let draft = draft_of_change(path);
    let replaced = write_like(path, &draft, text).and_then(|()| fs::rename(&draft, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&draft);
    }
    replaced
        .and_then(|()| File::open(directory::of_file(path))?.sync_all())
        .map_err(failed)
}

/// Writes a draft with the owner and the mode of this file: a server that runs as another user reads it, too.
fn write_like(path: &Path, draft: &Path, text: &str) -> io::Result<()> {
    let like = fs::metadata(path)?;
    // One that a kill has left.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => write_synced(draft, text, 0o600)?,
    }
    let made = fs::metadata(draft)?;
    if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
        std::os::unix::fs::chown(draft, Some(like.uid()), Some(like.gid()))?;
    }
    fs::set_permissions(draft, like.permissions())
}

fn write_synced(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // Whatever the umask took away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_processes_that_make_a_key_at_once_both_read_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/a.key");
        let read_back = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|number| {
                    let path = &path;
                    scope.spawn(move || {
                        create(path, &format!("key {number}")).unwrap();
                        read(path).unwrap().to_string()
                    })
                })
                .collect();
            makers
                .into_iter()
                .map(|maker| maker.join().unwrap())
                .collect::<Vec<_>>()
        });
        assert!(read_back.iter().all(|text| *text == read_back[0]));
        let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "no draft stays behind");
    }

    #[test]
    fn what_a_kill_left_beside_a_key_file_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        create(&at("master.key"), "key").unwrap();
        create(&at("audit.key"), "key").unwrap();
        for name in [
            "master.new-00ff00ff00ff00ff",
            "master.key.new",
            "audit.new-1",
            "master.pub",
        ] {
            fs::write(at(name), "").unwrap();
        }
        let left = left_beside(&at("master.key"));
        assert_eq!(left, ["master.key.new", "master.new-00ff00ff00ff00ff"].map(at));
        let link = directory.path().join("links/master.key");
        fs::create_dir(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(at("master.key"), &link).unwrap();
        assert_eq!(left_beside(&link), left, "beside the file that a link leads to");
    }

    #[test]
    fn a_key_file_that_is_too_long_is_refused_and_not_cut_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        let longest = usize::try_from(MAX_BYTES).unwrap();
        create(&path, &"a".repeat(longest)).unwrap();
        assert_eq!(read(&path).unwrap().len(), longest);
        replace(&path, &"a".repeat(longest + 1)).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Malformed { .. })));
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused_in_words() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.key");
        create(&path, "key").unwrap();
        for mode in [0o640, 0o604, 0o660, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refused = read(&path).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("{mode:04o}")) && refused.contains("chmod 600"),
                "{refused}"
            );
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(read(&path).is_ok());
    }
}
