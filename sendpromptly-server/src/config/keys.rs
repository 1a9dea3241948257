//! Where keys and checkpoints lie.

use std::path::{Path, PathBuf};

use super::options;
use super::sources::Reader;
use super::value;

/// A file that is made in the data directory unless it was moved elsewhere and named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether an option names it. What is named must be there: a new key in the place of one that was not
    /// found would be worse than no start.
    pub named: bool,
}

/// Where keys and checkpoints lie.
#[derive(Debug, Clone)]
pub struct KeyConfig {
    /// The master keys.
    pub master: KeyFile,
    /// The key that signs checkpoints.
    pub audit: KeyFile,
    /// Where checkpoints are appended.
    pub checkpoints: KeyFile,
}

impl KeyConfig {
    pub(super) fn read(reader: &mut Reader<'_>, data_dir: &Path) -> Option<Self> {
        let mut file = |option, default: &str| {
            let named = reader.optional(option, value::path)?;
            Some(KeyFile {
                named: named.is_some(),
                path: named.unwrap_or_else(|| data_dir.join(default)),
            })
        };
        let master = file(&options::MASTER_KEY_FILE, "master.key");
        let audit = file(&options::AUDIT_KEY_FILE, "audit.key");
        let checkpoints = file(&options::CHECKPOINT_FILE, "audit.checkpoints");
        Some(Self {
            master: master?,
            audit: audit?,
            checkpoints: checkpoints?,
        })
    }
}
