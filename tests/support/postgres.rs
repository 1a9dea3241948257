//! A private PostgreSQL: one for the whole run, or one that a test may stop.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::once::{once_per_run, run_path, runner_pid};
use crate::sql::Sql;

/// A cluster that ends with the run, or with the test that it was made for.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    watched: u32,
}

impl Cluster {
    /// The one that all tests of the run share; each takes a database of its own.
    #[must_use]
    pub fn shared() -> Self {
        let cluster = Self {
            directory: run_path("postgres"),
            watched: runner_pid(),
        };
        once_per_run("postgres", || {
            // Left behind by a run whose process id has come round again.
            let _ = std::fs::remove_dir_all(&cluster.directory);
            cluster.start();
        });
        cluster
    }

    /// One for this test alone.
    #[must_use]
    pub fn private() -> Self {
        let own = std::process::id();
        let name = format!("sendpromptly-postgres-of-{own}-{}", fastrand::u32(..));
        let cluster = Self {
            directory: std::env::temp_dir().join(name),
            watched: own,
        };
        cluster.start();
        cluster
    }

    /// Starts it, again after [`Self::stop`].
    pub fn start(&self) {
        self.control("start");
    }

    /// Stops it at once, as a crash would.
    pub fn stop(&self) {
        self.control("stop");
    }

    fn control(&self, verb: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support/postgres-cluster");
        let status = Command::new(script)
            .arg(verb)
            .arg(&self.directory)
            .arg(self.watched.to_string())
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(
            status.success(),
            "PostgreSQL does not {verb}: see {}",
            self.directory.display()
        );
    }

    /// Makes a new, empty database and gives its URL.
    pub async fn create_database(&self) -> String {
        let name = format!("test_{:016x}", fastrand::u64(..));
        let admin = Sql::connect(&self.url("postgres")).await;
        admin.run(&format!("CREATE DATABASE {name}")).await;
        admin.close().await;
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@localhost/{database}?host={}",
            self.directory.display()
        )
    }
}
