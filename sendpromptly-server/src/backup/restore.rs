//! Putting a backup into an empty store. Everything is verified before anything is written, and what is written is
//! in use whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::{Action, Draft as Entry, Head, INSTANCE, Origin};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;
use serde::Serialize;

use super::draft::{Passing, beside};
use super::format::{Header, Kind, Part, Sound};
use super::take::pipe;
use super::{BackupError, Programs, blocking, keys_file};
use crate::checkpoints::Checkpoints;
use crate::checkpoints::declare::{Declared, Seen, declare};
use crate::config::Config;
use crate::store::restored::set_right;
use crate::store::whole::put_in_place;
use crate::store::{DatabaseUrl, Store, StoreError, audit, migrations};
use crate::vault;

/// What a restore has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// When the backup was begun.
    pub made_at: String,
    /// Keys that go by days and are back.
    pub day_keys: usize,
    /// Keys that go by days and are lost, for their file was not there.
    pub day_keys_lost: usize,
    /// Keys that are back and do not unwrap: they were damaged when the backup was made.
    pub keys_damaged: usize,
    /// Where each audit chain goes on.
    pub chains: Vec<Declared>,
}

/// Puts a backup into the empty store that the configuration names. Further files of checkpoints tell what was
/// lost by it.
///
/// # Errors
/// [`BackupError`]; the store is as empty as it was, or says that its restore was not finished.
pub async fn restore(
    config: &Config,
    file: &Path,
    checkpoint_files: &[PathBuf],
    origin: &Origin,
    now: Timestamp,
) -> Result<Restored, BackupError> {
    let backup = verify(config, file).await?;
    let checkpoints = Checkpoints::open(&config.keys)?;
    if let Some(stranger) = checkpoints.stranger().await? {
        return Err(BackupError::Refused(stranger.to_string()));
    }
    let seen = Seen::read(&checkpoints, checkpoint_files)?;
    let ready = Ready {
        config,
        backup,
        checkpoints,
        seen,
        origin,
        now,
    };
    let chains = match &config.storage.database {
        DatabaseUrl::Sqlite(path) => ready.put_into_sqlite(path).await?,
        DatabaseUrl::Postgres(url) => ready.put_into_postgres(url).await?,
    };
    let Backup {
        main,
        by_days,
        keys_damaged,
    } = &ready.backup;
    Ok(Restored {
        made_at: main.header.made_at.clone(),
        day_keys: by_days.as_ref().map_or(0, |keys| keys.keys.len()),
        day_keys_lost: by_days.as_ref().map_or(main.header.day_keys, |_| 0),
        keys_damaged: *keys_damaged,
        chains,
    })
}

/// Where each audit chain ends.
type Heads = Vec<(OrganizationId, Head)>;

/// A backup that can be put back.
struct Backup {
    main: Sound,
    by_days: Option<Sound>,
    keys_damaged: usize,
}

/// Everything that a restore needs.
struct Ready<'a> {
    config: &'a Config,
    backup: Backup,
    checkpoints: Checkpoints,
    seen: Seen,
    origin: &'a Origin,
    now: Timestamp,
}

async fn verify(config: &Config, file: &Path) -> Result<Backup, BackupError> {
    let path = file.to_owned();
    let mut backup = blocking(move || read(&path)).await?;
    let header = &backup.main.header;
    if header.store != Kind::from(config.storage.database.dialect()) {
        return Err(BackupError::Refused(format!(
            "the backup is of another kind of database than {}; name one of its kind by --database-url",
            config.storage.database
        )));
    }
    if !migrations::are_known(&header.schema) {
        return Err(BackupError::Refused(format!(
            "the backup was made by a later version, {}; restore it by that one",
            header.program
        )));
    }
    let keys = backup.main.keys.iter();
    let by_days = backup.by_days.iter().flat_map(|sound| &sound.keys);
    let keys = keys.chain(by_days).map(|row| &row.key);
    backup.keys_damaged = vault::must_open(&config.keys, keys).await?;
    Ok(backup)
}

fn read(file: &Path) -> Result<Backup, BackupError> {
    let main = Sound::read(file, Part::Main)?;
    let path = keys_file(file);
    let by_days = match Sound::read(&path, Part::Keys) {
        Err(BackupError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read?),
    };
    let is_another = |keys: &Sound| keys.header.backup != main.header.backup;
    if by_days.as_ref().is_some_and(is_another) {
        return Err(BackupError::Broken {
            path,
            why: "it belongs to another backup; move it away to restore without it",
        });
    }
    Ok(Backup {
        main,
        by_days,
        keys_damaged: 0,
    })
}

