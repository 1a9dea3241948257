//! What a running server tells of itself: metrics that Prometheus reads, rules that wake somebody, and the calls of the
//! dead man's switch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use sendpromptly_tests::bodies::receipt;
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::http::Request;
use sendpromptly_tests::https::HttpsWorld;
use sendpromptly_tests::newcomer::Newcomer;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

on_both_stores!(
    what_happens_is_counted_and_what_waits_is_told,
    a_heartbeat_goes_out_while_the_server_is_ready,
    a_stop_does_not_wait_for_a_monitor_that_hangs,
);

const SHOWN: [&str; 3] = [
    "docs/metrics.md",
    "docs/operations/alerts.yml",
    "docs/operations/dashboard.json",
];

/// Where the documents can be read from anywhere.
const TREE: &str = "https://github.com/sendpromptly/sendpromptly/blob/main/";

fn watched() -> Options {
    Options::quick().set("--metrics-listen", "127.0.0.1:0")
}

async fn scrape(server: &Server) -> String {
    let answer = Request::new("GET", "/metrics").send(server.metrics_at()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    answer.text().to_owned()
}

/// The sum of all figures of this name whose labels hold these words.
fn figure(text: &str, name: &str, words: &str) -> f64 {
    let of_name = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(words))
    };
    let values = text
        .lines()
        .filter(of_name)
        .filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

async fn what_happens_is_counted_and_what_waits_is_told(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let mut world = World::start_with(kind, &watched(), &["--repair-url", &endpoint.url()]).await;
    let api = world.api();
    let event = api.new_event().await;
    assert_eq!(api.receipt("", &receipt("evt")).await.status, 400);
    let incident = api.report(&event, "failed").await["incident_id"].clone();
    let provider = format!("/v1/providers/stripe/{}", world.project.id);
    Request::new("POST", &provider).send(world.server.address).await;
    let incident = incident.as_str().unwrap();
    let _ordered = world.cli.run(&["incident", "reprocess", incident]).await.json();
    endpoint.after_calls(1).await;
    let api_keys: Vec<String> = vec![
        api.key.clone(),
        world.project.id.clone(),
        event,
        incident.to_owned(),
    ];
    let text = eventually("the call is counted", async || {
        let text = scrape(&world.server).await;
        (figure(&text, "sendpromptly_callback_attempts_total", "outcome=\"2xx\"") > 0.0).then_some(text)
    })
    .await;
    let counted = |words: &str| figure(&text, "sendpromptly_http_requests_total", words);
    assert_eq!(counted("path=\"/api/v1/receipt\",status=\"202\""), 1.0, "{text}");
    assert_eq!(counted("path=\"/api/v1/receipt\",status=\"400\""), 1.0);
    assert_eq!(counted("path=\"/api/v1/result\",status=\"202\""), 1.0);
    let in_part = |part: &str| {
        let words = format!("part=\"{part}\"");
        figure(&text, "sendpromptly_http_request_duration_seconds_count", &words)
    };
    assert_eq!((in_part("ingest"), in_part("console")), (4.0, 0.0), "{text}");
    let taken = figure(&text, "sendpromptly_ingest_batch_requests_sum", "");
    assert_eq!(taken, 2.0, "what was refused before goes to no committer");
    for kind in ["receipts", "results"] {
        let commits = figure(&text, "sendpromptly_ingest_commit_duration_seconds_count", kind);
        assert!(commits >= 1.0, "{kind}: {text}");
    }
    assert_eq!(figure(&text, "sendpromptly_worker_in_trouble", ""), 0.0);
    assert!(text.contains("sendpromptly_worker_in_trouble{worker=\"sweep\"} 0"));
    assert!(figure(&text, "process_resident_memory_bytes", "") > 1e6);
    for secret in api_keys {
        assert!(!text.contains(&secret), "a metric holds {secret}");
    }
    what_waits_is_told(&mut world).await;
}

