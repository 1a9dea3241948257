//! A private PostgreSQL: one for the whole run, or one that a test may stop.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::once::{once_per_run, run_path, runner_pid};
use crate::sql::Sql;

/// A program, run as the user to whom clusters belong: PostgreSQL refuses to run as root.
#[must_use]
pub fn as_postgres(program: &str) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    let mut command = Command::new(if is_root { "runuser" } else { program });
    if is_root {
        command.args(["-u", "postgres", "--", program]);
    }
    command.current_dir("/").stdin(Stdio::null());
    command
}

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
            let _ = fs::remove_dir_all(&cluster.directory);
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

    /// Where it lies, with its socket.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts it anew with these settings more.
    pub fn configure(&self, settings: &str) {
        self.stop();
        self.add_settings(settings);
        self.start();
    }

    /// Puts a base backup in the place of its data, and starts it to recover by these settings.
    pub fn go_back(&self, base: &Path, settings: &str) {
        self.stop();
        let data = self.directory.join("data");
        fs::rename(&data, self.directory.join("lost")).unwrap();
        fs::rename(base, &data).unwrap();
        self.add_settings(settings);
        let signal = data.join("recovery.signal");
        assert!(as_postgres("touch").arg(signal).status().unwrap().success());
        self.start();
    }

    fn add_settings(&self, settings: &str) {
        let path = self.directory.join("data/postgresql.conf");
        let before = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{before}{settings}")).unwrap();
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
