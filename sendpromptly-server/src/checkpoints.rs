//! Signed checkpoints of the audit chains, in a file outside the database: the proof that no chain was cut or
//! rewritten since. See `docs/operations.md` for how to check it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sendpromptly_core::audit::{
    AuditKey, AuditPublicKey, Checkpoint, CheckpointKind, ExportLine, Head, SignedCheckpoint,
};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use crate::config::KeyConfig;
use crate::config::keys::KeyFile;
use crate::platform::directory;
use crate::store::{Store, StoreError};
use crate::vault::audit_key::{self, KnownKeys};
use crate::vault::key_file::KeyFileError;

pub mod declare;
pub mod file;
#[cfg(test)]
mod tests;

use file::CheckpointFile;

/// Why a checkpoint could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The file cannot be written or read.
    #[error("the checkpoint file {} cannot be used: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The newest checkpoint is by no audit key that is known.
#[derive(Debug, thiserror::Error)]
pub enum Stranger {
    /// The newest one in the checkpoint file.
    #[error(
        "the newest checkpoint in {} was signed by another audit key, or changed: put that key back; where it is lost, add \
         the line of the audit.pub that you kept to the one at hand, or move the file aside with it, so that they prove the log \
         up to now",
        .0.display()
    )]
    OfFile(PathBuf),
    /// The newest one of which the store knows.
    #[error(
        "the newest checkpoint that the store notes was signed by another audit key, whose audit.pub would hold {0}: put that \
         key back; where it is lost, add the line of the audit.pub that you kept to the one at hand, and no line that you know \
         from here alone, for whoever writes the database can have it say this"
    )]
    OfStore(String),
}

/// Signs checkpoints and appends them to the checkpoint file.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    key: AuditKey,
    known: KnownKeys,
    path: PathBuf,
}

impl Checkpoints {
    /// Those signed by the audit key, which is made where the store has never had one.
    ///
    /// # Errors
    /// [`CheckpointError`] where the key cannot be had or the file cannot be appended to.
    pub fn open(config: &KeyConfig) -> Result<Self, CheckpointError> {
        Self::open_file(config, audit_key::open(&config.audit)?)
    }

    /// Those signed by the audit key, which must be there.
    ///
    /// # Errors
    /// As [`open`](Self::open), and where there is no key.
    pub fn open_with_key(config: &KeyConfig) -> Result<Self, CheckpointError> {
        let there = KeyFile {
            named: true,
            ..config.audit.clone()
        };
        Self::open_file(config, audit_key::open(&there)?)
    }

    fn open_file(config: &KeyConfig, (key, known): (AuditKey, KnownKeys)) -> Result<Self, CheckpointError> {
        let path = config.checkpoints.path.clone();
        if !config.checkpoints.named {
            directory::make_private(directory::of_file(&path)).map_err(|error| unusable(&path, error))?;
        }
        open_to_append(&path).map_err(|error| unusable(&path, error))?;
        Ok(Self { key, known, path })
    }

    /// The public half of the key that signs them.
    #[must_use]
    pub fn public_key(&self) -> AuditPublicKey {
        self.key.public()
    }

    /// The keys whose signatures count.
    #[must_use]
    pub const fn known_keys(&self) -> &KnownKeys {
        &self.known
    }

    /// The keys, in hex, whose signatures count beside its own.
    pub fn earlier_keys(&self) -> impl Iterator<Item = String> {
        let own = self.public_key().to_hex();
        self.known.in_hex().filter(move |key| *key != own)
    }

    /// What is wrong where the newest checkpoint of the file, or of those that the store notes, was signed by a key that is
    /// not known.
    ///
    /// # Errors
    /// [`CheckpointError`] where the file cannot be read, or the store fails.
    pub async fn stranger_to_any(&self, store: &Store) -> Result<Option<Stranger>, CheckpointError> {
        match self.stranger().await? {
            None => self.stranger_to(store).await,
            of_file => Ok(of_file),
        }
    }

    /// What is wrong where the newest checkpoint of the file was signed by a key that is not known: then the known ones do
    /// not check them all.
    ///
    /// # Errors
    /// [`CheckpointError::File`] where the file cannot be read.
    pub async fn stranger(&self) -> Result<Option<Stranger>, CheckpointError> {
        let is_foreign = matches!(ExportLine::parse(&self.last().await?),
            Ok(ExportLine::Checkpoint(signed)) if !self.known.have_signed(&signed));
        Ok(is_foreign.then(|| Stranger::OfFile(self.path.clone())))
    }

