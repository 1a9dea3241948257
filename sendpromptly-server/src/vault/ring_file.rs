//! Master keys in a file, which this program makes where a store is new, and changes when keys come and go.
//!
//! Each change is the whole file written under another name, synced, and renamed: whoever reads it, at any moment
//! and after any crash, finds the keys before or the keys after it. Programs that change it take turns by a lock
//! on its directory.

use std::path::PathBuf;

use sendpromptly_core::master_keys::{self, MasterKeys};
use zeroize::Zeroizing;

use super::key_file::{self, KeyFileError};
use super::key_ring::RingText;
use super::provider::ProviderError;
use crate::platform::entropy;

const REMARK: &str = "# SendPromptly master keys. Who has this file and the database can read every secret;\n\
                      # without it no secret in the database can be read. Keep a copy apart from the database.\n";

/// A ring of master keys in a file.
#[derive(Debug)]
pub struct RingFile {
    path: PathBuf,
}

impl RingFile {
    /// The one at this path.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Makes the file with one new master key, unless there is a file.
    ///
    /// # Errors
    /// [`KeyFileError`] where it cannot be written.
    pub fn create(&self) -> Result<(), KeyFileError> {
        let text = master_keys::with_first(REMARK, &new_line());
        key_file::create(&self.path, &text)
    }

    fn parse(&self, text: &str) -> Result<MasterKeys, ProviderError> {
        MasterKeys::parse(text).map_err(|why| ProviderError::Ring {
            place: format!("the key file {}", self.path.display()),
            why,
        })
    }

    /// Changes the text, unless `change` gives none.
    fn edit(
        &self,
        change: impl FnOnce(&MasterKeys, &str) -> Option<Zeroizing<String>>,
    ) -> Result<MasterKeys, ProviderError> {
        let _turn = key_file::take_turn(&self.path)?;
        let text = key_file::read(&self.path)?;
        let keys = self.parse(&text)?;
        let Some(changed) = change(&keys, &text) else {
            return Ok(keys);
        };
        let keys = self.parse(&changed)?;
        key_file::replace(&self.path, &changed)?;
        Ok(keys)
    }
}

impl RingText for RingFile {
    fn source(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&self) -> Result<MasterKeys, ProviderError> {
        let text = key_file::read(&self.path)?;
        self.parse(&text)
    }

    fn is_ours_to_change(&self) -> bool {
        true
    }

    fn add_after(&self, active: &str) -> Result<MasterKeys, ProviderError> {
        self.edit(|keys, text| {
            let is_due = keys.first() == active;
            is_due.then(|| master_keys::with_first(text, &new_line()))
        })
    }

    fn take_out(&self, kid: &str) -> Result<MasterKeys, ProviderError> {
        let mut is_first = false;
        let kept = self.edit(|keys, text| {
            is_first = keys.first() == kid;
            let is_there = keys.kids().any(|known| known == kid);
            (is_there && !is_first).then(|| master_keys::without(text, kid))
        })?;
        if is_first {
            return Err(ProviderError::First(kid.to_owned()));
        }
        Ok(kept)
    }
}

fn new_line() -> Zeroizing<String> {
    master_keys::new_line(entropy::bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    struct Fixture {
        directory: tempfile::TempDir,
        file: RingFile,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let file = RingFile::at(directory.path().join("master.key"));
            file.create().unwrap();
            Self { directory, file }
        }

        fn kids(&self) -> Vec<String> {
            self.file.read().unwrap().kids().map(str::to_owned).collect()
        }

        fn files(&self) -> usize {
            std::fs::read_dir(self.directory.path()).unwrap().count()
        }
    }

    #[test]
    fn a_key_is_added_once_for_each_that_is_active() {
        let fixture = Fixture::new();
        let [first] = &fixture.kids()[..] else {
            panic!("one key")
        };
        let added = fixture.file.add_after(first).unwrap();
        assert_eq!(fixture.kids(), [added.first(), first]);
        assert_eq!(fixture.file.add_after(first).unwrap().first(), added.first());
        assert_eq!(fixture.kids().len(), 2);
    }

    #[test]
    fn of_many_that_add_a_key_at_once_one_does() {
        let fixture = Fixture::new();
        let first = fixture.kids().remove(0);
        let added: Vec<_> = std::thread::scope(|scope| {
            let add = || fixture.file.add_after(&first).unwrap().first().to_owned();
            let adding: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
            adding.into_iter().map(|adder| adder.join().unwrap()).collect()
        });
        assert!(added.iter().all(|kid| *kid == added[0] && *kid != first));
        assert_eq!(
            (fixture.kids().len(), fixture.files()),
            (2, 1),
            "no draft stays behind"
        );
    }

    #[test]
    fn a_change_keeps_remarks_mode_owner_and_where_a_link_leads() {
        let fixture = Fixture::new();
        let path = fixture.directory.path().join("master.key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        if is_root {
            std::os::unix::fs::chown(&path, Some(65_534), Some(65_534)).unwrap();
        }
        let before = std::fs::metadata(&path).unwrap();
        let link = fixture.directory.path().join("link.key");
        symlink(&path, &link).unwrap();
        let linked = RingFile::at(link.clone());
        let first = fixture.kids().remove(0);
        let added = linked.add_after(&first).unwrap().first().to_owned();
        linked.take_out(&first).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(REMARK), "{text}");
        assert_eq!(fixture.kids(), [added]);
        let after = std::fs::metadata(&path).unwrap();
        assert_eq!(after.permissions().mode() & 0o777, 0o400);
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn the_first_key_is_never_taken_out_for_a_rotation_may_be_about_to_make_it_active() {
        let fixture = Fixture::new();
        let first = fixture.kids().remove(0);
        let added = fixture.file.add_after(&first).unwrap().first().to_owned();
        let refused = fixture.file.take_out(&added);
        assert!(matches!(refused, Err(ProviderError::First(_))));
        assert_eq!(fixture.kids(), [added, first]);
    }

    #[test]
    fn the_last_key_is_never_taken_out() {
        let fixture = Fixture::new();
        let first = fixture.kids().remove(0);
        assert!(fixture.file.take_out(&first).is_err());
        assert_eq!(fixture.kids(), [first]);
    }
}
