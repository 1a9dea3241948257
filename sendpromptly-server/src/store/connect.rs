//! Opening a store: its files, its locks, and how its connections are set up.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sea_orm::sqlx::pool::PoolConnectionMetadata;
use sea_orm::sqlx::sqlite::{SqliteAutoVacuum, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, Connection};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use super::{DatabaseUrl, Dialect, Store, StoreError, migrations};
use crate::platform::directory;

/// How long to wait for a connection, or for SQLite's write lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// SQLite connections that read.
const SQLITE_READERS: u32 = 4;

/// Pages in the write-ahead log before they go to the file, about 128 MB: random keys touch the same pages
/// again and again, so checkpoints that come less often write less, and fewer requests wait for one.
const SQLITE_CHECKPOINT_PAGES: &str = "32000";

/// A connection that lay idle for longer is tried before it is used.
const TRUST_IDLE_FOR: Duration = Duration::from_secs(1);

/// The first version of SQLite without the race that could lose committed rows when the write-ahead log is
/// reset.
const SQLITE_AT_LEAST: [u32; 3] = [3, 51, 3];

/// What the file is called that whoever uses a SQLite file locks.
const USE: &str = "use.lock";

/// What the store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreRole {
    /// The server: on SQLite the only one at a time, and the one whose commits checkpoint.
    Serve,
    /// The command that brings the tables up to date.
    Migrate,
    /// `org create`, which may come before everything else: on a store that is there it leaves migrations to others.
    First,
    /// A command beside the server, over what is there: a store that it made would not be the one that is meant.
    Command,
}

impl StoreRole {
    pub(super) const fn may_migrate(self) -> bool {
        matches!(self, Self::Serve | Self::Migrate)
    }

    pub(super) const fn may_make(self) -> bool {
        !matches!(self, Self::Command)
    }
}

impl Store {
    /// Opens a store, makes it where it is absent and the role may, and likewise brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it cannot be reached, or, for `serve` on SQLite, where another
    /// server has it; [`StoreError::Schema`] where its tables are not those of this program.
    pub async fn open(url: &DatabaseUrl, role: StoreRole, connections: u32) -> Result<Self, StoreError> {
        let store = match url {
            DatabaseUrl::Sqlite(path) => open_sqlite(path, role).await?,
            DatabaseUrl::Postgres(url) => open_postgres(url, connections, role).await?,
        };
        migrations::prepare(&store, role).await?;
        Ok(store)
    }

    /// Opens connections to PostgreSQL that only committers use ([`for_commits`](Self::for_commits)); on SQLite all
    /// write over one, in turns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it cannot be reached.
    pub async fn reserve_for_commits(
        &mut self,
        url: &DatabaseUrl,
        connections: u32,
    ) -> Result<(), StoreError> {
        if let DatabaseUrl::Postgres(url) = url {
            self.commits = Some(connect_postgres(url, connections, StoreRole::Serve).await?);
        }
        Ok(())
    }
}

async fn open_sqlite(path: &Path, role: StoreRole) -> Result<Store, StoreError> {
    if role.may_make() {
        make_directory_of(path)?;
        make_for_owner_only(path)?;
    } else {
        must_be_there(path)?;
    }
    let in_use = keep_restores_away(path)?;
    let serving = match role {
        StoreRole::Serve => Some(lock_for_serving(path)?),
        StoreRole::Migrate | StoreRole::First | StoreRole::Command => None,
    };
    let locks = Arc::new([Some(in_use), serving]);
    let is_new = fs::metadata(path).is_ok_and(|file| file.len() == 0);
    let writer = connect_sqlite(path, 1, move |options| {
        let checkpoint = if role == StoreRole::Serve {
            SQLITE_CHECKPOINT_PAGES
        } else {
            "0"
        };
        // It is a new file's; one that was made without is compacted once. To say it again would take the write lock.
        let options = if is_new {
            options.auto_vacuum(SqliteAutoVacuum::Incremental)
        } else {
            options
        };
        options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("wal_autocheckpoint", checkpoint)
            .pragma("cache_size", "-16000")
            // What a statement over many rows would have to undo is kept in memory, not in a file.
            .pragma("temp_store", "memory")
            // What is deleted leaves no bytes behind on the pages that are written for it: keys among it.
            .pragma("secure_delete", "fast")
            .statement_cache_capacity(256)
    })
    .await?;
    must_be_sound_sqlite(&writer).await?;
    let reader = connect_sqlite(path, SQLITE_READERS, |options| {
        // What goes from the log into the file over one of these must be on the disk before the log is written anew.
        options
            .pragma("query_only", "1")
            .synchronous(SqliteSynchronous::Full)
    })
    .await?;
    Ok(Store {
        dialect: Dialect::Sqlite,
        writer,
        reader,
        commits: None,
        locks: Some(locks),
    })
}