/// An incident is being repaired already; here come one that is open, and a mail that no server takes.
async fn what_waits_is_told(world: &mut World) {
    world.incident_for("open").await;
    let dead = "smtp://127.0.0.1:1";
    let options = watched()
        .set("--smtp-url", dead)
        .set("--mail-from", "pay@example.com");
    world.server.stop().await;
    world.restart(&options).await;
    let mut newcomer = Newcomer::new(&world.server, "ada@example.com");
    newcomer.ask_to_sign_up("Acme").await;
    world.server.stop().await;
    world.restart(&options).await; // what waits is looked at once at the start
    let text = eventually("what waits is told", async || {
        let text = scrape(&world.server).await;
        text.contains("sendpromptly_incidents{").then_some(text)
    })
    .await;
    let waits = |name: &str, words: &str| figure(&text, name, words);
    assert_eq!(waits("sendpromptly_incidents", "\"open\""), 1.0, "{text}");
    assert_eq!(waits("sendpromptly_incidents", "\"reprocessing\""), 1.0, "{text}");
    assert!(waits("sendpromptly_oldest_open_incident_age_seconds", "") > 0.0);
    assert_eq!(waits("sendpromptly_mails_waiting", ""), 1.0, "{text}");
    assert_eq!(
        waits("sendpromptly_sweep_lag_seconds", ""),
        0.0,
        "nothing is overdue"
    );
}

fn beating(url: &str) -> Options {
    // A path may be a secret, so it is taken from the environment only.
    Options::quick()
        .environment("SENDPROMPTLY_HEARTBEAT_URL", url)
        .set("--heartbeat-interval", "1s")
}

async fn a_stop_does_not_wait_for_a_monitor_that_hangs(kind: StoreKind) {
    let monitor = Endpoint::start(|_, _| Reply::Held(200)).await;
    let mut world = World::start_with(kind, &beating(&monitor.url()), &[]).await;
    eventually("a call hangs", async || (monitor.in_flight() == 1).then_some(())).await;
    let (status, _) = world.server.stop().await;
    let log = world.server.log();
    assert!(status.success() && log.contains("stopped"), "{status}: {log}");
}

async fn a_heartbeat_goes_out_while_the_server_is_ready(kind: StoreKind) {
    let monitor = Endpoint::always(200).await;
    let url = format!("{}/secret-path", monitor.url());
    let world = World::start_with(kind, &beating(&url), &[]).await;
    monitor.after_calls(2).await;
    assert!(
        !world.server.log().contains("secret-path"),
        "{}",
        world.server.log()
    );
}

#[tokio::test]
async fn a_monitor_that_does_not_answer_is_told_once_and_without_its_path() {
    let monitor = Endpoint::always(404).await;
    let url = format!("{}/secret-path", monitor.url());
    let world = World::start_with(StoreKind::Sqlite, &beating(&url), &[]).await;
    monitor.after_calls(3).await;
    let log = world.server.log();
    assert_eq!(log.matches("could not be called").count(), 1, "{log}");
    assert!(
        log.contains("it answered 404") && !log.contains("secret-path"),
        "{log}"
    );
}

