//! The audit vectors, walked by the Python verifier that customers may run: it passes what is whole, and names
//! the first bad entry of what is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(name)
}

fn lines(name: &str) -> Vec<String> {
    let text = fs::read_to_string(vector(name)).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Seven entries, then checkpoints of the fifth and the seventh.
fn whole() -> Vec<String> {
    lines("audit.jsonl")
}

/// Verifies these files, the export first; gives the exit code and what was said.
fn verify(files: &[&[String]]) -> (i32, String) {
    verify_by(&vector("audit_public_key"), files)
}

fn verify_by(keys: &Path, files: &[&[String]]) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    let written = files.iter().zip(0..).map(|(lines, number)| {
        let path = directory.path().join(format!("file-{number}"));
        fs::write(&path, lines.join("\n")).unwrap();
        path
    });
    let ended = Command::new("python3")
        .arg(vector("verify_audit.py"))
        .arg("--public-key")
        .arg(keys)
        .args(written)
        .output()
        .unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.code().unwrap(), String::from_utf8(said).unwrap())
}

fn passes(files: &[&[String]]) {
    let (code, said) = verify(files);
    assert_eq!(code, 0, "{said}");
}

fn fails(files: &[&[String]], place: &str) {
    let (code, said) = verify(files);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(place), "{said:?} does not say {place:?}");
}

/// The whole export with this text in the place of another, which stands there once in that line.
fn edited(line: usize, old: &str, new: &str) -> Vec<String> {
    let mut lines = whole();
    assert_eq!(lines[line].matches(old).count(), 1, "{old}");
    lines[line] = lines[line].replace(old, new);
    lines
}

#[test]
fn whole_pruned_and_restored_chains_pass() {
    for name in ["audit.jsonl", "audit_pruned.jsonl", "audit_restored.jsonl"] {
        passes(&[&lines(name)]);
    }
}

#[test]
fn what_any_of_several_keys_has_signed_counts() {
    let key = fs::read_to_string(vector("audit_public_key")).unwrap();
    let (other, whole) = ("07".repeat(32), whole());
    let directory = tempfile::tempdir().unwrap();
    for (keys, code) in [
        (format!("{other}\n{key}"), 0),
        (format!("{key}{other}\n"), 0),
        (format!("{other}\n"), 1),
        (format!("{key}{}\n", &other[1..]), 1),
    ] {
        let path = directory.path().join("keys");
        fs::write(&path, &keys).unwrap();
        let (ended, said) = verify_by(&path, &[&whole]);
        assert_eq!(ended, code, "{keys}: {said}");
    }
}

#[test]
fn checkpoints_may_be_given_more_than_once_and_in_any_order() {
    let restored = lines("audit_restored.jsonl");
    let (entries, checkpoints) = restored.split_at(5);
    let backwards: Vec<_> = checkpoints.iter().rev().cloned().collect();
    passes(&[entries, &backwards, checkpoints]);
}

#[test]
fn an_edited_entry_is_found() {
    fails(
        &[&edited(2, "system:sweep", "system:weeps")],
        "entry 3 was changed",
    );
    fails(
        &[&edited(2, "09:33:00.123Z", "09:33:00.124Z")],
        "entry 3 was changed",
    );
    fails(
        &[&edited(2, "incident.opened", "incident.closed")],
        "entry 3 was changed",
    );
    fails(
        &[&edited(2, r#"\"timeout\""#, r#"\"failed\""#)],
        "the details of entry 3 were changed",
    );
    fails(
        &[&edited(2, r#""seq":3"#, r#""seq":3,"seq":3"#)],
        "line 3: a field stands twice",
    );
}

#[test]
fn an_inserted_dropped_or_moved_entry_is_found() {
    let mut inserted = whole();
    inserted.insert(2, inserted[1].clone());
    fails(&[&inserted], "entry 3 is missing: entry 2 comes in its place");

    let mut dropped = whole();
    dropped.remove(2);
    fails(&[&dropped], "entry 3 is missing: entry 4 comes in its place");

    let mut moved = whole();
    moved.swap(2, 3);
    fails(&[&moved], "entry 3 is missing: entry 4 comes in its place");
}

#[test]
fn a_tail_that_was_cut_off_is_found() {
    let mut cut = whole();
    cut.drain(5..7);
    fails(
        &[&cut],
        "the chain ends at entry 5, but a signed checkpoint saw entry 7",
    );

    let whole = whole();
    fails(&[&whole[..7]], "no signed checkpoint saw the entries after 0");
    let older = [&whole[..5], &whole[7..8]].concat();
    passes(&[&older]);
    fails(&[&older, &whole[8..]], "but a signed checkpoint saw entry 7");
}

/// The restored chain's own entries follow each other; only what was signed before tells.
#[test]
fn a_chain_that_was_rewritten_is_found() {
    let rewritten = [&lines("audit_restored.jsonl")[..5], &whole()[7..8]].concat();
    fails(
        &[&rewritten],
        "entry 5 is not the one that a signed checkpoint saw",
    );
}

#[test]
fn an_undeclared_restore_is_found() {
    let mut undeclared = lines("audit_restored.jsonl");
    undeclared.remove(6);
    fails(
        &[&undeclared],
        "the chain ends at entry 5, but a signed checkpoint saw entry 7",
    );
}

#[test]
fn an_undeclared_pruning_is_found() {
    let mut undeclared = lines("audit_pruned.jsonl");
    undeclared.remove(4);
    fails(&[&undeclared], "entry 1 is missing: entry 4 comes in its place");
}

#[test]
fn a_checkpoint_that_the_key_did_not_sign_is_refused() {
    let forged = "line 8: the checkpoint was not signed by a known key";
    fails(&[&edited(7, r#""seq":5"#, r#""seq":4"#)], forged);
    fails(&[&edited(7, "periodic", "restore")], forged);
    fails(&[&edited(7, "10:30:00.123Z", "10:30:00.124Z")], forged);
    let signature = r#""signature":"10bce8"#;
    fails(&[&edited(7, signature, r#""signature":"10bce9"#)], forged);
}
