//! Rules for every source file.

use super::{Text, assert_none, files};

#[test]
fn every_source_file_says_first_what_it_is() {
    // What a page shows is for its reader to copy, and stands inside other files.
    let ours = files(&[".rs"])
        .into_iter()
        .filter(|file| !file.path.contains("/templates/"));
    let headless = ours.filter(|file| {
        let first = file.content.lines().next().unwrap_or_default();
        !first.starts_with("//!") && !first.starts_with("#![doc = include_str!(")
    });
    assert_none("no header `//!`", headless.map(|file| file.path));
}

#[test]
fn no_source_file_has_over_500_lines() {
    let long = files(&[".rs"]).into_iter().filter_map(|file| {
        let lines = file.content.lines().count();
        (lines > 500).then(|| format!("{}: {lines} lines", file.path))
    });
    assert_none("too long to be about one thing", long);
}

#[test]
fn a_file_is_named_after_what_it_is_about() {
    let nameless = [
        "mod.rs",
        "utils.rs",
        "util.rs",
        "helpers.rs",
        "types.rs",
        "common.rs",
    ];
    let named_so = files(&[".rs"])
        .into_iter()
        .filter(|file| nameless.contains(&file.path.rsplit('/').next().unwrap_or_default()));
    assert_none("says nothing", named_so.map(|file| file.path));
}

#[test]
fn a_test_is_named_after_what_it_claims() {
    let prefix = concat!("fn te", "st_");
    assert_none("`test_` claims nothing", lines_with(&files(&[".rs"]), &[prefix]));
}

#[test]
fn the_core_and_the_verifier_touch_nothing_outside_themselves() {
    let outside = [
        "std::env",
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "ToSocketAddrs",
        "std::process",
        "std::thread",
        "std::io::",
        "Instant::now",
        "SystemTime",
        "tokio",
        "async fn",
    ];
    let pure: Vec<Text> = files(&[".rs"])
        .into_iter()
        .filter(|file| file.path.contains("core/src/") || file.path.contains("verify/src/"))
        .filter(|file| !file.path.ends_with("/tests.rs") && !file.path.contains("/tests/"))
        // The one convenience that reads a clock stands apart from what verifies.
        .filter(|file| file.path != "sendpromptly-verify/src/clock.rs")
        .map(without_tests_and_comments)
        .collect();
    assert!(pure.len() > 30, "only {} files are looked at", pure.len());
    assert_none("an effect", lines_with(&pure, &outside));
}

#[test]
fn the_store_knows_no_http_and_the_api_no_database() {
    let of = |folder: &str| -> Vec<Text> {
        let prefix = format!("sendpromptly-server/src/{folder}");
        let files = files(&[".rs"]).into_iter();
        files.filter(|file| file.path.starts_with(&prefix)).collect()
    };
    for (folder, foreign) in [
        ("store", ["hyper", "http::"]),
        ("api", ["sea_orm", "sqlx"]),
        ("http", ["sea_orm", "sqlx"]),
        ("callback", ["sea_orm", "crate::store"]),
    ] {
        let files: Vec<Text> = of(folder).into_iter().map(without_tests_and_comments).collect();
        assert!(!files.is_empty(), "{folder} has moved");
        assert_none(&format!("{folder} knows too much"), lines_with(&files, &foreign));
    }
}

/// There a scope is only what the store gave for a user who belongs to the organization.
#[test]
fn the_console_makes_no_scope_itself() {
    let console = files(&[".rs"]).into_iter().filter(|file| {
        file.path.starts_with("sendpromptly-server/src/console") && !file.path.ends_with("/tests.rs")
    });
    let console: Vec<Text> = console.map(without_tests_and_comments).collect();
    assert!(console.len() > 50, "only {} files are looked at", console.len());
    assert_none(
        "a scope for whom?",
        lines_with(&console, &["of_the_command_line"]),
    );
}

/// The lines that hold one of these words.
fn lines_with(files: &[Text], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (index, line) in file.content.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    found
}

/// Inline tests stand last in a file. Lines keep their numbers.
fn without_tests_and_comments(file: Text) -> Text {
    let code = file
        .content
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let uncommented = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    Text {
        content: uncommented.collect::<Vec<_>>().join("\n"),
        path: file.path,
    }
}
