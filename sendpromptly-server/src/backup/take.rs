//! Making a backup of a store that is in use.

use std::io;
use std::path::{Path, PathBuf};

use sendpromptly_core::audit::{Action, Draft as Entry, INSTANCE, Origin};
use sendpromptly_core::hex;
use sendpromptly_core::time::Timestamp;
use serde::Serialize;

use super::draft::{Draft, Passing, beside, must_be_absent};
use super::format::{self, Header, Part, Sound, Writer};
use super::left::take_up_keys;
use super::{BackupError, Making, Programs, blocking, keys_file};
use crate::platform::entropy;
use crate::store::copying::applied_steps;
use crate::store::key_rows::{self, KeyRow};
use crate::store::{Dialect, Store, audit};

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The file.
    pub file: String,
    /// The file beside it, which holds the keys that go by days.
    pub keys_file: String,
    /// When it was begun: what was committed before is in it.
    pub made_at: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of all but its last 32 bytes, which are this.
    pub sha256: String,
    /// The last step of the schema.
    pub schema: String,
    /// Keys that go by days.
    pub day_keys: usize,
    /// Whether it was read again.
    pub verified: bool,
}

/// Which backup is to be made.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The file.
    pub file: &'a Path,
    /// What dumps PostgreSQL, where the store is there.
    pub programs: Option<Programs>,
    /// Whether it is to be read again.
    pub verify: bool,
}

/// Makes a backup in this file, and one of the keys that go by days beside it; reads both again where asked.
///
/// # Errors
/// [`BackupError`]; neither file is there then, unless it was before.
pub async fn take(
    store: &Store,
    wanted: Wanted<'_>,
    making: &Making,
    origin: &Origin,
    now: Timestamp,
) -> Result<Taken, BackupError> {
    let Wanted {
        file,
        programs,
        verify,
    } = wanted;
    must_be_text(file)?;
    let (main, keys) = making.begin(|| begin(file, store.dialect()))?;
    // Whoever has a backup and the master key has everything: so it is told that one was made, in it as well.
    let details = [("file", &*file.to_string_lossy())];
    let entry = Entry::new(origin, Action::StoreBackedUp, INSTANCE, &details);
    let drafts = audit::drafts_of(INSTANCE, now, vec![entry]);
    store.commit_audited(&[], &drafts).await?;
    let (content, front) = match programs {
        Some(programs) => of_postgres(store, programs, now).await?,
        None => of_sqlite(store, file, now).await?,
    };
    let (of_main, of_keys, making) = (file.to_owned(), keys_file(file), making.clone());
    let finished = blocking(move || {
        let taken = write(&main, &keys, &content, &front, verify)?;
        drop(content);
        making.name(|| {
            // Without this one there is no backup; so a kill in between leaves none that lacks its keys.
            keys.finish()?;
            main.finish().inspect_err(|_| {
                // Without it they would stand in the way of the next one.
                if must_be_absent(&of_main).is_ok() {
                    let _ = std::fs::remove_file(&of_keys);
                }
            })
        })?;
        Ok((taken, front.header))
    });
    let ((bytes, sum), header) = finished.await?;
    Ok(Taken {
        file: file.display().to_string(),
        keys_file: keys_file(file).display().to_string(),
        made_at: header.made_at,
        bytes,
        sha256: hex::encode(&sum),
        schema: header.schema.last().cloned().unwrap_or_default(),
        day_keys: header.day_keys,
        verified: verify,
    })
}

/// Begins both files; gives with them the paths of all that is made by and by.
fn begin(file: &Path, dialect: Dialect) -> Result<((Draft, Draft), Vec<PathBuf>), BackupError> {
    let main = Draft::begin_after(file, |left| take_up_keys(file, left))?;
    let keys = Draft::begin(&keys_file(file))?;
    let mut paths = vec![main.path().to_owned(), keys.path().to_owned()];
    if dialect == Dialect::Sqlite {
        paths.extend(Passing::all_of(&copy_of(file)));
    }
    Ok(((main, keys), paths))
}

/// SQLite, the audit log and what is printed name it by text.
fn must_be_text(file: &Path) -> Result<(), BackupError> {
    match file.to_str() {
        Some(_) => Ok(()),
        None => Err(BackupError::Refused(format!(
            "{} is not in UTF-8: name the backup, and its directory, by a name that is",
            file.display()
        ))),
    }
}

/// Where SQLite's copy lies until it is packed.
fn copy_of(file: &Path) -> PathBuf {
    beside(file, ".copy")
}

/// What stands before the content.
struct Front {
    header: Header,
    keys: Vec<KeyRow>,
}

/// Where the content comes from.
enum Content {
    /// A SQLite file.
    Copy(Passing),
    /// A dump of what this moment saw, which lasts as long as the transaction.
    Dump {
        programs: Programs,
        snapshot: String,
        schema: String,
        _transaction: Box<dyn std::any::Any + Send>,
    },
}

