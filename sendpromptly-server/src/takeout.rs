//! An organization in a directory: one file of JSON lines for each table, its audit log with the proof, and a
//! manifest with the SHA-256 of each. The directory appears whole or not at all. See `docs/data.md`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::hex;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::snapshot::ReadReason;
use sendpromptly_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::checkpoints::Checkpoints;
use crate::platform::{directory, entropy};
use crate::store::scope::OrganizationScope;
use crate::store::snapshots::Era;
use crate::store::takeout::table::{Content, Table};
use crate::store::takeout::tables;
use crate::store::takeout::{Line, Place, SealedField, Takeout};
use crate::store::{Store, StoreError, audit};
use crate::trail::export::Export;
use crate::vault::{Purpose, Vault, VaultError};

/// The form of the files, as the manifest names it.
const FORMAT: &str = "sendpromptly.export.v1";

/// Why an organization could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoutError {
    /// There is no such organization.
    #[error("there is no such organization")]
    NoOrganization,
    /// The directory is there already.
    #[error("{} is there already; name a directory that is not", .0.display())]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("{} cannot be written: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// How.
        error: io::Error,
    },
    /// A sealed value does not open, though its key is there or may be.
    #[error(
        "what is sealed in {row} of {project} does not open: {error}; without --with-snapshots it stays sealed"
    )]
    Sealed {
        /// Whose.
        project: ProjectId,
        /// The row that it was sealed for, in hex digits.
        row: String,
        /// How.
        error: VaultError,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What opens what is kept sealed, and why that goes along.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// Opens it.
    pub vault: &'a Vault,
    /// Why; the audit log tells it.
    pub reason: &'a ReadReason,
}

/// Who exports what, and by whose means.
#[derive(Debug)]
pub struct Taker<'a> {
    /// The store.
    pub store: &'a Store,
    /// The organization.
    pub scope: OrganizationScope,
    /// Signs where the audit log ends.
    pub checkpoints: &'a Checkpoints,
    /// Opens what is kept sealed, where that goes along.
    pub opening: Option<Opening<'a>>,
    /// Who asks.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

/// What an export holds.
#[derive(Debug, Serialize)]
pub struct Manifest {
    format: &'static str,
    organization_id: String,
    exported_at: String,
    program: &'static str,
    /// Whether what is kept sealed is in it, opened.
    with_snapshots: bool,
    files: Vec<Listed>,
    left_out: Vec<LeftOut>,
}

/// A file of an export.
#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    lines: u64,
    bytes: u64,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    table: &'static str,
    because: &'static str,
}

/// An export that was made.
#[derive(Debug)]
pub struct Made {
    /// The SHA-256 of its manifest.
    pub manifest: [u8; 32],
    /// How many lines its files have.
    pub lines: u64,
}

impl Taker<'_> {
    /// Writes everything into a directory, which must not be there yet. The audit log tells of it first.
    ///
    /// # Errors
    /// [`TakeoutError`] by its cause; the directory is then not there.
    pub async fn export(&self, to: &Path) -> Result<Made, TakeoutError> {
        if fs::symlink_metadata(to).is_ok() {
            return Err(TakeoutError::Exists(to.to_owned()));
        }
        if !self.store.has_organization(self.scope.id()).await? {
            return Err(TakeoutError::NoOrganization);
        }
        let reason = self.opening.map(|opening| opening.reason.as_str());
        let opened = reason.map(|reason| [("with_snapshots", "true"), ("reason", reason)]);
        let details = opened.as_ref().map_or(&[][..], |details| &details[..]);
        let draft = Draft::new(
            self.origin,
            Action::OrganizationExported,
            self.scope.id(),
            details,
        );
        let drafts = audit::drafts_of(self.scope.id(), self.now, vec![draft]);
        self.store.commit_audited(&[], &drafts).await?;
        let draft = Unfinished::make(to)?;
        let made = self.fill(&draft.path).await?;
        draft.become_whole(to)?;
        Ok(made)
    }

    async fn fill(&self, directory: &Path) -> Result<Made, TakeoutError> {
        let takeout = self.store.takeout(self.scope, self.now).await?;
        let takeout = takeout.ok_or(TakeoutError::NoOrganization)?;
        let (mut files, mut left_out) = (Vec::new(), left_out());
        for table in tables::TAKEN {
            if table.is_sealed_whole() && self.opening.is_none() {
                left_out.push(LeftOut {
                    table: table.name,
                    because: "sealed; it is opened with --with-snapshots",
                });
                continue;
            }
            files.push(self.write_table(&takeout, table, directory).await?);
        }
        files.push(self.write_audit(&takeout, directory).await?);
        let lines = files.iter().map(|file| file.lines).sum();
        let manifest = Manifest {
            format: FORMAT,
            organization_id: self.scope.id().to_string(),
            exported_at: self.now.to_string(),
            program: env!("CARGO_PKG_VERSION"),
            with_snapshots: self.opening.is_some(),
            files,
            left_out,
        };
        let mut file = Written::create(directory, "manifest.json".to_owned())?;
        let text = serde_json::to_string_pretty(&manifest).map_err(|error| file.failed(error.into()))?;
        file.write(&(text + "\n"))?;
        let manifest = file.finish_raw()?.1;
        Ok(Made { manifest, lines })
    }

    async fn write_table(
        &self,
        takeout: &Takeout,
        table: &'static Table,
        directory: &Path,
    ) -> Result<Listed, TakeoutError> {
        let mut file = Written::create(directory, format!("{}.jsonl", table.name))?;
        let mut place = Place::begin(table);
        loop {
            let lines = takeout.next(&mut place, self.opening.is_some()).await?;
            if lines.is_empty() {
                return file.finish();
            }
            for line in lines {
                file.write(&self.text_of(line).await?)?;
            }
        }
    }

    async fn text_of(&self, line: Line) -> Result<String, TakeoutError> {
        let mut fields = line.fields;
        if let (Some(sealed), Some(Opening { vault, .. })) = (&line.sealed, self.opening) {
            fields.insert(sealed.column.name.to_owned(), opened(vault, sealed).await?);
        }
        Ok(format!("{}\n", Value::Object(fields)))
    }

    /// The audit log of the same moment as the rows.
    async fn write_audit(&self, takeout: &Takeout, directory: &Path) -> Result<Listed, TakeoutError> {
        let mut file = Written::create(directory, "audit.jsonl".to_owned())?;
        let mut export = Export::of_takeout(takeout, self.checkpoints, self.now).await?;
        while let Some(lines) = export.next().await? {
            file.write(&lines)?;
        }
        file.finish()
    }
}

