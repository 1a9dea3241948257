//! The key that signs audit checkpoints: an Ed25519 seed in 64 hex digits. Beside it lies its public half in a
//! file that ends in `.pub`, of which whoever verifies the audit log keeps a copy.

use std::fs;
use std::path::{Path, PathBuf};

use sendpromptly_core::audit::{AuditKey, AuditPublicKey};
use sendpromptly_core::hex;
use zeroize::Zeroizing;

use super::key_file::{self, KeyFileError};
use crate::config::keys::KeyFile;
use crate::platform::entropy;

/// Reads the key. Makes it where it is not there, unless an option names the file.
///
/// # Errors
/// [`KeyFileError`] where it cannot be read or made.
pub fn open(file: &KeyFile) -> Result<AuditKey, KeyFileError> {
    let text = match key_file::read(&file.path) {
        Err(KeyFileError::Absent { .. }) if !file.named => {
            let seed = Zeroizing::new(hex::encode(Zeroizing::new(entropy::bytes::<32>()).as_slice()));
            key_file::create(&file.path, &format!("{}\n", seed.as_str()))?;
            key_file::read(&file.path)?
        }
        text => text?,
    };
    let seed = hex::decode(text.trim()).map(Zeroizing::new);
    let seed = seed.ok_or_else(|| malformed(&file.path, "it must hold 64 hex digits"))?;
    let key = AuditKey::from_seed(*seed);
    let public = public_path(&file.path);
    if !public.exists() {
        // Where the directory cannot be written, the command line still prints it.
        let _ = fs::write(&public, format!("{}\n", key.public().to_hex()));
    }
    Ok(key)
}

/// Reads a public key.
///
/// # Errors
/// [`KeyFileError`] where the file cannot be read or holds none.
pub fn read_public(path: &Path) -> Result<AuditPublicKey, KeyFileError> {
    let text = fs::read_to_string(path).map_err(|error| KeyFileError::Io {
        path: path.to_owned(),
        error,
    })?;
    AuditPublicKey::from_hex(text.trim())
        .ok_or_else(|| malformed(path, "it must hold an Ed25519 public key in 64 hex digits"))
}

/// Where the public half of a key lies.
#[must_use]
pub fn public_path(key: &Path) -> PathBuf {
    key.with_extension("pub")
}

fn malformed(path: &Path, why: &'static str) -> KeyFileError {
    KeyFileError::Malformed {
        path: path.to_owned(),
        why,
    }
}
