//! PostgreSQL's own programs, `pg_dump` and `pg_restore`. Where the database is they learn by their environment:
//! arguments can be read by every user of the machine.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use url::Url;

use super::BackupError;
use crate::platform::programs;

/// Bytes of a program's words that are kept.
const SAID: u64 = 64 * 1024;
/// Lines of them that are shown.
const SHOWN: usize = 3;

/// Variables that PostgreSQL's own library goes by and ours does not.
const ELSEWHERE: [&str; 3] = ["PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR"];

/// Where the programs lie, and the database that they work on.
#[derive(Clone)]
pub struct Programs {
    directory: Option<PathBuf>,
    environment: Vec<(&'static str, String)>,
}

impl std::fmt::Debug for Programs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Programs(..)")
    }
}

impl Programs {
    /// The programs in this directory, or where the system looks for programs, for the database of this URL.
    #[must_use]
    pub fn new(directory: Option<PathBuf>, url: &str) -> Self {
        Self {
            directory,
            environment: environment(url),
        }
    }

    /// The major version of a program.
    pub(super) fn version(&self, name: &'static str) -> Result<u32, BackupError> {
        let output = self.command(name).arg("--version").output();
        let output = output.map_err(|error| self.absent(name, &error))?;
        let said = String::from_utf8_lossy(&output.stdout);
        // pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
        let number = said.split_whitespace().find_map(|word| {
            let major = word.split('.').next()?;
            major.parse::<u32>().ok()
        });
        number.ok_or_else(|| BackupError::Program(format!("{name} does not tell its version")))
    }

    /// The version of `pg_dump`, which must not be older than the database's.
    ///
    /// # Errors
    /// [`BackupError::Program`] where it is, or is not there.
    pub fn dumper_of(&self, server: u32) -> Result<u32, BackupError> {
        let dumper = self.version("pg_dump")?;
        if dumper < server {
            return Err(BackupError::Program(format!(
                "pg_dump is of version {dumper}, the database of version {server}: name the directory of a pg_dump that is \
                 not older by --pg-bin-dir"
            )));
        }
        Ok(dumper)
    }

    /// Starts a dump of what the snapshot sees in this schema, without the rows of data keys.
    pub(super) fn dump(&self, snapshot: &str, schema: &str) -> Result<Running, BackupError> {
        let mut command = self.command("pg_dump");
        command
            .args([
                "--format=custom",
                "--no-owner",
                "--no-privileges",
                "--no-password",
            ])
            .arg(format!("--snapshot={snapshot}"))
            .arg(format!("--schema={}", pattern(schema)))
            .arg(format!("--exclude-table-data={}.data_keys", pattern(schema)));
        self.start("pg_dump", command)
    }

    /// Starts to put a dump into the database, all or nothing.
    pub(super) fn restore(&self, schema: &str) -> Result<Running, BackupError> {
        let mut command = self.command("pg_restore");
        command
            .args([
                "--single-transaction",
                "--no-owner",
                "--no-privileges",
                "--no-password",
            ])
            .arg(format!("--schema={schema}"))
            .arg(format!("--dbname=dbname={}", quoted(&self.database())));
        self.start("pg_restore", command)
    }

    /// Starts to read a dump through without a database.
    pub(super) fn read_through(&self) -> Result<Running, BackupError> {
        let mut command = self.command("pg_restore");
        command.arg("--file=/dev/null");
        self.start("pg_restore", command)
    }

