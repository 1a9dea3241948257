//! The installed server runs under a filter of system calls. Whatever it calls must be let through, or a customer is the
//! first to find out.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use sendpromptly_tests::endpoint::Endpoint;
use sendpromptly_tests::http::Request;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

on_both_stores!(a_server_at_work_calls_nothing_that_its_unit_forbids);

/// The system calls that the unit lets through.
fn allowed() -> BTreeSet<String> {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../sendpromptly-server/packaging/debian/sendpromptly.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    let mut allowed = BTreeSet::new();
    for words in unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        match words.strip_prefix('~') {
            Some(words) => {
                for call in words.split(' ').flat_map(calls_of) {
                    allowed.remove(&call);
                }
            }
            None => allowed.extend(words.split(' ').flat_map(calls_of)),
        }
    }
    allowed
}

/// The calls of a group of systemd's, or the one that a word names.
fn calls_of(word: &str) -> Vec<String> {
    if !word.starts_with('@') {
        return vec![word.to_owned()];
    }
    let told = Command::new("systemd-analyze")
        .args(["syscall-filter", "--no-pager", word])
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    let told = String::from_utf8(told.stdout).unwrap();
    let members = told.lines().skip(1).map(str::trim);
    members
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .flat_map(calls_of)
        .collect()
}

/// The calls that `strace` saw, each but once.
fn seen_in(trace: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(trace).unwrap();
    let name = |line: &str| {
        let call = line.split_whitespace().nth(1)?;
        let (name, _) = call.split_once('(')?;
        Some(name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

async fn a_server_at_work_calls_nothing_that_its_unit_forbids(kind: StoreKind) {
    let store = TestStore::new(kind).await;
    let trace = store.directory().join("strace.log");
    let strace = ["strace", "-D", "-f", "-qq", "-o", trace.to_str().unwrap()];
    let options = Options::quick()
        .set("--metrics-listen", "127.0.0.1:0")
        .under(&strace);
    let endpoint = Endpoint::always(200).await;
    let mut world = World::start_on(store, &options, &["--repair-url", &endpoint.url()]).await;
    let (_, incident) = world.incident_for("worked").await;
    world.cli.reprocess(&incident).await;
    endpoint.after_calls(1).await;
    for path in ["/", "/sign-in", "/readyz"] {
        assert!(world.server.get(path).await.status < 500, "{path}");
    }
    let metrics = Request::new("GET", "/metrics")
        .send(world.server.metrics_at())
        .await;
    assert_eq!(metrics.status, 200);
    // A password is hashed at a priority of its own.
    let sign_in = Request::new("POST", "/sign-in")
        .with("content-type", "application/x-www-form-urlencoded")
        .with("sec-fetch-site", "same-origin")
        .body("email=nobody%40example.com&password=not-a-password-of-anyone")
        .send(world.server.address)
        .await;
    assert!(sign_in.status < 500, "{}", sign_in.text());
    world.server.signal("HUP").await;
    let (status, _) = world.server.stop().await;
    assert!(status.success());

    let mut seen = seen_in(&trace);
    // SQLite gives a new file to the database's owner where it is run by root, as these tests may be. The unit has a user.
    seen.remove("fchown");
    for call in ["accept4", "setpriority", "prlimit64"] {
        assert!(seen.contains(call), "{call} was not seen: {seen:?}");
    }
    let allowed = allowed();
    let forbidden: Vec<_> = seen.difference(&allowed).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
}