pub(super) async fn connect_sqlite(
    path: &Path,
    connections: u32,
    setup: impl Fn(sqlx::sqlite::SqliteConnectOptions) -> sqlx::sqlite::SqliteConnectOptions
    + Send
    + Sync
    + 'static,
) -> Result<DatabaseConnection, StoreError> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    let path = path.to_owned();
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_before_acquire(is_outside_transactions)
        .map_sqlx_sqlite_opts(move |_| {
            let fresh = sqlx::sqlite::SqliteConnectOptions::new();
            setup(
                fresh
                    .filename(&path)
                    .create_if_missing(true)
                    .busy_timeout(PATIENCE),
            )
        });
    Ok(Database::connect(options).await?)
}

/// After a commit that failed, SQLite has ended the transaction while the library counts it as begun: the next
/// one would be nested in it, and its commit would reach no disk. Such a connection is never used again.
fn is_outside_transactions(
    connection: &mut SqliteConnection,
    _: PoolConnectionMetadata,
) -> BoxFuture<'_, Result<bool, sqlx::Error>> {
    Box::pin(async move {
        if connection.is_in_transaction() {
            // A transaction that was dropped is undone by the connection's own thread, before it answers this.
            connection.ping().await?;
        }
        Ok(!connection.is_in_transaction())
    })
}

pub(super) async fn open_postgres(url: &str, connections: u32, role: StoreRole) -> Result<Store, StoreError> {
    if role == StoreRole::Serve {
        must_not_be_restored_into(url).await?;
    }
    let pool = connect_postgres(url, connections, role).await?;
    Ok(Store {
        dialect: Dialect::Postgres,
        writer: pool.clone(),
        reader: pool,
        commits: None,
        locks: None,
    })
}

async fn connect_postgres(
    url: &str,
    connections: u32,
    role: StoreRole,
) -> Result<DatabaseConnection, StoreError> {
    let mut options = postgres_options(url, connections);
    if role == StoreRole::Serve {
        // Each connection keeps restores away, so that none gets in while one of them is made anew.
        options.map_sqlx_postgres_pool_opts(|pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::query(SERVE).execute(connection).await?;
                    Ok(())
                })
            })
        });
    }
    Ok(Database::connect(options).await?)
}

/// A lock that servers share and a restore has alone: an arbitrary number, and the schema in which the tables lie.
/// A session has it for as long as it lasts.
const SERVE: &str =
    "SELECT pg_advisory_lock_shared(1582142472, hashtext(coalesce(current_schema()::text, '')))";

/// Whether a server could have it now.
const MAY_SERVE: &str = "SELECT pg_try_advisory_lock_shared(1582142472, \
     hashtext(coalesce(current_schema()::text, ''))) AS free";

/// Takes it for a restore, until the transaction ends.
pub(super) const KEEP_SERVERS_AWAY: &str = "SELECT pg_try_advisory_xact_lock(1582142472, \
     hashtext(coalesce(current_schema()::text, ''))) AS free";

async fn must_not_be_restored_into(url: &str) -> Result<(), StoreError> {
    let looking = Database::connect(postgres_options(url, 1)).await?;
    let query = Statement::from_string(DbBackend::Postgres, MAY_SERVE);
    let row = looking.query_one_raw(query).await?;
    looking.close().await?;
    match row.map(|row| row.try_get("", "free")).transpose()? {
        Some(true) => Ok(()),
        _ => Err(StoreError::Unavailable(
            "a restore into this database is under way; start the server when it has ended".to_owned(),
        )),
    }
}

fn postgres_options(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(PATIENCE)
        .test_before_acquire_if_idle_for(TRUST_IDLE_FOR)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(|options| {
            options
                .application_name("sendpromptly")
                .statement_cache_capacity(256)
                .options([
                    ("synchronous_commit", "on"),
                    // Every statement goes by an index. A plan made while a table was small must not read it
                    // whole when it has grown.
                    ("enable_seqscan", "off"),
                    ("enable_hashjoin", "off"),
                    ("enable_mergejoin", "off"),
                    // Where no index serves, a plan without the above looks so dear that it would be compiled.
                    ("jit", "off"),
                    ("lock_timeout", "5s"),
                ])
        });
    options
}

