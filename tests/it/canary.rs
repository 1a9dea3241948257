//! No secret leaks: known ones are pushed through every path, and every place that lasts is searched for them.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sendpromptly_tests::bodies::{receipt, result, unique, with};
use sendpromptly_tests::command::Output;
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::http::{Answer, Request};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::signature::hex;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;
use serde_json::json;
use tokio::process::Command;

mod beside;

use beside::Others;

on_both_stores!(no_secret_leaks);

const PASSWORD: &str = "canary-password-7Qm2xVb9";
const PAYLOAD: &str = "canary-payload-h4Zt8kLw";
const URL_TOKEN: &str = "canary-url-token-Rd5yNc3J";
const ERROR_MESSAGE: &str = "canary-error-message-p6Gs";
const UNKNOWN_KEY: &str = "sk_canaryUnknownKey0123456789abcdefghijkl";
const ANSWER: &str = "canary-answer-Xw2vTq8M";

async fn no_secret_leaks(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, call| match call.reference().as_str() {
        "lost" => Reply::HangUp,
        "refused" => Reply::Status(404, vec![("location", format!("https://8.8.8.8/{ANSWER}"))]),
        _ => Reply::status(200),
    })
    .await;
    let store = TestStore::new(kind).await;
    let mut others = Others::start().await;
    fs::write(
        store.directory().join("sendpromptly.toml"),
        others.configuration(),
    )
    .unwrap();
    let options = Options::quick()
        .set("--log", "trace")
        .set("--metrics-listen", "127.0.0.1:0");
    let url = format!("{}/{URL_TOKEN}", endpoint.url());
    let mut world = World::start_on(store, &options, &["--repair-url", &url]).await;
    let mut said = Vec::new();
    commands(&world, &mut said).await;
    requests(&world, &mut said).await;
    callbacks(&world, &endpoint).await;
    let (beside, code) = others.push(&world).await;

    let key = world.project.api_key.clone();
    let secret = world.project.signing_secret.clone();
    let mut secrets = vec![&key, &secret, PASSWORD, PAYLOAD, UNKNOWN_KEY, ANSWER, URL_TOKEN];
    secrets.extend(beside.iter().map(String::as_str));
    let pid = world.server.pid();
    let process = ["cmdline", "environ"].map(|file| text_of(Path::new(&format!("/proc/{pid}/{file}"))));
    let metrics = Request::new("GET", "/metrics")
        .send(world.server.metrics_at())
        .await;
    let running = database(&world).await;
    world.server.stop().await;
    let logs = [world.server.log(), world.server.output()].join("\n");
    assert!(logs.contains("listening"), "{logs}");

    let metrics = metrics.text();
    assert!(metrics.contains("sendpromptly_"), "{metrics}");

    let places = [
        ("the log", logs),
        ("what commands and answers said", said.join("\n")),
        ("the metrics", metrics.to_owned()),
        ("the process", process.concat()),
        ("the database while running", running),
        ("the database after a stop", database(&world).await),
        ("the database's backup", backup(&world).await),
    ];
    for (place, text) in &places {
        for secret in secrets.iter().copied() {
            // The repair URL must be stored as it is: it is what is called.
            if place.starts_with("the database") && secret == URL_TOKEN {
                continue;
            }
            assert_absent(place, text, secret);
        }
    }
    // What the app said of its own failure is kept for the operator, and for nobody who reads logs.
    assert_absent("the log", &places[0].1, ERROR_MESSAGE);
    // Six digits stand in many a number, so a code is looked for as a word of its own.
    for (place, text) in &places[..2] {
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        assert!(!words.any(|word| word == code), "the code {code} is in {place}");
    }
    // And the search finds what is there.
    for (place, text) in &places[4..] {
        assert!(text.contains("customer_42"), "{place}");
    }
}

/// Every command that is given a secret, or could show one that it does not own.
async fn commands(world: &World, said: &mut Vec<String>) {
    let create = [
        "org",
        "create",
        "--name",
        "canary",
        "--owner-email",
        "canary@example.com",
    ];
    let cli = world.cli.clone().with("SENDPROMPTLY_LOG", "trace");
    let mut note = |output: Output| said.push(format!("{}\n{}", output.stdout, output.stderr));
    note(cli.run_with_input(&create, PASSWORD).await);
    note(
        cli.run_with_input(
            &create,
            &format!("{PASSWORD}\u{7}{PASSWORD}{PASSWORD}{PASSWORD}{PASSWORD}{PASSWORD}"),
        )
        .await,
    );
    let project = world.project.id.as_str();
    for arguments in [
        &["key", "list", "--project", project][..],
        &["incident", "list", "--project", project],
        &["org", "list"],
        &["project", "list", "--org", &world.organization],
        &["audit", "export", "--org", &world.organization],
        &["audit", "verify"],
        &["doctor"],
        &["secret", "rotate", "--project", "not a project"],
    ] {
        note(cli.run(arguments).await);
    }
    // Made with secrets of their own, which only standard output shows.
    for arguments in [
        &["key", "create", "--project", project][..],
        &["secret", "rotate", "--project", project],
    ] {
        let output = cli.run(arguments).await;
        let shown = output.json();
        let own = shown["api_key"]
            .as_str()
            .or(shown["signing_secret"].as_str())
            .unwrap();
        assert_absent("standard error", &output.stderr, own);
    }
    // Setting an URL shows it to whoever sets it, and says it nowhere else.
    let bad = format!("https://127.0.0.1:1/{URL_TOKEN}");
    let strict = cli.without("SENDPROMPTLY_ALLOW_PRIVATE_CALLBACKS");
    note(
        strict
            .run(&["project", "set", project, "--repair-url", &bad])
            .await,
    );
    note(
        strict
            .run(&[
                "project",
                "set",
                project,
                "--repair-url",
                &bad.replace("https", "gopher"),
            ])
            .await,
    );
}

