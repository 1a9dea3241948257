//! What the documents say of the tree is so.

use std::collections::BTreeSet;

use super::{Text, assert_none, files, root};

#[test]
fn every_link_between_documents_resolves() {
    let mut broken = Vec::new();
    for document in files(&[".md"]) {
        for link in links(&document) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() {
                root().join(&document.path)
            } else {
                document.resolve(path)
            };
            if !target.exists() {
                broken.push(format!("{}: {link}: no such file", document.path));
            } else if !anchor.is_empty() && !anchors(&target).contains(anchor) {
                broken.push(format!("{}: {link}: no such heading", document.path));
            }
        }
    }
    assert_none("broken", broken);
}

#[test]
fn every_document_that_is_named_anywhere_exists() {
    let mut absent = Vec::new();
    for file in files(&[".rs", ".md", ".toml", ".json", ".py", "/run", "/setup"]) {
        for path in words(&file.content, |c| c.is_ascii_alphanumeric() || "./_-".contains(c)) {
            let path = path.trim_end_matches('.');
            if path.starts_with("docs/") && path.ends_with(".md") && !root().join(path).exists() {
                absent.push(format!("{}: {path}", file.path));
            }
        }
    }
    assert_none("named, and not there", absent);
}

#[test]
fn every_file_that_a_document_names_exists() {
    let folders = ["docs/", "examples/", "fuzz/", "tests/", "sendpromptly-"];
    let mut absent = Vec::new();
    for document in files(&[".md"]) {
        for name in code_spans(&document.content) {
            let path = name.split([' ', ':', '#']).next().unwrap_or_default();
            let is_path = folders.iter().any(|folder| path.starts_with(folder)) && path.contains('/');
            let is_pattern = path.contains(['*', '<', '{', '…', '$']);
            let is_made = path.starts_with("sendpromptly-data") || path.starts_with("fuzz/target");
            let exists = root().join(path).exists() || document.resolve(path).exists();
            if is_path && !is_pattern && !is_made && !exists {
                absent.push(format!("{}: {path}", document.path));
            }
        }
    }
    assert_none("named, and not there", absent);
}

#[test]
fn every_test_that_a_document_names_exists() {
    let sources = joined(&[".rs"]);
    let mut absent = Vec::new();
    for document in files(&[".md"]) {
        for name in code_spans(&document.content) {
            let last = name.rsplit("::").next().unwrap_or_default();
            let is_metric = ["sendpromptly_", "process_"]
                .iter()
                .any(|start| last.starts_with(start));
            let is_claim = !is_metric
                && last.matches('_').count() >= 3
                && last
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if is_claim && !sources.contains(&format!("fn {last}(")) {
                absent.push(format!("{}: {name}", document.path));
            }
        }
    }
    assert_none("named, and not there", absent);
}

#[test]
fn every_variable_that_a_document_names_exists() {
    let sources = joined(&[".rs", ".toml", "/run", "/setup"]);
    let mut unknown = Vec::new();
    for document in files(&[".md"]) {
        for word in words(&document.content, |c| {
            c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit()
        }) {
            let Some(name) = word.strip_prefix("SENDPROMPTLY_").filter(|name| !name.is_empty()) else {
                continue;
            };
            // The variable of an option is made from the option's name.
            let option = format!("\"{}\"", name.to_ascii_lowercase().replace('_', "-"));
            if !sources.contains(word) && !sources.contains(&option) {
                unknown.push(format!("{}: {word}", document.path));
            }
        }
    }
    assert_none("nothing reads it", unknown);
}

#[test]
fn the_index_lists_every_document() {
    let index = Text::read("docs/README.md");
    let listed: Vec<String> = links(&index);
    let mut missing = Vec::new();
    for document in files(&[".md"]) {
        if let Some(name) = document.path.strip_prefix("docs/")
            && name != "README.md"
            && !listed.iter().any(|link| link == name)
        {
            missing.push(document.path);
        }
    }
    assert_none("not in docs/README.md", missing);
}

#[test]
fn the_first_page_shows_what_the_verifiers_own_page_compiles() {
    let snippet = |path| {
        let text = Text::read(path).content;
        let (_, rest) = text.split_once("```rust\n").unwrap();
        rest.split("```").next().unwrap().to_owned()
    };
    assert_eq!(snippet("README.md"), snippet("sendpromptly-verify/README.md"));
}

#[test]
fn the_tree_stands_alone() {
    let outside = [
        concat!("../", "shared"),
        concat!("contract", ".md"),
        concat!("/tmp/", "brief"),
    ];
    let mut found = Vec::new();
    for file in files(&[
        ".rs", ".md", ".toml", ".json", ".py", ".js", ".mjs", ".php", "/run", "/setup",
    ]) {
        found.extend(
            outside
                .iter()
                .filter(|name| file.content.contains(**name))
                .map(|name| format!("{}: {name}", file.path)),
        );
    }
    assert_none("not in this tree", found);
}

fn joined(endings: &[&str]) -> String {
    files(endings).into_iter().map(|file| file.content).collect()
}

/// The longest runs of such characters.
fn words(text: &str, belongs: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    text.split(move |c| !belongs(c)).filter(|word| !word.is_empty())
}

/// The lines of a document that are not in a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

/// What stands between single backticks.
fn code_spans(text: &str) -> Vec<&str> {
    prose(text)
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

/// The targets of links that stay in this tree.
fn links(document: &Text) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(&document.content) {
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push(target.to_owned());
            }
        }
    }
    found
}

/// The names under which the headings of a document can be linked to.
fn anchors(document: &std::path::Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(document).unwrap_or_default();
    prose(&text)
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}
