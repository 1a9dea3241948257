//! An organization that is exported whole, and checked by another program.

use std::path::{Path, PathBuf};

use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::python::sources;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::Value;
use tokio::process::Command;

on_both_stores!(
    an_organization_is_exported_whole_without_a_secret,
    what_is_sealed_is_exported_where_that_is_asked_for,
    an_export_that_is_told_to_stop_leaves_nothing_or_is_made,
    an_export_goes_into_a_new_directory_or_nowhere,
);

/// What an endpoint answers.
const ANSWER: &str = "the order of Grace Hopper is unknown";

/// An organization with an incident whose replay was halted, and another organization.
async fn busy(kind: StoreKind) -> (World, Endpoint) {
    let endpoint = Endpoint::start(|_, _| Reply::Text(404, ANSWER)).await;
    let world = World::start_calling(kind, &endpoint).await;
    let (_, incident) = world.api().new_incident().await;
    world.api().new_event().await;
    let _ = world.cli.run(&["incident", "reprocess", &incident]).await.json();
    world.replay_becomes(&incident, "halted").await;
    let other = world.cli.create_organization("other").await;
    world.cli.create_project(&other, &[]).await;
    (world, endpoint)
}

fn directory(world: &World) -> PathBuf {
    world.store.directory().join("export")
}

async fn export(world: &World, more: &[&str]) -> Value {
    let directory = directory(world);
    let mut command = vec![
        "org",
        "export",
        "--org",
        &world.organization,
        directory.to_str().unwrap(),
    ];
    command.extend(more);
    world.cli.run(&command).await.json()
}

fn lines(directory: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A command that opens what is sealed.
fn opening<'a>(world: &'a World, to: &'a Path) -> [&'a str; 8] {
    let to = to.to_str().unwrap();
    let why = "asked for by Ada";
    [
        "org",
        "export",
        "--org",
        &world.organization,
        "--with-snapshots",
        "--reason",
        why,
        to,
    ]
}

/// Everything that the files hold.
fn text(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).unwrap();
    files
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect()
}

async fn python(script: &str, arguments: &[&Path]) -> Result<String, String> {
    let mut command = Command::new("python3");
    command.arg(sources().join("vectors").join(script));
    if script == "verify_audit.py" {
        command.arg("--public-key");
    }
    let output = command.args(arguments).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        _ => Err(text(&output.stderr)),
    }
}