/// Requests of every kind, accepted and refused.
async fn requests(world: &World, said: &mut Vec<String>) {
    let api = world.api();
    let mut note = |answer: Answer| {
        let headers: Vec<_> = answer
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        said.push(format!("{}\n{}", headers.join("\n"), answer.text()));
    };
    let payload = with(receipt("evt_payload"), "payload", json!({"card": PAYLOAD}));
    note(api.receipt("key-1", &payload).await);
    note(
        api.receipt(
            "key-1",
            &with(payload.clone(), "internal_reference", "other".into()),
        )
        .await,
    );
    note(
        api.receipt("key-2", &with(payload.clone(), "provider", "paypal".into()))
            .await,
    );
    note(
        api.receipt("key-3", &with(payload.clone(), "payload", json!(PAYLOAD)))
            .await,
    );
    note(
        api.request("/api/v1/receipt", "key-4", &payload)
            .with("authorization", format!("Bearer {UNKNOWN_KEY}"))
            .send(api.server)
            .await,
    );
    note(
        api.request("/api/v1/receipt", "key-5", &payload)
            .with("authorization", format!("Basic {}", api.key))
            .send(api.server)
            .await,
    );
    note(
        api.request(&format!("/api/v1/{}", api.key), "key-6", &payload)
            .send(api.server)
            .await,
    );
    note(
        api.request("/api/v1/receipt", "key-7", &payload)
            .body(format!("{{\"payload\": {PAYLOAD}"))
            .send(api.server)
            .await,
    );
    note(
        api.request("/api/v1/receipt", "key-8", &payload)
            .method("GET")
            .send(api.server)
            .await,
    );
    let event = api.new_event().await;
    let failed = with(result(&event, "failed"), "error_message", ERROR_MESSAGE.into());
    note(api.result(&unique("key"), &failed).await);
}

/// Callbacks that are delivered, refused, and lost.
async fn callbacks(world: &World, endpoint: &Endpoint) {
    for (reference, ends) in [
        ("taken", "delivered"),
        ("refused", "halted"),
        ("lost", "exhausted"),
    ] {
        let (_, incident) = world.incident_for(reference).await;
        world.cli.reprocess(&incident).await;
        world.replay_becomes(&incident, ends).await;
    }
    assert!(
        endpoint
            .calls()
            .iter()
            .all(|call| call.request_line.contains(URL_TOKEN))
    );
}

/// All that the store holds: the files on SQLite, every row of every table on PostgreSQL.
pub(crate) async fn database(world: &World) -> String {
    let files = files(&world.store.data_dir());
    if world.store.kind() == StoreKind::Sqlite {
        return files;
    }
    let sql = world.sql().await;
    let tables = "SELECT tablename::text AS t FROM pg_tables WHERE schemaname = 'public'";
    let mut rows = vec![files];
    for table in sql.texts(tables).await {
        let whole = format!("SELECT row_to_json(r)::text AS t FROM {table} r");
        rows.extend(sql.texts(&whole).await);
    }
    rows.join("\n")
}

/// What a backup holds, in both of its files.
async fn backup(world: &World) -> String {
    let file = world.store.directory().join("a.backup");
    let made = world.cli.run(&["backup", file.to_str().unwrap()]).await;
    assert_eq!(made.code, 0, "{made:?}");
    let whole = fs::read(&file).unwrap();
    let mut found = vec![text_of(&file), text_of(&file.with_extension("backup.keys"))];
    if world.store.kind() == StoreKind::Postgres {
        // A dump is packed.
        let start = whole.windows(5).position(|bytes| bytes == b"PGDMP").unwrap();
        let dump = world.store.directory().join("a.dump");
        fs::write(&dump, &whole[start..whole.len() - 32]).unwrap();
        let unpacked = Command::new("pg_restore")
            .arg("--file=-")
            .arg(dump)
            .output()
            .await;
        let unpacked = unpacked.unwrap();
        assert!(unpacked.status.success(), "{unpacked:?}");
        found.push(String::from_utf8(unpacked.stdout).unwrap());
    }
    found.join("\n")
}

fn files(directory: &Path) -> String {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| text_of(&entry.unwrap().path())).collect()
}

/// What of a file is text.
fn text_of(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()
}

/// Neither in plain, nor in hex, nor in base64 at any of its three alignments.
pub(crate) fn assert_absent(place: &str, text: &str, secret: &str) {
    let digits = hex(secret.as_bytes());
    let mut forms = vec![secret.to_owned(), digits.to_uppercase(), digits];
    for skipped in 0..3 {
        let whole_groups = (secret.len() - skipped) / 3 * 3;
        let bytes = &secret.as_bytes()[skipped..skipped + whole_groups];
        forms.extend([STANDARD.encode(bytes), URL_SAFE.encode(bytes)]);
    }
    for form in forms {
        assert!(!text.contains(&form), "{secret} is in {place}, as {form}");
    }
}
