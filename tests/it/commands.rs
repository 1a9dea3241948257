//! The program's commands: what they print, how they end, and what they say of bad input.

use sendpromptly_tests::command::{Cli, Output};
use sendpromptly_tests::store::{StoreKind, TestStore};

mod incidents;
mod keys;
mod options;
mod organizations;
mod program;
mod projects;
mod secrets;
mod stores;

/// An empty SQLite store and commands on it.
async fn empty_store() -> (TestStore, Cli) {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let cli = Cli::on(&store);
    (store, cli)
}

/// Ids that are well-formed and nobody's.
fn nobodys(prefix: &str) -> String {
    format!("{prefix}0190a1b2c3d47e5f8a9b0c1d2e3f4a5b")
}

/// Refused by a rule, or not found: exit 1, nothing on standard output, the reason in words.
fn assert_refused(output: &Output, words: &[&str]) {
    assert_ended(output, 1, words);
}

/// Wrong usage: exit 2, nothing on standard output, the reason in words.
pub(crate) fn assert_usage(output: &Output, words: &[&str]) {
    assert_ended(output, 2, words);
}

fn assert_ended(output: &Output, code: i32, words: &[&str]) {
    assert_eq!((output.code, output.stdout.as_str()), (code, ""), "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "{word:?} in {output:?}");
    }
    assert!(!output.stderr.contains("panicked"), "{output:?}");
}

/// The names of a JSON object's fields.
fn fields(value: &serde_json::Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