#[tokio::test]
async fn metrics_are_told_on_their_own_address_only() {
    let world = World::start_with(StoreKind::Sqlite, &watched(), &[]).await;
    assert_eq!(world.server.get("/metrics").await.status, 404);
    let at = world.server.metrics_at();
    for (method, path, status) in [
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/healthz", 404),
    ] {
        let answer = Request::new(method, path).send(at).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    let receipt = Request::new("POST", "/v1/receipt").body("{}").send(at).await;
    assert_eq!(receipt.status, 404);
}

#[tokio::test]
async fn the_end_of_the_certificate_is_told() {
    let world = HttpsWorld::start_with(StoreKind::Sqlite, &watched()).await;
    let until = figure(
        &scrape(&world.server).await,
        "sendpromptly_certificate_expiry_timestamp_seconds",
        "",
    );
    assert!(until > 1.7e9, "{until}");
}

#[tokio::test]
async fn every_metric_that_documents_rules_and_dashboard_name_is_told_and_promtool_reads_them() {
    let world = HttpsWorld::start_with(StoreKind::Sqlite, &watched()).await;
    let text = eventually("each worker has gone its first round", async || {
        let text = scrape(&world.server).await;
        let rounds = ["sendpromptly_incidents{", "pass=\"deleted_projects\""];
        rounds.iter().all(|told| text.contains(told)).then_some(text)
    })
    .await;
    let told: BTreeSet<&str> = families(&text);
    for document in SHOWN {
        let content = std::fs::read_to_string(root().join(document)).unwrap();
        let absent: Vec<&str> = named_in(&content)
            .into_iter()
            .filter(|name| !told.contains(base(name)))
            .collect();
        assert!(
            absent.is_empty(),
            "{document} names {absent:?}, and these are told: {told:?}"
        );
    }
    let documented = std::fs::read_to_string(root().join(SHOWN[0])).unwrap();
    let undocumented: Vec<&&str> = told.iter().filter(|name| !documented.contains(**name)).collect();
    assert!(
        undocumented.is_empty(),
        "told, and not in {}: {undocumented:?}",
        SHOWN[0]
    );
    promtool(&["check", "metrics"], Some(&in_the_older_format(&text)));
    every_worker_and_every_pass_is_told_of(&text);
}

/// Who is called reads in `docs/operations.md` what a worker is whose name is told, and `retention run` names passes.
fn every_worker_and_every_pass_is_told_of(scraped: &str) {
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    for label in ["worker=\"", "pass=\""] {
        let names: BTreeSet<&str> = scraped
            .split(label)
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(names.len() > 10, "{names:?}");
        let untold: Vec<_> = names
            .iter()
            .filter(|name| !page.contains(&format!("`{name}`")))
            .collect();
        assert!(
            untold.is_empty(),
            "docs/operations.md does not tell of {untold:?}"
        );
    }
}

#[test]
fn the_alert_rules_hold_and_do_what_their_tests_say() {
    promtool(&["check", "rules", "alerts.yml"], None);
    promtool(&["test", "rules", "alerts_test.yml"], None);
    let read = |file: &str| std::fs::read_to_string(root().join("docs/operations").join(file)).unwrap();
    let (rules, cases) = (read("alerts.yml"), read("alerts_test.yml"));
    let named = |line: &str| line.trim().strip_prefix("- alert: ").map(str::to_owned);
    for alert in rules.lines().filter_map(named) {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n");
        assert!(cases.contains(&fires), "no case has {alert} fire");
        let silent = format!("alertname: {alert}}}\n");
        assert!(cases.contains(&silent), "no case has {alert} silent");
    }
}

#[test]
fn what_an_alert_is_about_can_be_seen_on_the_dashboard() {
    let [rules, dashboard] =
        [SHOWN[1], SHOWN[2]].map(|file| std::fs::read_to_string(root().join(file)).unwrap());
    let shown = named_in(&dashboard);
    let unseen: Vec<_> = named_in(&rules).difference(&shown).copied().collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn every_alert_names_a_page_to_read() {
    let rules = std::fs::read_to_string(root().join(SHOWN[1])).unwrap();
    let mut pages = BTreeMap::new();
    for line in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook_url: "))
    {
        // An address, for who is called has no source tree.
        let line = line.strip_prefix(TREE).unwrap_or_else(|| panic!("{line}"));
        let (file, anchor) = line.split_once('#').unwrap_or((line, ""));
        let page = pages
            .entry(file.to_owned())
            .or_insert_with(|| std::fs::read_to_string(root().join(file)).unwrap());
        let heading = |line: &str| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
        };
        let there = anchor.is_empty()
            || page
                .lines()
                .any(|line| line.starts_with('#') && heading(line) == anchor);
        assert!(there, "{file} has no heading for #{anchor}");
    }
    let alerts = rules.matches("- alert: ").count();
    assert!(alerts > 5);
    assert_eq!(rules.matches("runbook_url: ").count(), alerts);
}

/// The linter reads the format before OpenMetrics, in which a counter's help bears the name of its series.
fn in_the_older_format(text: &str) -> String {
    let mut older = text.to_owned();
    for line in text
        .lines()
        .filter(|line| line.starts_with("# TYPE ") && line.ends_with(" counter"))
    {
        let name = line.split(' ').nth(2).unwrap();
        for word in ["# TYPE ", "# HELP "] {
            older = older.replace(&format!("{word}{name} "), &format!("{word}{name}_total "));
        }
    }
    older
}

/// The names of the families in a scrape.
fn families(text: &str) -> BTreeSet<&str> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).collect()
}

/// The names of ours that a text holds.
fn named_in(content: &str) -> BTreeSet<&str> {
    let words = content.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
    let is_ours = |word: &&str| word.starts_with("sendpromptly_") || word.starts_with("process_");
    words.filter(is_ours).collect()
}

/// The family of a series.
fn base(name: &str) -> &str {
    let ends = ["_total", "_bucket", "_sum", "_count"];
    ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// Runs `promtool`, which must find nothing wrong.
fn promtool(arguments: &[&str], input: Option<&str>) {
    let own = root().join("tests/tools/promtool");
    let program = if own.exists() { own } else { "promtool".into() };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(root().join("docs/operations"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, which tests/setup installs");
    if let Some(input) = input {
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), input.as_bytes()).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