    fn database(&self) -> String {
        let named = |name: &str| {
            let found = self.environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        let of_process = |name| std::env::var(name).ok();
        named("PGDATABASE")
            .or_else(|| of_process("PGDATABASE"))
            .or_else(|| named("PGUSER"))
            .or_else(|| of_process("PGUSER"))
            .unwrap_or_default()
    }

    fn command(&self, name: &str) -> Command {
        let program = self
            .directory
            .as_ref()
            .map_or_else(|| PathBuf::from(name), |directory| directory.join(name));
        let mut command = Command::new(program);
        programs::keep_options_from(&mut command);
        // They would lead it to another database than the one that this program has connected to.
        for name in ELSEWHERE {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    fn start(&self, name: &'static str, mut command: Command) -> Result<Running, BackupError> {
        let started = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = started.map_err(|error| self.absent(name, &error))?;
        let errors = child.stderr.take();
        let said = std::thread::spawn(move || {
            let mut said = Vec::new();
            if let Some(errors) = errors {
                let mut rest = errors.take(SAID);
                let _ = rest.read_to_end(&mut said);
                // It must not wait for somebody to read the rest.
                let _ = io::copy(&mut rest.into_inner(), &mut io::sink());
            }
            String::from_utf8_lossy(&said).into_owned()
        });
        Ok(Running { name, child, said })
    }

    fn absent(&self, name: &str, error: &io::Error) -> BackupError {
        let place = match &self.directory {
            Some(directory) => format!("in {}", directory.display()),
            None => "in PATH".to_owned(),
        };
        BackupError::Program(format!(
            "{name}, which belongs to PostgreSQL, cannot be run {place}: {error}; install PostgreSQL's client programs, or \
             name their directory by --pg-bin-dir"
        ))
    }
}

/// A program that runs. Whoever drops it closes the pipes to it.
pub(super) struct Running {
    name: &'static str,
    child: Child,
    said: JoinHandle<String>,
}

impl Running {
    /// What it reads.
    pub(super) fn input(&mut self) -> io::Result<ChildStdin> {
        self.child.stdin.take().ok_or_else(closed)
    }

    /// What it writes.
    pub(super) fn output(&mut self) -> io::Result<ChildStdout> {
        drop(self.child.stdin.take());
        self.child.stdout.take().ok_or_else(closed)
    }

    /// Waits for its end. Its own words count for more than what became of the pipe to it.
    pub(super) fn end(mut self, piped: io::Result<()>) -> Result<(), BackupError> {
        if piped.is_err() {
            // It may wait for more.
            drop((self.child.stdin.take(), self.child.stdout.take()));
            let _ = self.child.kill();
        }
        let name = self.name;
        let status = self.child.wait();
        let status = status.map_err(|error| BackupError::Program(format!("{name}: {error}")))?;
        let said = self.said.join().unwrap_or_default();
        let words = words(&said);
        match (status.success(), piped) {
            (true, Ok(())) => Ok(()),
            (_, Err(error)) if words.is_empty() => Err(BackupError::Program(format!("{name}: {error}"))),
            _ => Err(BackupError::Program(format!(
                "{name} has failed ({status}): {words}"
            ))),
        }
    }
}

fn closed() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// What it said went wrong. Details and contexts may show rows, and are left out.
fn words(said: &str) -> String {
    let errors = said.lines().filter(|line| {
        let line = line.to_ascii_lowercase();
        line.contains("error:") || line.contains("fatal:")
    });
    let shown: Vec<_> = errors.take(SHOWN).map(str::trim).collect();
    shown.join("; ")
}

/// A name as a pattern that matches nothing else.
fn pattern(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value in a connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The URL in the variables of PostgreSQL's own library.
fn environment(url: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let Ok(url) = Url::parse(url) else { return found };
    let mut put = |name, value: String| {
        if !value.is_empty() {
            found.retain(|(known, _)| *known != name);
            found.push((name, value));
        }
    };
    // An IPv6 address stands in brackets in a URL, and without in the variable.
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    put("PGHOST", decoded(host));
    put(
        "PGPORT",
        url.port().map(|port| port.to_string()).unwrap_or_default(),
    );
    put("PGUSER", decoded(url.username()));
    put("PGPASSWORD", decoded(url.password().unwrap_or_default()));
    put("PGDATABASE", decoded(url.path().trim_start_matches('/')));
    for (name, value) in url.query_pairs() {
        let variable = match &*name {
            "host" => "PGHOST",
            "hostaddr" => "PGHOSTADDR",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "dbname" => "PGDATABASE",
            "sslmode" | "ssl-mode" => "PGSSLMODE",
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
            "sslcert" | "ssl-cert" => "PGSSLCERT",
            "sslkey" | "ssl-key" => "PGSSLKEY",
            "options" => "PGOPTIONS",
            _ => continue,
        };
        put(variable, value.into_owned());
    }
    found
}

/// A part of a URL without its percent signs (RFC 3986, section 2.1).
fn decoded(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| byte == b'%');
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_the_variables_of_postgresqls_own_library() {
        let found = environment(
            "postgres://me:p%40ss%2Fword@db.internal:5433/pay?sslmode=require&statement-cache-capacity=7",
        );
        let expected = [
            ("PGHOST", "db.internal"),
            ("PGPORT", "5433"),
            ("PGUSER", "me"),
            ("PGPASSWORD", "p@ss/word"),
            ("PGDATABASE", "pay"),
            ("PGSSLMODE", "require"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name, value.to_owned())));
        let six = environment("postgres://me@[::1]:5433/pay");
        assert!(six.contains(&("PGHOST", "::1".to_owned())), "{six:?}");
        let socket = environment("postgres://postgres@localhost/pay?host=/run/postgresql");
        assert!(
            socket.contains(&("PGHOST", "/run/postgresql".to_owned())),
            "{socket:?}"
        );
    }

    #[test]
    fn what_a_program_says_is_shown_without_rows() {
        let said = "pg_restore: error: COPY failed for table \"users\"\nDETAIL:  Key (email)=(a@b.c) exists.\n\
                    CONTEXT:  COPY users, line 1: a@b.c\n";
        assert_eq!(words(said), "pg_restore: error: COPY failed for table \"users\"");
    }

    #[test]
    fn a_program_that_is_not_there_is_told_with_what_to_do() {
        let programs = Programs::new(Some("/nowhere".into()), "postgres://localhost/pay");
        let refused = programs.version("pg_dump").unwrap_err().to_string();
        assert!(
            refused.contains("pg_dump") && refused.contains("--pg-bin-dir"),
            "{refused}"
        );
    }
}
