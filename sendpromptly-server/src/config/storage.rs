//! Where data lies.

use std::path::PathBuf;

use super::options;
use super::sources::{Reader, Source};
use super::value;
use crate::store::DatabaseUrl;

/// The SQLite file where no other database is named.
const SQLITE_FILE: &str = "sendpromptly.db";

/// Where data lies.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// The data directory.
    pub data_dir: PathBuf,
    /// The database.
    pub database: DatabaseUrl,
    /// Where PostgreSQL's own programs lie, if not in `PATH`.
    pub pg_bin_dir: Option<PathBuf>,
}

impl StorageConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let data_dir = reader.one(&options::DATA_DIR, value::path);
        let pg_bin_dir = reader.optional(&options::PG_BIN_DIR, value::path);
        let database = reader.optional(&options::DATABASE_URL, str::parse::<DatabaseUrl>);
        let database = database?;
        if database.as_ref().is_some_and(DatabaseUrl::holds_password)
            && reader.source(&options::DATABASE_URL) == Some(Source::Option)
        {
            let allowed = value::not_as_an_option(&options::DATABASE_URL);
            reader.refuse(&options::DATABASE_URL, Source::Option, allowed);
            return None;
        }
        let data_dir = data_dir?;
        let database = database.unwrap_or_else(|| DatabaseUrl::Sqlite(data_dir.join(SQLITE_FILE)));
        Some(Self {
            data_dir,
            database,
            pg_bin_dir: pg_bin_dir?,
        })
    }
}