async fn an_organization_is_exported_whole_without_a_secret(kind: StoreKind) {
    let (world, _endpoint) = busy(kind).await;
    let project = world.sql().await.id(&world.project.id);
    let hour = "INSERT INTO hourly_counts (project_id, hour, events, opened)";
    let hour = format!("{hour} VALUES ({project}, 1893456000000, 3, 1)");
    assert_eq!(world.sql().await.run(&hour).await, 1);
    let said = export(&world, &[]).await;
    let (directory, sql) = (directory(&world), world.sql().await);
    let verified = python("verify_export.py", &[&directory]).await.unwrap();
    assert!(
        verified.contains(said["manifest_sha256"].as_str().unwrap()),
        "{verified}"
    );
    assert!(verified.contains(&world.organization), "{verified}");

    // Every row of the organization is there: of each table, all but what the other one has.
    let project = sql.id(&world.project.id);
    for table in [
        "events",
        "incidents",
        "results",
        "replays",
        "attempts",
        "api_keys",
        "hourly_counts",
    ] {
        let stored = sql
            .count(&format!(
                "SELECT count(*) AS n FROM {table} WHERE project_id = {project}"
            ))
            .await;
        let exported = lines(&directory, &format!("{table}.jsonl"));
        assert_eq!(exported.len() as i64, stored, "{table}");
        assert!(stored > 0, "{table}");
        assert!(
            exported
                .iter()
                .all(|line| line["project_id"] == world.project.id.as_str()),
            "{table}"
        );
    }
    let hours = lines(&directory, "hourly_counts.jsonl");
    let known = hours.iter().find(|line| line["events"] == 3);
    assert_eq!(known.unwrap()["hour"], "2030-01-01T00:00:00.000Z");
    let organizations = lines(&directory, "organizations.jsonl");
    assert_eq!(organizations.len(), 1);
    assert_eq!(organizations[0]["organization_id"], world.organization.as_str());
    assert_eq!(lines(&directory, "members.jsonl")[0]["email"], "acme@example.com");
    let public = world.store.data_dir().join("audit.pub");
    let audit = directory.join("audit.jsonl");
    let proven = python("verify_audit.py", &[&public, &audit]).await;
    assert!(proven.unwrap().contains("the chain is whole"));
    let last = lines(&directory, "audit.jsonl");
    assert!(last.iter().any(|line| line["action"] == "organization.exported"));

    let all = text(&directory);
    let hashes = [
        format!("SELECT {} AS t FROM api_keys", sql.hex_of_bytes("hash")),
        "SELECT password_hash AS t FROM users".to_owned(),
        format!("SELECT {} AS t FROM signing_secrets", sql.hex_of_bytes("sealed")),
        format!("SELECT {} AS t FROM data_keys", sql.hex_of_bytes("wrapped")),
    ];
    let mut secrets = vec![
        world.project.api_key.clone(),
        world.project.signing_secret.clone(),
        ANSWER.to_owned(),
    ];
    for query in hashes {
        let found = sql.texts(&query).await;
        assert!(!found.is_empty(), "{query}");
        secrets.extend(found);
    }
    for secret in &secrets {
        assert!(!all.contains(secret.as_str()), "{secret}");
    }
    assert!(
        !all.contains("other@example.com"),
        "nothing of another organization"
    );
    assert!(!all.contains("/repair"), "a repair URL's path may hold a secret");

    // A file that was changed, cut or added is found.
    let events = directory.join("events.jsonl");
    let whole = std::fs::read_to_string(&events).unwrap();
    for changed in [
        whole.replacen("stripe", "shopify", 1),
        whole[..whole.len() - 5].to_owned(),
        String::new(),
    ] {
        std::fs::write(&events, changed).unwrap();
        let fault = python("verify_export.py", &[&directory]).await.unwrap_err();
        assert!(fault.contains("events.jsonl"), "{fault}");
    }
    std::fs::write(&events, whole).unwrap();
    python("verify_export.py", &[&directory]).await.unwrap();
    std::fs::write(directory.join("more.jsonl"), "").unwrap();
    assert!(python("verify_export.py", &[&directory]).await.is_err());
}

/// So long that it is kept packed, and with words that no provider's shape has.
fn payload() -> Value {
    let line = |number: u64| serde_json::json!({ "id": format!("il_{number:024}"), "amount": 100 * number });
    serde_json::json!({
        "object": "invoice",
        "customer_name": "Grace Hopper",
        "lines": { "object": "list", "data": (0..40).map(line).collect::<Vec<_>>() },
    })
}