fn left_out() -> Vec<LeftOut> {
    let listed = tables::LEFT_OUT.iter();
    listed
        .map(|(table, because)| LeftOut { table, because })
        .collect()
}

/// What was sealed, as text; nothing where its key is destroyed, and only there: what was changed, or cannot be
/// opened just now, must not pass for what is forgotten.
async fn opened(vault: &Vault, sealed: &SealedField) -> Result<Value, TakeoutError> {
    let (project, row, bytes) = (sealed.project, &sealed.row, &sealed.bytes);
    let opened = match sealed.column.content {
        Content::Answer => {
            let head = vault.open_sealed(Purpose::Answer(project), row, bytes).await;
            // An answer's beginning may be cut off within a character.
            head.map(|head| String::from_utf8_lossy(&head).into_owned())
        }
        Content::Payload => {
            let any = Purpose::Snapshot(project, Era::default()); // a value names its own key
            let payload = vault.open_packed(any, row, bytes).await;
            payload.map(|payload| payload.as_str().to_owned())
        }
    };
    match opened {
        Ok(text) => Ok(text.into()),
        Err(error) if error.is_without_key() => Ok(Value::Null),
        Err(error) => Err(TakeoutError::Sealed {
            project,
            row: hex::encode(row),
            error,
        }),
    }
}

/// A directory in the making, which goes unless it becomes whole.
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn make(to: &Path) -> Result<Self, TakeoutError> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".part-{}", hex::encode(&entropy::bytes::<8>())));
        let path = to.with_file_name(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| unwritable(&path, error))?;
        Ok(Self { path })
    }

    /// Its files are on disk; so is their directory, and then its name.
    fn become_whole(self, to: &Path) -> Result<(), TakeoutError> {
        let sync = |path: &Path| File::open(path).and_then(|directory| directory.sync_all());
        let whole = sync(&self.path)
            .and_then(|()| fs::rename(&self.path, to))
            .and_then(|()| sync(directory::of_file(to)));
        whole.map_err(|error| unwritable(to, error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "what is left of an export cannot be removed");
        }
    }
}

/// A file in the making, hashed as it is written.
struct Written {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    hash: Sha256,
    lines: u64,
    bytes: u64,
}

impl Written {
    fn create(directory: &Path, name: String) -> Result<Self, TakeoutError> {
        let path = directory.join(&name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|error| unwritable(&path, error))?;
        Ok(Self {
            name,
            path,
            file: BufWriter::new(file),
            hash: Sha256::new(),
            lines: 0,
            bytes: 0,
        })
    }

    fn write(&mut self, lines: &str) -> Result<(), TakeoutError> {
        self.hash.update(lines);
        self.lines += lines.bytes().filter(|byte| *byte == b'\n').count() as u64;
        self.bytes += lines.len() as u64;
        let written = self.file.write_all(lines.as_bytes());
        written.map_err(|error| self.failed(error))
    }

    fn finish(self) -> Result<Listed, TakeoutError> {
        let (file, hash) = self.finish_raw()?;
        Ok(Listed {
            name: file.name,
            lines: file.lines,
            bytes: file.bytes,
            sha256: hex::encode(&hash),
        })
    }

    /// It is on disk then.
    fn finish_raw(mut self) -> Result<(Self, [u8; 32]), TakeoutError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|error| self.failed(error))?;
        let hash = self.hash.clone().finalize().into();
        Ok((self, hash))
    }

    fn failed(&self, error: io::Error) -> TakeoutError {
        unwritable(&self.path, error)
    }
}

fn unwritable(path: &Path, error: io::Error) -> TakeoutError {
    TakeoutError::File {
        path: path.to_owned(),
        error,
    }
}
