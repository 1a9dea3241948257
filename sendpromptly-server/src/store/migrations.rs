//! The schema, forward only, the same steps on both databases.
//!
//! A step runs in a transaction with its own record, so a kill leaves it done or not done. Nodes that start
//! together take turns by a lock. The schema of one version serves the program of the version before.

use std::fs::File;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager};

use super::connect::{KEEP_SERVERS_AWAY, StoreRole};
use super::copying::applied_steps;
use super::whole::UNFINISHED;
use super::{Dialect, Store, StoreError};

mod m0001_spine;
mod m0002_sessions;
mod m0003_second_factor;
mod m0004_joining;
mod m0006_notes;
mod m0007_overview;
mod m0008_audit_filters;
mod m0009_guesses;
mod m0010_snapshots;
mod m0011_master_keys;
mod m0012_retention;
mod m0013_forgetting;
mod m0015_watching;
mod m0016_billing;
mod m0017_intake;
mod m0018_alerts;
mod m0019_clock;
mod m0020_second_look;
mod m0021_stripe_reads;
mod m0022_unasked;
mod m0023_alert_news;
mod m0024_checkouts;
mod m0025_told_alerts;
mod m0026_stripe_looks;
mod m0027_audit_keys;
mod m0028_shopify_names;
mod m0029_snapshot_rows;
mod m0030_old_invitations;

/// Declares a step: its name, then its statements in the words of [`Dialect::schema`].
macro_rules! step {
    ($name:literal: $($statement:literal,)*) => {
        #[derive(Debug)]
        pub(super) struct Migration;

        impl ::sea_orm_migration::MigrationName for Migration {
            fn name(&self) -> &'static str {
                $name
            }
        }

        #[::sea_orm_migration::async_trait::async_trait]
        impl ::sea_orm_migration::MigrationTrait for Migration {
            async fn up(&self, manager: &::sea_orm_migration::SchemaManager) -> Result<(), ::sea_orm::DbErr> {
                $crate::store::migrations::run_step(manager, &[$($statement),*]).await
            }

            fn use_transaction(&self) -> Option<bool> {
                Some(true)
            }
        }
    };
}

use step;

async fn run_step(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let backend = connection.get_database_backend();
    let dialect = match backend {
        DbBackend::Sqlite => Dialect::Sqlite,
        _ => Dialect::Postgres,
    };
    for statement in statements {
        connection
            .execute_raw(Statement::from_string(backend, dialect.schema(statement)))
            .await?;
    }
    Ok(())
}

/// An arbitrary number that only this program's migrations lock.
const ADVISORY_LOCK: i64 = 0x5e4d_9407;

#[derive(Debug)]
struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_spine::Migration),
            Box::new(m0002_sessions::Migration),
            Box::new(m0003_second_factor::Migration),
            Box::new(m0004_joining::Migration),
            Box::new(m0006_notes::Migration),
            Box::new(m0007_overview::Migration),
            Box::new(m0008_audit_filters::Migration),
            Box::new(m0009_guesses::Migration),
            Box::new(m0010_snapshots::Migration),
            Box::new(m0011_master_keys::Migration),
            Box::new(m0012_retention::Migration),
            Box::new(m0013_forgetting::Migration),
            Box::new(m0015_watching::Migration),
            Box::new(m0016_billing::Migration),
            Box::new(m0017_intake::Migration),
            Box::new(m0018_alerts::Migration),
            Box::new(m0019_clock::Migration),
            Box::new(m0020_second_look::Migration),
            Box::new(m0021_stripe_reads::Migration),
            Box::new(m0022_unasked::Migration),
            Box::new(m0023_alert_news::Migration),
            Box::new(m0024_checkouts::Migration),
            Box::new(m0025_told_alerts::Migration),
            Box::new(m0026_stripe_looks::Migration),
            Box::new(m0027_audit_keys::Migration),
            Box::new(m0028_shopify_names::Migration),
            Box::new(m0029_snapshot_rows::Migration),
            Box::new(m0030_old_invitations::Migration),
        ]
    }
}

/// What the tables are, compared with what this program knows.
enum Schema {
    Unfinished,
    Absent,
    Older,
    Current,
    Newer,
}

/// Brings the tables up to date, or tells what to do where the role may not.
pub(super) async fn prepare(store: &Store, role: StoreRole) -> Result<(), StoreError> {
    match schema(store).await? {
        Schema::Current => return Ok(()),
        Schema::Absent if !role.may_make() => return Err(absent()),
        _ => {}
    }
    let turn = Turn::take(store).await?;
    match schema(store).await? {
        Schema::Current => {}
        Schema::Older if !role.may_migrate() => return Err(too_old()),
        Schema::Newer => return Err(too_new()),
        Schema::Unfinished => return Err(unfinished()),
        Schema::Absent | Schema::Older => Migrator::up(&store.writer, None).await?,
    }
    turn.end().await
}

