//! Where master keys come from: the seam at which a file, the environment, a command or a key service stands.

use std::fmt;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use sendpromptly_core::envelope::DataKey;
use sendpromptly_core::master_keys::{RingError, UnwrapError};

use super::key_command::{self, KeyCommandError};
use super::key_file::KeyFileError;
use super::key_ring::KeyRing;
use super::ring_file::RingFile;
use crate::config::keys::MasterKeySource;
use crate::store::data_keys::WrappedKey;

/// Gives master keys by their names, and wraps and unwraps data keys with them.
///
/// The keys themselves need not leave it: a key service would wrap and unwrap where the keys are, which is why
/// both may take their time and may fail.
pub trait KeyProvider: fmt::Debug + Send + Sync {
    /// Where the keys come from, in words for messages.
    fn source(&self) -> String;

    /// Learns which keys there are now. Where it fails, those known so far stay.
    ///
    /// # Errors
    /// [`ProviderError`] where they are not to be had.
    fn load(&self) -> BoxFuture<'_, Result<(), ProviderError>>;

    /// The names of the keys; the first is the one that the next rotation makes active.
    fn kids(&self) -> Vec<String>;

    /// Wraps a data key under the master key of this name.
    ///
    /// # Errors
    /// [`ProviderError::Use`] where there is no such key.
    fn wrap<'a>(&'a self, kid: &'a str, key: &'a DataKey)
    -> BoxFuture<'a, Result<WrappedKey, ProviderError>>;

    /// Unwraps a data key.
    ///
    /// # Errors
    /// [`ProviderError::Use`] where the key that wrapped it is not there, or is another one.
    fn unwrap<'a>(&'a self, stored: &'a WrappedKey) -> BoxFuture<'a, Result<DataKey, ProviderError>>;

    /// The name of the key that takes the place of `active`: the first, where that is another one already, else
    /// one that is made for it and put first. Asked again it gives the same.
    ///
    /// # Errors
    /// [`ProviderError::ReadOnly`] where it makes no keys.
    fn successor_of<'a>(&'a self, active: &'a str) -> BoxFuture<'a, Result<String, ProviderError>>;

    /// Whether this program makes and removes keys there; else others do.
    fn is_ours_to_change(&self) -> bool;

    /// Forgets a key for good. Nothing may be wrapped by it any more, and it is not the first one, which a rotation
    /// may be about to make active.
    ///
    /// # Errors
    /// [`ProviderError::ReadOnly`] where others remove keys, [`ProviderError::First`] where it stands first.
    fn forget<'a>(&'a self, kid: &'a str) -> BoxFuture<'a, Result<(), ProviderError>>;
}

/// Why master keys cannot be had, or not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// Their file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The command did not give them.
    #[error(transparent)]
    Command(#[from] KeyCommandError),
    /// What there is, is no ring of keys.
    #[error("{place} cannot be used: {why}")]
    Ring {
        /// Where it comes from.
        place: String,
        /// What is wrong with it.
        why: RingError,
    },
    /// A data key cannot be wrapped or unwrapped.
    #[error("{kid}: {why}")]
    Use {
        /// The name of the master key.
        kid: String,
        /// What is wrong with it.
        why: UnwrapError,
    },
    /// The key stands first, and is not removed.
    #[error(
        "{0} stands first: a rotation makes it active, and may be about to; `sendpromptly master-key rotate` first, and \
         once more, and then it can be removed"
    )]
    First(String),
    /// The keys are changed by somebody else.
    #[error("{0} is not this program's to change")]
    ReadOnly(String),
    /// Work on them was cut off.
    #[error("the work on the master keys was cut off: {0}")]
    CutOff(String),
}

/// The provider that the configuration names.
#[must_use]
pub fn provider(source: &MasterKeySource) -> Box<dyn KeyProvider> {
    match source {
        MasterKeySource::File(file) => Box::new(KeyRing::new(RingFile::at(file.path.clone()))),
        MasterKeySource::Given(keys) => Box::new(KeyRing::new(keys.clone())),
        MasterKeySource::Command(line) => Box::new(KeyRing::new(key_command::KeyCommand::new(line.clone()))),
    }
}

impl ProviderError {
    /// The file that is not there, where that is why.
    #[must_use]
    pub fn absent_file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(KeyFileError::Absent { path }) => Some(path),
            _ => None,
        }
    }

    /// Whether a key of the store is not known here.
    #[must_use]
    pub const fn is_unknown_key(&self) -> bool {
        matches!(
            self,
            Self::Use {
                why: UnwrapError::NoKey,
                ..
            }
        )
    }
}
