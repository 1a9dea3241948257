//! The key that signs audit checkpoints: an Ed25519 seed in 64 hex digits. Beside it lies its public half in a
//! file that ends in `.pub`, of which whoever verifies the audit log keeps a copy. Further lines of that file are the public
//! halves of earlier keys for which somebody vouches (`docs/operations.md`, "When a key is lost").

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sendpromptly_core::audit::{AuditKey, AuditPublicKey, SignedCheckpoint};
use sendpromptly_core::hex;
use zeroize::Zeroizing;

use super::key_file::{self, KeyFileError};
use crate::config::keys::KeyFile;
use crate::platform::entropy;

/// The public halves of the keys whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKeys(Vec<AuditPublicKey>);

impl KnownKeys {
    /// Reads them, a line each.
    ///
    /// # Errors
    /// [`KeyFileError`] where the file cannot be read, or holds anything else, or nothing.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let text = fs::read_to_string(path).map_err(|error| KeyFileError::Io {
            path: path.to_owned(),
            error,
        })?;
        let keys: Option<Vec<_>> = text
            .trim()
            .lines()
            .map(|line| AuditPublicKey::from_hex(line.trim()))
            .collect();
        keys.filter(|keys| !keys.is_empty()).map(Self).ok_or_else(|| {
            malformed(
                path,
                "it must hold Ed25519 public keys, a line of 64 hex digits each",
            )
        })
    }

    /// Whether one of them has signed it.
    #[must_use]
    pub fn have_signed(&self, signed: &SignedCheckpoint) -> bool {
        self.0.iter().any(|key| key.has_signed(signed))
    }

    /// Whether this one, in hex, is among them.
    #[must_use]
    pub fn contain(&self, hex: &str) -> bool {
        self.in_hex().any(|key| key == hex)
    }

    /// Each of them, in hex.
    pub fn in_hex(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(AuditPublicKey::to_hex)
    }
}

impl From<AuditPublicKey> for KnownKeys {
    fn from(key: AuditPublicKey) -> Self {
        Self(vec![key])
    }
}

/// Reads the key, and those whose signatures count beside its own. Makes it where it is not there, unless an option names
/// the file.
///
/// # Errors
/// [`KeyFileError`] where it cannot be read or made.
pub fn open(file: &KeyFile) -> Result<(AuditKey, KnownKeys), KeyFileError> {
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
    let known = put_public(&public_path(&file.path), key.public())?;
    Ok((key, known))
}

/// Writes the public half where there is none yet. A file of other keys alone stays as it is, for without it the
/// checkpoints that were signed so far could not be checked any more.
fn put_public(path: &Path, public: AuditPublicKey) -> Result<KnownKeys, KeyFileError> {
    match KnownKeys::read(path) {
        Ok(known) if known.contain(&public.to_hex()) => Ok(known),
        Ok(_) => Err(malformed(
            path,
            "it belongs to another audit key; move it aside and keep it, for earlier checkpoints need it",
        )),
        Err(KeyFileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            // A directory that cannot be written has its reason.
            let _ = key_file::create_readable(path, &format!("{}\n", public.to_hex()));
            Ok(public.into())
        }
        Err(error) => Err(error),
    }
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
        let known = open(&file).unwrap().1;
        let beside = public_path(&file.path);
        assert_eq!(KnownKeys::read(&beside).unwrap(), known);
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
        assert_eq!(KnownKeys::read(&beside).unwrap(), known);
    }

    #[test]
    fn an_earlier_key_counts_where_its_line_follows() {
        let directory = tempfile::tempdir().unwrap();
        let file = KeyFile {
            path: directory.path().join("audit.key"),
            named: false,
        };
        let (_, known) = open(&file).unwrap();
        let own = fs::read_to_string(public_path(&file.path)).unwrap();
        let earlier = AuditKey::from_seed([7; 32]).public().to_hex();
        assert!(!known.contain(&earlier));
        for (text, counts) in [
            (format!("{own}{earlier}\n"), true),
            (format!("{earlier}\r\n{own}"), true),
            (format!("{own}{}\n", &earlier[1..]), false),
            (format!("{own}\n{earlier}\n"), false),
            (format!("{earlier}\n"), false),
            (String::new(), false),
        ] {
            fs::write(public_path(&file.path), &text).unwrap();
            let opened = open(&file).map(|(_, known)| known.contain(&earlier));
            assert_eq!(opened.unwrap_or_default(), counts, "{text}");
        }
    }
}