/// Whether the tables are those of this program.
///
/// # Errors
/// [`StoreError::Schema`] where they are older or newer.
pub async fn check(store: &Store) -> Result<(), StoreError> {
    match schema(store).await? {
        Schema::Current => Ok(()),
        Schema::Absent | Schema::Older => Err(too_old()),
        Schema::Newer => Err(too_new()),
        Schema::Unfinished => Err(unfinished()),
    }
}

/// Takes the steps that are missing, whoever's turn it is.
///
/// # Errors
/// [`StoreError`] by its cause.
pub(super) async fn complete(store: &Store) -> Result<(), StoreError> {
    Ok(Migrator::up(&store.writer, None).await?)
}

/// Whether this program knows all of these steps.
#[must_use]
pub fn are_known(steps: &[String]) -> bool {
    let known = known_steps();
    steps.iter().all(|step| known.contains(step))
}

fn known_steps() -> Vec<String> {
    let steps = Migrator::migrations();
    steps.iter().map(|step| step.name().to_owned()).collect()
}

pub(super) fn absent() -> StoreError {
    StoreError::Schema(
        "no store is here yet; `sendpromptly serve` makes one, unless another --data-dir or --database-url is meant"
            .to_owned(),
    )
}

fn too_old() -> StoreError {
    StoreError::Schema("the store was made by an earlier version; run `sendpromptly migrate`".to_owned())
}

fn too_new() -> StoreError {
    StoreError::Schema("the store was made by a later version; run that version of sendpromptly".to_owned())
}

fn unfinished() -> StoreError {
    StoreError::Schema(
        "a restore into this database was not finished; run `sendpromptly restore` with the same file again"
            .to_owned(),
    )
}

async fn schema(store: &Store) -> Result<Schema, StoreError> {
    let query = match store.dialect {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE name = 'seaql_migrations'".to_owned(),
        Dialect::Postgres => format!(
            "SELECT relname::text AS name FROM pg_class
             WHERE oid IN (to_regclass('seaql_migrations'), to_regclass('{UNFINISHED}'))"
        ),
    };
    let query = Statement::from_string(store.dialect.backend(), query);
    let found = store.reader.query_all_raw(query).await?;
    let names = found.iter().map(|row| row.try_get::<String>("", "name"));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    if names.iter().any(|name| name == UNFINISHED) {
        return Ok(Schema::Unfinished);
    }
    if names.is_empty() {
        return Ok(Schema::Absent);
    }
    let applied = applied_steps(&store.reader).await?;
    let known = known_steps();
    Ok(if applied.iter().any(|step| !known.contains(step)) {
        Schema::Newer
    } else if known.iter().any(|step| !applied.contains(step)) {
        Schema::Older
    } else {
        Schema::Current
    })
}

/// The right to change the tables, which one process has at a time.
#[derive(Debug)]
pub enum Turn {
    /// A lock on a file.
    File(File),
    /// A lock of the database.
    Transaction(Box<DatabaseTransaction>),
}

impl Turn {
    pub(super) async fn take(store: &Store) -> Result<Self, StoreError> {
        match store.dialect {
            Dialect::Sqlite => lock_file(store).await.map(Self::File),
            Dialect::Postgres => {
                let transaction = store.begin().await?;
                let lock = format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})");
                // Another node's migration may last longer than a lock may otherwise be waited for.
                let patience = "SET LOCAL lock_timeout = 0".to_owned();
                let idle = "SET LOCAL idle_in_transaction_session_timeout = 0".to_owned();
                for statement in [patience, idle, lock] {
                    transaction
                        .execute_raw(Statement::from_string(store.dialect.backend(), statement))
                        .await?;
                }
                Ok(Self::Transaction(Box::new(transaction)))
            }
        }
    }

    /// Keeps servers away from a PostgreSQL database until it is given back.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where one runs on it.
    pub async fn keep_servers_away(&self) -> Result<(), StoreError> {
        let Self::Transaction(transaction) = self else {
            return Ok(());
        };
        let query = Statement::from_string(DbBackend::Postgres, KEEP_SERVERS_AWAY);
        let row = transaction.query_one_raw(query).await?;
        match row.map(|row| row.try_get("", "free")).transpose()? {
            Some(true) => Ok(()),
            _ => Err(StoreError::Unavailable(
                "a server runs on this database; stop every one before a restore".to_owned(),
            )),
        }
    }

    /// Gives it back.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn end(self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => {
                drop(file);
                Ok(())
            }
            Self::Transaction(transaction) => Ok(transaction.commit().await?),
        }
    }
}

/// Locks a file beside the SQLite file, whose own lock the steps themselves need.
async fn lock_file(store: &Store) -> Result<File, StoreError> {
    let path = store.path().await?.with_extension("migrate.lock");
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::create(path)?;
        file.lock()?;
        Ok::<_, std::io::Error>(file)
    });
    match locked.await {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(error)) => Err(StoreError::Unavailable(format!(
            "cannot lock for migration: {error}"
        ))),
        Err(error) => Err(StoreError::Internal(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
