//! The key that signs audit checkpoints: an Ed25519 seed in 64 hex digits. Beside it lies its public half in a
//! file that ends in `.pub`, of which whoever verifies the audit log keeps a copy.

use std::fs;
use std::io;
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
    put_public(&public_path(&file.path), &key.public())?;
    Ok(key)
}

/// Writes the public half where it is not there yet. One of another key stays, for without it the checkpoints
/// that were signed so far could not be checked any more.
fn put_public(path: &Path, public: &AuditPublicKey) -> Result<(), KeyFileError> {
    match read_public(path) {
        Ok(stored) if stored == *public => Ok(()),
        Ok(_) => Err(malformed(
            path,
            "it belongs to another audit key; keep it under another name, for earlier checkpoints need it",
        )),
        Err(KeyFileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            // A directory that cannot be written has its reason.
            let _ = key_file::create_readable(path, &format!("{}\n", public.to_hex()));
            Ok(())
        }
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_public_half_of_another_key_is_kept_and_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile {
            path: directory.path().join("audit.key"),
            named: false,
        };
        let public = open(&file).unwrap().public();
        let beside = public_path(&file.path);
        assert_eq!(read_public(&beside).unwrap(), public);
        assert_eq!(fs::metadata(&beside).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            2,
            "no draft is left"
        );
        assert!(open(&file).is_ok(), "the same key again");
        fs::remove_file(&file.path).unwrap();
        let refused = open(&file).unwrap_err().to_string();
        assert!(
            refused.contains("audit.pub") && refused.contains("another audit key"),
            "{refused}"
        );
        assert_eq!(read_public(&public_path(&file.path)).unwrap(), public);
    }
}
