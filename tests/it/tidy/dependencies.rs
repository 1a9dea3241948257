//! Which crates the libraries that others embed bring along, and which compiler they ask for.

use super::{Text, assert_none, run};

/// What makes a library unfit for a place without threads, sockets, files or an entropy source.
const EFFECTS: [&str; 9] = [
    "tokio",
    "hyper",
    "mio",
    "socket2",
    "sea-orm",
    "sqlx",
    "rand",
    "getrandom",
    "rusqlite",
];

#[test]
fn the_core_brings_along_nothing_that_has_effects() {
    assert_none("brought along", effects(&tree("sendpromptly-core", &[])));
}

#[test]
fn the_verifier_brings_along_nothing_that_has_effects() {
    assert_none("brought along", effects(&tree("sendpromptly-verify", &[])));
    let readers = tree("sendpromptly-verify", &["--features", "serde,http"]);
    assert_none("brought along", effects(&readers));
}

#[test]
fn the_verifier_depends_by_default_on_four_crates() {
    let direct = tree("sendpromptly-verify", &["--depth", "1"]);
    let others = direct.iter().filter(|name| *name != "sendpromptly-verify");
    let others: Vec<&str> = others.map(String::as_str).collect();
    assert_eq!(others, ["hmac", "sha2", "subtle", "thiserror"]);
}

#[test]
fn the_compiler_that_is_asked_for_is_the_one_that_the_documents_name() {
    let asked = |manifest: &str| {
        let manifest = Text::read(manifest).content;
        let (_, rest) = manifest.split_once("rust-version = \"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (workspace, verify) = (asked("Cargo.toml"), asked("sendpromptly-verify/Cargo.toml"));
    for document in ["README.md", "SECURITY.md"] {
        let text = Text::read(document).content;
        for version in [&workspace, &verify] {
            let named = format!("Rust {version}");
            assert!(text.contains(&named), "{document} does not name {named}");
        }
    }
}

fn effects(tree: &[String]) -> Vec<String> {
    let has_effects = |name: &&String| EFFECTS.contains(&name.as_str());
    tree.iter().filter(has_effects).cloned().collect()
}

/// The names of what a package is built from, itself included, sorted.
fn tree(package: &str, options: &[&str]) -> Vec<String> {
    let mut arguments = vec![
        "tree",
        "--locked",
        "--offline",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ];
    arguments.extend(["--package", package, "--format", "{p}"]);
    arguments.extend(options);
    let printed = run(env!("CARGO"), &arguments);
    let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let mut names: Vec<String> = printed.lines().map(name).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.iter().any(|name| name == package), "{names:?}");
    names
}