async fn what_is_sealed_is_exported_where_that_is_asked_for(kind: StoreKind) {
    let (world, _endpoint) = busy(kind).await;
    let kept = ["project", "set", &world.project.id, "--snapshots", "true"];
    let _ = world.cli.run(&kept).await.json();
    sendpromptly_tests::wait::eventually("payloads are kept", async || {
        let body = sendpromptly_tests::bodies::with(
            sendpromptly_tests::bodies::receipt(&sendpromptly_tests::bodies::unique("evt")),
            "payload",
            payload(),
        );
        let answer = world
            .api()
            .receipt(&sendpromptly_tests::bodies::unique("key"), &body)
            .await;
        assert_eq!(answer.status, 202);
        (world.sql().await.rows("snapshots").await > 0).then_some(())
    })
    .await;
    let directory = directory(&world);
    let to = directory.to_str().unwrap();
    let without_reason = [
        "org",
        "export",
        "--org",
        &world.organization,
        "--with-snapshots",
        to,
    ];
    assert_eq!(world.cli.run(&without_reason).await.code, 2);
    let _ = world.cli.run(&opening(&world, &directory)).await.json();
    python("verify_export.py", &[&directory]).await.unwrap();
    let heads: Vec<_> = lines(&directory, "attempts.jsonl")
        .iter()
        .map(|line| line["answer_head"].clone())
        .collect();
    assert_eq!(heads, [ANSWER]);
    let exported = lines(&directory, "snapshots.jsonl").remove(0)["payload"].clone();
    let exported: Value = serde_json::from_str(exported.as_str().unwrap()).unwrap();
    assert_eq!(exported, payload());
    let longest = "SELECT CAST(max(length(sealed)) AS bigint) AS n FROM snapshots";
    let stored = world.sql().await.count(longest).await as usize;
    assert!(stored < payload().to_string().len(), "it was packed: {stored}");
    let audit = lines(&directory, "audit.jsonl");
    let told = audit
        .iter()
        .find(|line| line["action"] == "organization.exported");
    let details = told.unwrap()["details"].to_string();
    for word in ["with_snapshots", "asked for by Ada"] {
        assert!(details.contains(word), "{details}");
    }

    // What is forgotten is null; what was tampered with does not pass for it.
    let sql = world.sql().await;
    sql.run("DELETE FROM data_keys WHERE purpose = 'answer'").await;
    let forgotten = world.store.directory().join("forgotten");
    let _ = world.cli.run(&opening(&world, &forgotten)).await.json();
    let attempts = lines(&forgotten, "attempts.jsonl");
    assert!(
        attempts.iter().all(|line| line["answer_head"].is_null()),
        "{attempts:?}"
    );
    let changed = format!("UPDATE attempts SET answer_head = {}", sql.bytes("00"));
    assert_eq!(sql.run(&changed).await, 1);
    let tampered = world.store.directory().join("tampered");
    let refused = world.cli.run(&opening(&world, &tampered)).await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("does not open"), "{}", refused.stderr);
    assert!(!tampered.exists());
}

async fn an_export_that_is_told_to_stop_leaves_nothing_or_is_made(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_event().await;
    let to = directory(&world);
    let command = [
        "org",
        "export",
        "--org",
        &world.organization,
        to.to_str().unwrap(),
    ];
    let mut stopped = 0;
    for (signal, number) in [("INT", 1), ("TERM", 2), ("INT", 5), ("TERM", 9)] {
        let cli = world.cli.clone().struck_at("fsync", number, signal);
        let output = cli.run(&command).await;
        if output.code == 0 {
            std::fs::remove_dir_all(&to).unwrap();
        } else {
            stopped += 1;
        }
        let names = std::fs::read_dir(world.store.directory()).unwrap();
        let names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
        let left: Vec<_> = names.filter(|name| name.starts_with("export")).collect();
        assert_eq!(left, [""; 0], "{signal} {number}: {output:?}");
    }
    assert!(stopped > 0);
}

async fn an_export_goes_into_a_new_directory_or_nowhere(kind: StoreKind) {
    let world = World::start(kind).await;
    let run = async |organization: &str, to: &Path| {
        let command = ["org", "export", "--org", organization, to.to_str().unwrap()];
        world.cli.run(&command).await
    };
    let there = world.store.directory().join("there");
    std::fs::create_dir(&there).unwrap();
    let refused = run(&world.organization, &there).await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("is there already"), "{}", refused.stderr);
    let nowhere = world.store.directory().join("absent/export");
    let refused = run(&world.organization, &nowhere).await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("cannot be written"), "{}", refused.stderr);
    let unknown = run("org_00000000000000000000000000000001", &directory(&world)).await;
    assert_eq!(unknown.code, 1, "{}", unknown.stderr);
    let names = std::fs::read_dir(world.store.directory()).unwrap();
    let left: Vec<_> = names.map(|name| name.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().contains("export")),
        "{left:?}"
    );
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 0);
}