async fn of_sqlite(store: &Store, file: &Path, now: Timestamp) -> Result<(Content, Front), BackupError> {
    let copy = Passing::begin(copy_of(file))?;
    // Its words would be of the database's disk, and it may be this file's that is full.
    let copied = store.copy_into(copy.path()).await;
    copied.map_err(|error| BackupError::Refused(format!("{}: {error}", copy.path().display())))?;
    let copied = Store::open_alone(copy.path()).await?;
    // A restore would refuse it, and by then it may be the only one there is.
    if let Some(damage) = copied.damage().await? {
        return Err(BackupError::Refused(format!(
            "the database is damaged, and so would be its backup: {damage}"
        )));
    }
    let schema = applied_steps(copied.reader()).await?;
    let keys = key_rows::read(copied.reader()).await?;
    copied.remove_key_rows().await?;
    copied.close().await?;
    Ok((Content::Copy(copy), front(Dialect::Sqlite, schema, keys, now)))
}

async fn of_postgres(
    store: &Store,
    programs: Programs,
    now: Timestamp,
) -> Result<(Content, Front), BackupError> {
    let server = store.server_version().await?;
    let asked = programs.clone();
    let dumper = blocking(move || asked.dumper_of(server)).await?;
    let point = store.dump_point().await?;
    let steps = applied_steps(&point.transaction).await?;
    let keys = key_rows::read(&point.transaction).await?;
    let mut front = front(Dialect::Postgres, steps, keys, now);
    front.header.postgres = Some(format::Postgres {
        schema: point.schema.clone(),
        dumped_by: dumper,
    });
    let content = Content::Dump {
        programs,
        snapshot: point.snapshot,
        schema: point.schema,
        _transaction: Box::new(point.transaction),
    };
    Ok((content, front))
}

fn front(dialect: Dialect, schema: Vec<String>, keys: Vec<KeyRow>, now: Timestamp) -> Front {
    let header = Header {
        backup: hex::encode(&entropy::bytes::<16>()),
        store: dialect.into(),
        made_at: now.to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        day_keys: keys.iter().filter(|key| key.goes_by_days()).count(),
        postgres: None,
    };
    Front { header, keys }
}

/// Writes both files; gives the main one's length and checksum.
fn write(
    main: &Draft,
    keys: &Draft,
    content: &Content,
    front: &Front,
    verify: bool,
) -> Result<(u64, [u8; 32]), BackupError> {
    let (by_days, lasting): (Vec<_>, Vec<_>) = front.keys.iter().cloned().partition(KeyRow::goes_by_days);
    let header = &front.header;
    let failed = |draft: &Draft, error| BackupError::io(draft.path(), error);
    let whole = Writer::begin(keys.file(), Part::Keys, header, &by_days).and_then(Writer::finish);
    whole.map_err(|error| failed(keys, error))?;
    let writer = Writer::begin(main.file(), Part::Main, header, &lasting);
    let mut writer = writer.map_err(|error| failed(main, error))?;
    match content {
        Content::Copy(copy) => {
            let copied = std::fs::File::open(copy.path()).and_then(|mut copy| writer.copy(&mut copy));
            copied.map_err(|error| failed(main, error))?;
        }
        Content::Dump {
            programs,
            snapshot,
            schema,
            ..
        } => {
            let mut dump = programs.dump(snapshot, schema)?;
            let copied = dump.output().and_then(|mut output| writer.copy(&mut output));
            // A full disk is told as such, not as the end that it makes of the dump.
            match copied {
                Err(error) if is_of_the_disk(&error) => {
                    let _ = dump.end(Err(io::ErrorKind::BrokenPipe.into()));
                    return Err(failed(main, error));
                }
                copied => dump.end(copied)?,
            }
        }
    }
    let written = writer.finish().map_err(|error| failed(main, error))?;
    if verify {
        Sound::read(keys.path(), Part::Keys)?;
        read_through(&Sound::read(main.path(), Part::Main)?, content)?;
    }
    Ok(written)
}

fn is_of_the_disk(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | FileTooLarge | QuotaExceeded) || error.raw_os_error().is_some()
}

/// A dump is read by the program that will have to read it.
fn read_through(sound: &Sound, content: &Content) -> Result<(), BackupError> {
    let Content::Dump { programs, .. } = content else {
        return Ok(()); // the copy was looked at before it was packed
    };
    pipe(sound, programs.read_through()?)
}

/// Feeds a program with the content of a backup.
pub(super) fn pipe(sound: &Sound, mut program: super::postgres::Running) -> Result<(), BackupError> {
    let mut content = sound.content()?;
    let piped = program
        .input()
        .and_then(|mut input| io::copy(&mut content, &mut input).map(|_| ()));
    program.end(piped)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_name_that_is_no_text_is_refused_in_words_and_not_changed() {
        let name = std::ffi::OsStr::from_bytes(b"/backup/caf\xe9.backup");
        let refused = must_be_text(Path::new(name)).unwrap_err().to_string();
        assert!(refused.contains("UTF-8"), "{refused}");
        assert!(must_be_text(Path::new("/backup/café.backup")).is_ok());
    }
}
