//! The verifiers that the documentation shows for other languages, run over the vector file.

use std::path::PathBuf;
use std::process::Command;

/// Where the part that the documentation shows ends.
const SHOWN_UNTIL: &str = "What follows runs the vectors";

fn in_workspace(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(in_workspace(path)).unwrap()
}

/// Runs a verifier; it prints what failed, and says by its exit code whether anything did.
fn run(interpreter: &str, verifier: &str) {
    let output = Command::new(interpreter)
        .arg(in_workspace(verifier))
        .arg(in_workspace("tests/vectors/callbacks.json"))
        .output()
        .unwrap_or_else(|error| panic!("{interpreter} is needed for the test: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(printed.contains(" callbacks, 0 failures"), "{printed}");
}

fn assert_shown(document: &str, language: &str, code: &str) {
    let block = format!("```{language}\n{}\n```\n", code.trim_end());
    assert!(
        read(document).contains(&block),
        "{document} does not show this code in {language}:\n{block}"
    );
}

/// Checks that the documentation shows the part of the verifier above its runner.
fn assert_verifier_is_shown(language: &str, verifier: &str) {
    let source = read(verifier);
    let (shown, _) = source.split_once(SHOWN_UNTIL).unwrap();
    let (shown, _) = shown.rsplit_once('\n').unwrap();
    assert_shown("docs/callbacks.md", language, shown);
}

#[test]
fn the_python_verifier_takes_and_refuses_what_it_must() {
    run("python3", "tests/vectors/verify.py");
}

#[test]
fn the_node_verifier_takes_and_refuses_what_it_must() {
    run("node", "tests/vectors/verify.mjs");
}

#[test]
fn the_php_verifier_takes_and_refuses_what_it_must() {
    run("php", "tests/vectors/verify.php");
}

#[test]
fn the_documentation_shows_the_verifiers_that_are_run() {
    assert_verifier_is_shown("python", "tests/vectors/verify.py");
    assert_verifier_is_shown("js", "tests/vectors/verify.mjs");
    assert_verifier_is_shown("php", "tests/vectors/verify.php");
}

#[test]
fn the_documentation_shows_the_snippet_that_the_crate_compiles() {
    let readme = read("sendpromptly-verify/README.md");
    let (_, snippet) = readme.split_once("```rust\n").unwrap();
    let (snippet, _) = snippet.split_once("```").unwrap();
    for document in ["docs/callbacks.md", "README.md"] {
        assert_shown(document, "rust", snippet);
    }
}

/// Credits would be granted a second time by an endpoint that was copied as it stands.
#[test]
fn every_endpoint_to_copy_says_that_it_forgets_repairs_at_a_restart_and_what_does_not() {
    for shown in [
        "sendpromptly-verify/README.md",
        "sendpromptly-server/templates/shown/repair.rs",
    ] {
        let source = read(shown);
        let (before, _) = source.split_once("    replays: MemoryReplays,\n").unwrap();
        let (_, comment) = before.rsplit_once(",\n").unwrap();
        for word in [
            "Forgets at a restart",
            "transaction",
            "examples/axum-repair-endpoint",
        ] {
            assert!(comment.contains(word), "{shown}: {comment}");
        }
    }
}
