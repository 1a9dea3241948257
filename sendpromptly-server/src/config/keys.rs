//! Where keys and checkpoints lie.

use std::path::{Path, PathBuf};

use sendpromptly_core::master_keys::MasterKeys;

use super::options::{self, ConfigOption};
use super::sources::{Reader, Source};
use super::value::{self, NotAllowed};

/// A file that is made in the data directory unless it was moved elsewhere and named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether an option names it. What is named must be there: a new key in the place of one that was not
    /// found would be worse than no start.
    pub named: bool,
}

/// Where the master keys come from.
#[derive(Debug, Clone)]
pub enum MasterKeySource {
    /// A file.
    File(KeyFile),
    /// The environment or the configuration file, which hold the keys themselves.
    Given(MasterKeys),
    /// A command, which prints them.
    Command(String),
}

/// Where keys and checkpoints lie.
#[derive(Debug, Clone)]
pub struct KeyConfig {
    /// The master keys.
    pub master: MasterKeySource,
    /// The key that signs checkpoints.
    pub audit: KeyFile,
    /// Where checkpoints are appended.
    pub checkpoints: KeyFile,
}

impl KeyConfig {
    pub(super) fn read(reader: &mut Reader<'_>, data_dir: &Path) -> Option<Self> {
        let master = MasterKeySource::read(reader, data_dir);
        let mut file = |option, default: &str| KeyFile::read(reader, option, data_dir.join(default));
        let audit = file(&options::AUDIT_KEY_FILE, "audit.key");
        let checkpoints = file(&options::CHECKPOINT_FILE, "audit.checkpoints");
        Some(Self {
            master: master?,
            audit: audit?,
            checkpoints: checkpoints?,
        })
    }
}

impl KeyFile {
    fn read(reader: &mut Reader<'_>, option: &ConfigOption, default: PathBuf) -> Option<Self> {
        let named = reader.optional(option, value::path)?;
        Some(Self {
            named: named.is_some(),
            path: named.unwrap_or(default),
        })
    }
}

impl MasterKeySource {
    fn read(reader: &mut Reader<'_>, data_dir: &Path) -> Option<Self> {
        let given = read_given(reader);
        let command = reader.optional(&options::MASTER_KEY_COMMAND, |text| match text.trim() {
            "" => Err(NotAllowed),
            _ => Ok(text.to_owned()),
        });
        let file = KeyFile::read(reader, &options::MASTER_KEY_FILE, data_dir.join("master.key"));
        let (given, command, file) = (given?, command?, file?);
        match (given, command) {
            (None, None) => Some(Self::File(file)),
            (Some(keys), None) if !file.named => Some(Self::Given(keys)),
            (None, Some(command)) if !file.named => Some(Self::Command(command)),
            _ => {
                refuse_several(reader);
                None
            }
        }
    }
}

/// Keys on the command line are refused even where they are well-formed: every user of the machine can read them.
fn read_given(reader: &mut Reader<'_>) -> Option<Option<MasterKeys>> {
    let option = &options::MASTER_KEYS;
    if reader.source(option) == Some(Source::Option) {
        reader.refuse(option, Source::Option, option.allowed);
        return None;
    }
    reader.optional(option, |text| MasterKeys::parse(&text.replace(',', "\n")))
}

/// Of several places one would win, and the operator would believe that another one counts.
fn refuse_several(reader: &mut Reader<'_>) {
    let all = [
        &options::MASTER_KEY_FILE,
        &options::MASTER_KEYS,
        &options::MASTER_KEY_COMMAND,
    ];
    let mut given = all
        .into_iter()
        .filter_map(|option| Some((option, reader.source(option)?)))
        .collect::<Vec<_>>();
    let Some((last, source)) = given.pop() else { return };
    let others: Vec<_> = given
        .iter()
        .map(|(option, _)| format!("--{}", option.name))
        .collect();
    reader.refuse(last, source, format!("given without {}", others.join(" and ")));
}
