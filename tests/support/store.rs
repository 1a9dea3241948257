//! A store for one test: an empty database, and a data directory that goes when the test ends.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::postgres::Cluster;
use crate::sql::Sql;

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A file in the data directory.
    Sqlite,
    /// A database in the run's own cluster.
    Postgres,
}

/// Where a test's program keeps what it knows.
#[derive(Debug)]
pub struct TestStore {
    kind: StoreKind,
    directory: TempDir,
    url: String,
}

impl TestStore {
    /// An empty one.
    pub async fn new(kind: StoreKind) -> Self {
        let directory = TempDir::with_prefix("sendpromptly-test-").unwrap();
        let url = match kind {
            StoreKind::Sqlite => format!("sqlite://{}", directory.path().join("data/test.db").display()),
            StoreKind::Postgres => Cluster::shared().create_database().await,
        };
        Self { kind, directory, url }
    }

    /// An empty database in this cluster.
    pub async fn in_cluster(cluster: &Cluster) -> Self {
        Self {
            kind: StoreKind::Postgres,
            directory: TempDir::with_prefix("sendpromptly-test-").unwrap(),
            url: cluster.create_database().await,
        }
    }

    /// Which database it is.
    #[must_use]
    pub const fn kind(&self) -> StoreKind {
        self.kind
    }

    /// The directory that goes when the test ends; the data directory lies in it.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// The program's data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The database's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection into the database, beside the program's.
    pub async fn sql(&self) -> Sql {
        Sql::connect(&self.url).await
    }
}