    /// The last line of the file, empty where there is none.
    async fn last(&self) -> Result<String, CheckpointError> {
        let path = self.path.clone();
        let last = tokio::task::spawn_blocking(move || last_line(&path)).await;
        last.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| unusable(&self.path, error))
    }

    /// What is wrong where the newest checkpoint that the store notes, in whichever file, was signed by a key that is not
    /// known: the key was lost, and a new pair made.
    ///
    /// # Errors
    /// [`CheckpointError::Store`] where the store fails.
    pub async fn stranger_to(&self, store: &Store) -> Result<Option<Stranger>, CheckpointError> {
        let newest = store.audit_keys().await?.into_iter().next();
        Ok(newest
            .filter(|key| !self.known.contain(key))
            .map(Stranger::OfStore))
    }

    /// The same before a restore is declared. The store may have gone back to before the key was replaced, so its word counts
    /// only where the file has none.
    ///
    /// # Errors
    /// As [`stranger_to_any`](Self::stranger_to_any).
    pub async fn stranger_to_restored(&self, store: &Store) -> Result<Option<Stranger>, CheckpointError> {
        match self.last().await?.is_empty() {
            true => self.stranger_to(store).await,
            false => self.stranger().await,
        }
    }

    /// Reads the checkpoint file. It blocks.
    ///
    /// # Errors
    /// [`CheckpointError::File`] where it cannot be read.
    pub fn read(&self) -> Result<CheckpointFile, CheckpointError> {
        file::read(&self.path, &self.known).map_err(|error| unusable(&self.path, error))
    }

    /// Reads the checkpoints that are wanted, and checks no other's signature; lines that prove nothing are passed
    /// over. It blocks.
    ///
    /// # Errors
    /// [`CheckpointError::File`] where the file cannot be read.
    pub fn read_some(
        &self,
        wanted: impl Fn(&SignedCheckpoint) -> bool,
    ) -> Result<Vec<SignedCheckpoint>, CheckpointError> {
        file::read_some(&self.path, &self.known, wanted).map_err(|error| unusable(&self.path, error))
    }

    /// Signs a checkpoint of a chain that ends here.
    #[must_use]
    pub fn sign(&self, organization: OrganizationId, head: Head, now: Timestamp) -> SignedCheckpoint {
        let kind = CheckpointKind::Periodic;
        self.key.sign(Checkpoint::new(organization, kind, head, now))
    }

    /// Signs that a chain's entries up to this one are dropped, and appends that; it is on disk then.
    ///
    /// # Errors
    /// [`CheckpointError::File`] where it cannot be written.
    pub async fn append_prune(
        &self,
        organization: OrganizationId,
        end: Head,
        now: Timestamp,
    ) -> Result<SignedCheckpoint, CheckpointError> {
        let kind = CheckpointKind::Prune;
        let signed = self.key.sign(Checkpoint::new(organization, kind, end, now));
        self.append(&[signed]).await?;
        Ok(signed)
    }

    /// Signs that a chain had these entries, and appends that; it is on disk then.
    ///
    /// # Errors
    /// [`CheckpointError::File`] where it cannot be written.
    pub async fn append_seen(
        &self,
        organization: OrganizationId,
        heads: &[Head],
        now: Timestamp,
    ) -> Result<Vec<SignedCheckpoint>, CheckpointError> {
        let signed: Vec<_> = heads
            .iter()
            .map(|head| self.sign(organization, *head, now))
            .collect();
        self.append(&signed).await?;
        Ok(signed)
    }

    /// Appends a checkpoint of every chain that has grown since its last one; gives how many. They are on
    /// disk before the store notes them.
    ///
    /// # Errors
    /// [`CheckpointError`]; the chains are then due again.
    pub async fn append_due(&self, store: &Store, now: Timestamp) -> Result<usize, CheckpointError> {
        let due = store.heads_to_checkpoint().await?;
        if due.is_empty() {
            return Ok(0);
        }
        let signed: Vec<_> = due
            .iter()
            .map(|(organization, head)| self.sign(*organization, *head, now))
            .collect();
        self.append(&signed).await?;
        store.note_checkpoints(&due, &self.public_key(), now).await?;
        Ok(due.len())
    }

    /// Appends these and waits until they are on disk.
    async fn append(&self, signed: &[SignedCheckpoint]) -> Result<(), CheckpointError> {
        let mut lines = String::new();
        for signed in signed {
            lines += &ExportLine::Checkpoint(*signed).to_json();
            lines.push('\n');
        }
        let path = self.path.clone();
        let appended = tokio::task::spawn_blocking(move || append(&path, &lines)).await;
        appended
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| unusable(&self.path, error))
    }
}

fn unusable(path: &Path, error: io::Error) -> CheckpointError {
    CheckpointError::File {
        path: path.to_owned(),
        error,
    }
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

/// Appends lines and waits until they are on disk. What a crash left of a line is cut off before.
fn append(path: &Path, lines: &str) -> io::Result<()> {
    let mut file = open_to_append(path)?;
    file.lock()?;
    cut_broken_line(&mut file)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

/// The last line that is whole; empty where there is none.
fn last_line(path: &Path) -> io::Result<String> {
    let (_, end) = end_of(&mut File::open(path)?)?;
    let text = String::from_utf8_lossy(&end);
    let whole = text.rfind('\n').map_or("", |at| &text[..at]);
    Ok(whole.rsplit('\n').next().unwrap_or_default().to_owned())
}

/// The end of a file, at least a line of it, and where that begins.
fn end_of(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    /// More than a checkpoint's line has.
    const LINE: u64 = 4_096;
    let start = file.metadata()?.len().saturating_sub(LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    Read::by_ref(file).take(LINE).read_to_end(&mut end)?;
    Ok((start, end))
}

fn cut_broken_line(file: &mut File) -> io::Result<()> {
    let (start, end) = end_of(file)?;
    let whole = end
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |place| place + 1);
    if whole == end.len() {
        return Ok(());
    }
    file.set_len(start + whole as u64)
}
