//! What holds for the tree as a whole: its sources, its dependencies, and what its documents say of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod dependencies;
mod documents;
mod sources;

/// The folder that the workspace lies in.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A text file of the tree.
struct Text {
    /// Its path from the root.
    path: String,
    content: String,
}

impl Text {
    fn read(path: &str) -> Self {
        let content = fs::read_to_string(root().join(path));
        Self {
            path: path.to_owned(),
            content: content.unwrap_or_else(|error| panic!("{path}: {error}")),
        }
    }

    /// The path that a reader of this file means by a relative link.
    fn resolve(&self, link: &str) -> PathBuf {
        root().join(&self.path).parent().unwrap().join(link)
    }
}

/// Every file of the tree whose name ends so: what Git knows, and what it would not ignore.
fn files(endings: &[&str]) -> Vec<Text> {
    let listed = run(
        "git",
        &["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    );
    let wanted = |path: &&str| endings.iter().any(|ending| path.ends_with(ending));
    let mut paths: Vec<&str> = listed.split_terminator('\0').filter(wanted).collect();
    paths.sort_unstable();
    paths.dedup();
    assert!(!paths.is_empty(), "no file ends with {endings:?}");
    paths
        .into_iter()
        .filter(|path| root().join(path).exists()) // not yet committed as removed
        .map(Text::read)
        .collect()
}

/// What a command, run in the root, prints; it must end well.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Fails with all findings at once.
fn assert_none(what: &str, findings: impl IntoIterator<Item = String>) {
    let findings: BTreeSet<String> = findings
        .into_iter()
        .map(|finding| format!("\n  {finding}"))
        .collect();
    assert!(
        findings.is_empty(),
        "{what}:{}",
        findings.into_iter().collect::<String>()
    );
}