pub(super) fn make_directory_of(file: &Path) -> Result<(), StoreError> {
    let directory = directory::of_file(file);
    directory::make_private(directory).map_err(|error| cannot_make(directory, &error))?;
    must_own(directory)
}

/// A command that runs as another user would leave files behind that the server cannot write.
fn must_own(directory: &Path) -> Result<(), StoreError> {
    let owner = fs::metadata(directory).map(|meta| meta.uid());
    let user = fs::metadata("/proc/self").map(|meta| meta.uid());
    match (owner, user) {
        (Ok(owner), Ok(user)) if owner != user => Err(StoreError::Unavailable(format!(
            "{} belongs to the user with id {owner}; run this command as that user",
            directory.display()
        ))),
        _ => Ok(()),
    }
}

/// SQLite would make the file as the umask says. What it makes beside the file has the file's mode.
fn make_for_owner_only(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(cannot_make(path, &error)),
        _ => Ok(()),
    }
}

fn cannot_make(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot make {}: {error}", path.display()))
}

/// Another user's directory is told of first: that may be why nothing is seen in it.
fn must_be_there(path: &Path) -> Result<(), StoreError> {
    must_own(directory::of_file(path))?;
    if path.exists() {
        Ok(())
    } else {
        Err(migrations::absent())
    }
}

/// One server runs on a SQLite file.
pub(super) fn lock_for_serving(path: &Path) -> Result<File, StoreError> {
    let taken = "another server runs on this database";
    lock(&path.with_extension("serve.lock"), File::try_lock, taken)
}

/// Whoever uses a SQLite file shares this lock. A restore has it alone, for it puts another file in the place of that
/// one.
fn keep_restores_away(path: &Path) -> Result<File, StoreError> {
    let taken = "a restore into this database is under way; come again when it has ended";
    lock(&path.with_extension(USE), File::try_lock_shared, taken)
}

/// Keeps everybody away from a SQLite file until it is dropped.
pub(super) fn lock_for_restoring(path: &Path) -> Result<File, StoreError> {
    let taken = "a command runs on this database; restore when it has ended";
    lock(&path.with_extension(USE), File::try_lock, taken)
}

fn lock(
    path: &Path,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    taken: &str,
) -> Result<File, StoreError> {
    let refused = |why: String| StoreError::Unavailable(format!("{}: {why}", path.display()));
    let file = File::create(path).map_err(|error| refused(error.to_string()))?;
    match lock(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(refused(taken.to_owned())),
        Err(TryLockError::Error(error)) => Err(refused(error.to_string())),
    }
}

async fn must_be_sound_sqlite(writer: &DatabaseConnection) -> Result<(), StoreError> {
    let version: Option<String> = writer
        .query_one_raw(Statement::from_string(
            DbBackend::Sqlite,
            "SELECT sqlite_version() AS version",
        ))
        .await?
        .and_then(|row| row.try_get("", "version").ok());
    let version = version.unwrap_or_default();
    if !is_sound_sqlite(&version) {
        return Err(StoreError::Schema(format!(
            "SQLite 3.51.3 or later is needed, this is {version}"
        )));
    }
    Ok(())
}

/// Whether a version of SQLite is known to lack that race: one that cannot be read is not.
fn is_sound_sqlite(version: &str) -> bool {
    let numbers: Result<Vec<u32>, _> = version.split('.').map(str::parse).collect();
    numbers.is_ok_and(|numbers| numbers.as_slice() >= SQLITE_AT_LEAST.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_before_3_51_3_is_refused_and_so_is_what_names_no_version() {
        let is_taken = |version: &&str| is_sound_sqlite(version);
        let sound = ["3.51.3", "3.51.3.1", "3.51.10", "3.52.0", "3.100.0", "4.0.0"];
        assert!(sound.iter().all(is_taken));
        let refused = [
            "3.51.2", "3.51", "3.50.4", "3.9.9", "2.99.99", "", "3.52.x", "3.52.", "-4.0.0",
        ];
        let taken: Vec<_> = refused.iter().filter(|version| is_taken(version)).collect();
        assert!(taken.is_empty(), "{taken:?}");
    }

    #[tokio::test]
    async fn what_sqlite_makes_is_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("a.db"));
        let _store = Store::open(&url, StoreRole::Serve, 1).await.unwrap();
        for file in ["a.db", "a.db-wal", "a.db-shm"] {
            let mode = fs::metadata(directory.path().join(file)).unwrap().mode() & 0o777;
            assert_eq!(mode, 0o600, "{file}");
        }
    }
}
