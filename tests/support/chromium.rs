//! Scripts that drive a real browser, each in a process of its own: its exit code is the verdict.
//!
//! They lie in `tests/browser`; `tests/setup` installs what they need.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::python::sources;

/// No script takes longer than this, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(200);

/// A script that has ended.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it found everything as it should be.
    pub good: bool,
    /// What it said.
    pub said: String,
}

/// Runs a script, which must end well, and tells it what it has to know.
pub async fn run_script(name: &str, settings: &Value) {
    let verdict = verdict_of(name, settings).await;
    assert!(verdict.good, "{name}:\n{}", verdict.said);
}

/// Runs a script, and gives its verdict.
pub async fn verdict_of(name: &str, settings: &Value) -> Verdict {
    // The browser's profile, and whatever else it leaves behind, goes when the test ends.
    let home = TempDir::with_prefix("sendpromptly-browser-").unwrap();
    let script = sources().join("browser").join(name);
    assert!(
        sources().join("browser/node_modules/playwright-core").exists(),
        "playwright-core is not installed: run tests/setup"
    );
    // A browser ends when the script that started it does.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "node"])
        .arg(&script)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .current_dir(home.path())
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(settings.to_string().as_bytes()).await.unwrap();
    drop(input);
    let ended = timeout(PATIENCE, child.wait_with_output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{name} has not ended")).unwrap();
    let said = [output.stdout, output.stderr].concat();
    Verdict {
        good: output.status.success(),
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

/// The directory that screenshots are wanted in, from the workspace: what `SENDPROMPTLY_SCREENSHOTS` names.
#[must_use]
pub fn screenshots() -> Option<PathBuf> {
    let wanted = std::env::var_os("SENDPROMPTLY_SCREENSHOTS")?;
    let directory = sources().parent().unwrap().join(wanted);
    std::fs::create_dir_all(&directory).unwrap();
    Some(directory)
}