impl Ready<'_> {
    fn header(&self) -> &Header {
        &self.backup.main.header
    }

    /// All is done in a file beside, which takes the store's place at the end.
    async fn put_into_sqlite(&self, path: &Path) -> Result<Vec<Declared>, BackupError> {
        let _reserved = Store::reserve_sqlite(path)?;
        must_be_unused(path).await?;
        let made = Passing::begin(beside(path, ".restoring"))?;
        let written = fs::OpenOptions::new()
            .write(true)
            .open(made.path())
            .and_then(|mut file| io::copy(&mut self.content()?, &mut file));
        written.map_err(|error| BackupError::io(made.path(), error))?;
        let store = Store::open_alone(made.path()).await?;
        if let Some(damage) = store.damage().await? {
            return Err(BackupError::Refused(format!(
                "the backup's content is damaged: {damage}"
            )));
        }
        let (tx, heads) = self.complete(&store).await?;
        tx.commit().await.map_err(StoreError::from)?;
        store.close().await?;
        let chains = self.declare(heads).await?;
        put_in_place(made.path(), path).map_err(|error| BackupError::io(path, error))?;
        Ok(chains)
    }

    fn content(&self) -> io::Result<impl io::Read + use<>> {
        self.backup.main.content().map_err(io::Error::other)
    }

    async fn put_into_postgres(&self, url: &str) -> Result<Vec<Declared>, BackupError> {
        let programs = Programs::new(self.config.storage.pg_bin_dir.clone(), url);
        let Some(of_dump) = &self.header().postgres else {
            return Err(BackupError::Refused(
                "the backup does not tell its schema".to_owned(),
            ));
        };
        let asked = programs.clone();
        let reader = blocking(move || asked.version("pg_restore")).await?;
        if reader < of_dump.dumped_by {
            return Err(BackupError::Program(format!(
                "pg_restore is of version {reader}, the backup was made by version {}: name the directory of one that is \
                 not older by --pg-bin-dir",
                of_dump.dumped_by
            )));
        }
        let store = Store::connect_to_postgres(url).await?;
        let schema = store.current_schema().await?.unwrap_or_default();
        if schema != of_dump.schema {
            return Err(BackupError::Refused(format!(
                "the backup's tables lay in the schema \"{}\", and this database's first one is \"{schema}\": set the \
                 search_path of its role",
                of_dump.schema
            )));
        }
        let turn = store.take_turn().await?;
        turn.keep_servers_away().await?;
        store.begin_restore().await?;
        let main = Sound::read(self.backup.main.path(), Part::Main)?;
        blocking(move || pipe(&main, programs.restore(&schema)?)).await?;
        let (tx, heads) = self.complete(&store).await?;
        let chains = self.declare(heads).await?;
        tx.commit().await.map_err(StoreError::from)?;
        turn.end().await?;
        store.close().await?;
        Ok(chains)
    }

    /// Puts the keys back, brings the tables up to date, and gives to where the audit log went back. The commit makes
    /// it a store that can be used.
    async fn complete(&self, store: &Store) -> Result<(DatabaseTransaction, Heads), BackupError> {
        // Before the steps that are missing: so they find the table as the backup's own version had it, whole.
        store.put_key_rows(&self.backup.main.keys).await?;
        if let Some(by_days) = &self.backup.by_days {
            store.put_key_rows(&by_days.keys).await?;
        }
        store.complete_schema().await?;
        let heads = store.audit_heads().await?;
        let header = self.header();
        let details = [
            ("backup", header.backup.as_str()),
            ("made_at", header.made_at.as_str()),
        ];
        let entry = Entry::new(self.origin, Action::StoreRestored, INSTANCE, &details);
        let drafts = audit::drafts_of(INSTANCE, self.now, vec![entry]);
        let tx = store.begin().await?;
        store.write_audited(&tx, set_right(self.now), &drafts).await?;
        store.finish_restore(&tx).await?;
        Ok((tx, heads))
    }

    /// Tells of the restore beside the store: last, for what is signed cannot be taken back.
    async fn declare(&self, heads: Heads) -> Result<Vec<Declared>, BackupError> {
        Ok(declare(heads, &self.checkpoints, &self.seen, self.now).await?)
    }
}

/// A file with tables that nobody has put anything into is as good as none; what it leaves beside it goes.
async fn must_be_unused(path: &Path) -> Result<(), BackupError> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > 0) {
        let store = Store::open_to_look(path).await?;
        let unused = store.is_unused().await;
        store.close().await?;
        if !unused? {
            return Err(BackupError::Refused(format!(
                "{} is not empty, and a restore goes into an empty store only; move it away, or name another one by \
                 --database-url",
                path.display()
            )));
        }
        // What lies in the log beside it comes into the file, and the log goes.
        Store::open_alone(path).await?.close().await?;
    }
    let left = ["-wal", "-journal"].map(|ending| beside(path, ending));
    if let Some(left) = left.iter().find(|left| left.exists()) {
        return Err(BackupError::Refused(format!(
            "{} is left of an earlier database; move it away first",
            left.display()
        )));
    }
    Ok(())
}
