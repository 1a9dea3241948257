//! The master keys, as their file holds them: one a line, `kid:key`, the key in 64 hex digits. The first wraps
//! new data keys, each unwraps those that it once wrapped. Lines that begin with `#` are remarks.

use std::path::{Path, PathBuf};

use sendpromptly_core::envelope::{DataKey, MasterKey};
use sendpromptly_core::hex;
use zeroize::Zeroizing;

use super::VaultError;
use super::key_file::{self, KeyFileError};
use crate::platform::entropy;
use crate::store::data_keys::WrappedKey;

const REMARK: &str = "# SendPromptly master keys. Who has this file and the database can read every secret;\n\
                      # without it no secret in the database can be read. Keep a copy apart from the database.\n";

/// The master keys of a store.
#[derive(Debug)]
pub struct KeyRing {
    path: PathBuf,
    active: MasterKey,
    earlier: Vec<MasterKey>,
}

impl KeyRing {
    /// Reads the master keys.
    ///
    /// # Errors
    /// [`KeyFileError`] where the file is not there, others may read it, or a line is malformed.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = key_file::read(path)?;
        let malformed = |why| KeyFileError::Malformed {
            path: path.to_owned(),
            why,
        };
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut keys = lines.map(|line| {
            parse_key(line).ok_or(malformed(
                "each line must be a key's name, a colon and 64 hex digits",
            ))
        });
        let active = keys.next().ok_or(malformed("it holds no key"))??;
        let earlier = keys.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            path: path.to_owned(),
            active,
            earlier,
        })
    }

    /// Makes a file with one new master key, unless there is a file, and reads it.
    ///
    /// # Errors
    /// [`KeyFileError`] where it cannot be written or read.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let kid = hex::encode(&entropy::bytes::<8>());
        let key = Zeroizing::new(hex::encode(Zeroizing::new(entropy::bytes::<32>()).as_slice()));
        let text = Zeroizing::new(format!("{REMARK}mk-{kid}:{}\n", key.as_str()));
        key_file::create(path, &text)?;
        Self::read(path)
    }

    /// The master key that wraps new data keys.
    #[must_use]
    pub const fn active(&self) -> &MasterKey {
        &self.active
    }

    /// Unwraps a data key.
    ///
    /// # Errors
    /// [`VaultError::WrongMasterKey`], which says what is missing.
    pub fn unwrap(&self, stored: &WrappedKey) -> Result<DataKey, VaultError> {
        let wrong = |why: String| {
            VaultError::WrongMasterKey(format!(
                "the master key in {} does not open this store: {why}; use the file with which the store was made",
                self.path.display()
            ))
        };
        let mut keys = std::iter::once(&self.active).chain(&self.earlier);
        let key = keys
            .find(|key| key.kid() == stored.kid)
            .ok_or_else(|| wrong(format!("the file has no key named {}", stored.kid)))?;
        key.unwrap(stored.id, &stored.wrapped)
            .map_err(|_| wrong(format!("its key named {} is another one", stored.kid)))
    }
}

fn parse_key(line: &str) -> Option<MasterKey> {
    let (kid, digits) = line.split_once(':')?;
    let named = !kid.is_empty()
        && kid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let key = Zeroizing::new(hex::decode::<32>(digits.trim())?);
    named.then(|| MasterKey::new(kid.to_owned(), *key))
}
