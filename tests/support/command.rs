//! The program's commands, run as an operator runs them.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::binary::binary;
use crate::store::TestStore;

/// No command takes longer than this, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command that has ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
}

impl Output {
    /// The one JSON value that it printed; it must have ended well.
    #[must_use]
    pub fn json(&self) -> Value {
        self.must_succeed();
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON values that it printed, one on each line; it must have ended well.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        self.must_succeed();
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    fn must_succeed(&self) {
        assert_eq!(self.code, 0, "{self:?}");
    }
}

/// Commands on one store. Options come from the environment, beside those given as arguments.
#[derive(Debug, Clone)]
pub struct Cli {
    wrapper: Vec<String>,
    environment: Vec<(OsString, OsString)>,
    directory: std::path::PathBuf,
}

impl Cli {
    /// Commands on this store.
    #[must_use]
    pub fn on(store: &TestStore) -> Self {
        let cli = Self {
            wrapper: Vec::new(),
            environment: Vec::new(),
            directory: store.directory(),
        };
        cli.with("SENDPROMPTLY_DATA_DIR", store.data_dir())
            .with("SENDPROMPTLY_DATABASE_URL", store.url())
            .with("SENDPROMPTLY_ALLOW_PRIVATE_CALLBACKS", "true")
    }

    /// The same with this variable set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The same under another program, such as `/usr/bin/env`, which takes the command line as its last arguments.
    #[must_use]
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The same, sent a signal at a system call: a thread's n-th of this name, counted from 1.
    #[must_use]
    pub fn struck_at(self, call: &str, number: usize, signal: &str) -> Self {
        let traced = format!("trace={call}");
        let inject = format!("inject={call}:signal={signal}:when={number}");
        self.under(&[
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &traced,
            "-e",
            &inject,
            "--",
        ])
    }

    /// The same without this variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// Runs a command with nothing on its standard input.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "").await
    }

    /// Runs a command.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self.start(arguments);
        // A command that does not read its input may be gone before it is written.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        let ended = timeout(PATIENCE, child.wait_with_output()).await;
        let output = ended
            .unwrap_or_else(|_| panic!("{arguments:?} has not ended"))
            .unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts a command, which ends at the latest when it is dropped.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Child {
        let program = binary().as_os_str().to_owned();
        let mut words = self.wrapper.iter().map(OsString::from).chain([program]);
        Command::new(words.next().unwrap())
            .args(words)
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(&self.directory)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Makes an organization; gives its id.
    pub async fn create_organization(&self, name: &str) -> String {
        let email = format!("{name}@example.com");
        let create = ["org", "create", "--name", name, "--owner-email", &email];
        let output = self.run_with_input(&create, "correct horse battery\n").await;
        output.json()["organization_id"].as_str().unwrap().to_owned()
    }

    /// Orders a project, with these options beside its organization and name.
    pub async fn try_create_project(&self, organization: &str, options: &[&str]) -> Output {
        let mut create = vec!["project", "create", "--org", organization, "--name", "shop"];
        create.extend(options);
        self.run(&create).await
    }

    /// Makes a project likewise.
    pub async fn create_project(&self, organization: &str, options: &[&str]) -> Project {
        let json = self.try_create_project(organization, options).await.json();
        let field = |name: &str| json[name].as_str().unwrap().to_owned();
        Project {
            id: field("project_id"),
            api_key: field("api_key"),
            signing_secret: field("signing_secret"),
        }
    }

    /// The incidents of a project, newest first.
    pub async fn incidents(&self, project: &str) -> Vec<Value> {
        self.run(&["incident", "list", "--project", project])
            .await
            .json_lines()
    }

    /// An event as the operator sees it.
    pub async fn event(&self, event_id: &str) -> Value {
        self.run(&["event", "show", event_id]).await.json()
    }

    /// Orders a reprocess, which must not be refused; gives the `replay_id`.
    pub async fn reprocess(&self, incident_id: &str) -> String {
        let json = self.run(&["incident", "reprocess", incident_id]).await.json();
        json["replay_id"].as_str().unwrap().to_owned()
    }
}

/// A project as it was made.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its first API key.
    pub api_key: String,
    /// Its first signing secret.
    pub signing_secret: String,
}
