//! The audit log: every action leaves its entry, and no entry can be changed.

use std::path::Path;

use sendpromptly_tests::audit_chain::assert_chain;
use sendpromptly_tests::bodies::{millis, now_millis};
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

on_both_stores!(
    every_action_leaves_its_entry,
    no_entry_can_be_changed_deleted_or_replaced,
    a_stop_writes_a_signed_checkpoint,
);

async fn every_action_leaves_its_entry(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, call| match call.header("x-sendpromptly-attempt") {
        "1" => Reply::status(404),
        _ => Reply::status(200),
    })
    .await;
    let world = World::start_calling(kind, &endpoint).await;
    let (organization, project) = (world.organization.as_str(), world.project.id.as_str());
    let first_key = key_ids(&world).await.remove(0);
    let mut expected = vec![
        ("cli", "organization.created", organization.to_owned()),
        ("cli", "user.created", "usr_".to_owned()),
        ("cli", "project.created", project.to_owned()),
        ("cli", "api_key.created", first_key.clone()),
    ];

    let key = run(&world, &["key", "create", "--project", project]).await["key_id"]
        .as_str()
        .unwrap()
        .to_owned();
    run(&world, &["key", "revoke", &key]).await;
    run(&world, &["secret", "rotate", "--project", project]).await;
    run(&world, &["project", "set", project, "--timeout-minutes", "45"]).await;
    expected.extend([
        ("cli", "api_key.created", key.clone()),
        ("cli", "api_key.revoked", key),
        ("cli", "secret.rotated", project.to_owned()),
        ("cli", "project.changed", project.to_owned()),
    ]);

    let (event, incident) = world.api().new_incident().await;
    run(&world, &["incident", "reprocess", &incident]).await;
    world.replay_becomes(&incident, "halted").await;
    run(
        &world,
        &["incident", "dismiss", &incident, "--reason", "asked the customer"],
    )
    .await;
    run(&world, &["incident", "reopen", &incident]).await;
    world.api().report(&event, "success").await;
    let missing = world.api().new_event().await;
    world.sql().await.make_overdue(&missing).await;
    let timed_out = world.incident_of(&missing).await["incident_id"]
        .as_str()
        .unwrap()
        .to_owned();
    expected.extend([
        (first_key.as_str(), "incident.opened", incident.clone()),
        ("cli", "incident.reprocessed", incident.clone()),
        ("system", "incident.reopened", incident.clone()),
        ("cli", "incident.dismissed", incident.clone()),
        ("cli", "incident.reopened", incident.clone()),
        (first_key.as_str(), "incident.resolved", incident),
        ("system", "incident.opened", timed_out),
    ]);

    export(&world).await;
    expected.push(("cli", "audit.exported", organization.to_owned()));
    let (entries, _) = export(&world).await;
    assert_chain(&entries);
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            (
                words(entry, "actor"),
                words(entry, "action"),
                words(entry, "target"),
            )
        })
        .collect();
    for ((actor, action, target), entry) in expected.iter().zip(&told) {
        assert!(entry.0.starts_with(actor), "{actor} in {entry:?}");
        assert_eq!(entry.1, *action, "{entry:?} of {told:#?}");
        assert!(entry.2.starts_with(target.as_str()), "{target} in {entry:?}");
    }
    assert!(told.len() >= expected.len(), "{told:#?}");

    // An address where there is one; who had the command line, by name; the reason that was given.
    let details: Vec<Value> = entries
        .iter()
        .map(|entry| serde_json::from_str(entry["details"].as_str().unwrap()).unwrap())
        .collect();
    for ((actor, _, _), details) in told.iter().zip(&details) {
        let address = if actor.starts_with("key_") {
            json!("127.0.0.1")
        } else {
            Value::Null
        };
        assert_eq!(details["address"], address, "{actor}");
        assert!(actor != "cli:" && actor != "system:", "{actor} names somebody");
    }
    let dismissed = told
        .iter()
        .position(|(_, action, _)| action == "incident.dismissed")
        .unwrap();
    assert_eq!(details[dismissed]["reason"], "asked the customer");
    let text = serde_json::to_string(&entries).unwrap();
    assert!(
        !text.contains("customer_42"),
        "no internal_reference is kept for a year"
    );
    assert!(!text.contains(&endpoint.url()), "no repair URL either");
}

async fn no_entry_can_be_changed_deleted_or_replaced(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_incident().await;
    let sql = world.sql().await;
    let entries = sql.rows("audit_entries").await;
    let mut attempts = vec![
        "UPDATE audit_entries SET actor = 'cli:nobody' WHERE seq = 2",
        "UPDATE audit_entries SET seq = seq + 100",
        "DELETE FROM audit_entries WHERE seq = 2",
        "DELETE FROM audit_entries",
    ];
    match kind {
        StoreKind::Sqlite => attempts.extend([
            "INSERT OR REPLACE INTO audit_entries
             SELECT organization_id, seq, id, at, 'cli:nobody', action, target, commitment, prev, hash
             FROM audit_entries WHERE seq = 2",
            "REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE seq = 2",
            "UPDATE OR REPLACE audit_entries SET seq = 3 WHERE seq = 2",
        ]),
        StoreKind::Postgres => attempts.extend([
            "TRUNCATE audit_entries",
            "INSERT INTO audit_entries
             SELECT organization_id, seq, id, at, 'cli:nobody', action, target, commitment, prev, hash
             FROM audit_entries WHERE seq = 2
             ON CONFLICT (organization_id, seq) DO UPDATE SET actor = excluded.actor",
        ]),
    }
    for attempt in attempts {
        let refused = sql.try_run(attempt).await.expect_err(attempt);
        assert!(
            refused.contains("audit entries cannot be"),
            "{attempt}: {refused}"
        );
    }
    assert_eq!(sql.rows("audit_entries").await, entries);
    assert_eq!(world.cli.run(&["audit", "verify"]).await.code, 0);
}

async fn a_stop_writes_a_signed_checkpoint(kind: StoreKind) {
    let mut world = World::start(kind).await;
    world.api().new_incident().await;
    world.server.stop().await;
    let file = world.store.data_dir().join("audit.checkpoints");
    let lines = |text: String| {
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect::<Vec<_>>()
    };
    let checkpoints = lines(std::fs::read_to_string(&file).unwrap());
    let last = checkpoints
        .iter()
        .rfind(|line| line["organization_id"] == json!(world.organization))
        .unwrap();
    let entries = world.sql().await.rows("audit_entries").await;
    assert_eq!(
        (&last["type"], &last["kind"], &last["seq"]),
        (&json!("checkpoint"), &json!("periodic"), &json!(entries))
    );

    // Nothing new, nothing to sign: a stop of a server that did nothing adds no line.
    world.restart(&Options::quick()).await;
    world.server.stop().await;
    assert_eq!(lines(std::fs::read_to_string(&file).unwrap()), checkpoints);
    assert_eq!(world.cli.run(&["audit", "verify"]).await.code, 0);
}

#[tokio::test]
async fn an_export_ends_with_a_checkpoint_of_what_it_holds() {
    let world = World::start(StoreKind::Sqlite).await;
    world.api().new_incident().await;
    let (entries, checkpoint) = export(&world).await;
    let last = entries.last().unwrap();
    for (checkpoint_field, entry_field) in [
        ("organization_id", "organization_id"),
        ("seq", "seq"),
        ("head", "hash"),
    ] {
        assert_eq!(
            checkpoint[checkpoint_field], last[entry_field],
            "{checkpoint_field}"
        );
    }
    assert_eq!(checkpoint["signature"].as_str().unwrap().len(), 128);
    let age = now_millis() - millis(&checkpoint["at"]);
    assert!((0..60_000).contains(&age));
}

#[tokio::test]
async fn an_organization_sees_its_own_entries_only() {
    let world = World::start(StoreKind::Sqlite).await;
    let other = world.cli.create_organization("other").await;
    world.api().new_incident().await;
    let (own, _) = export(&world).await;
    assert!(
        own.iter()
            .all(|entry| entry["organization_id"] == json!(world.organization))
    );
    let theirs = world
        .cli
        .run(&["audit", "export", "--org", &other])
        .await
        .json_lines();
    assert!(theirs.iter().all(|line| line["organization_id"] == json!(other)));
    assert!(!serde_json::to_string(&theirs).unwrap().contains("inc_"));
}

/// The entries of an export, and the checkpoint at its end.
async fn export(world: &World) -> (Vec<Value>, Value) {
    let mut lines = world
        .cli
        .run(&["audit", "export", "--org", &world.organization])
        .await
        .json_lines();
    let checkpoint = lines.pop().unwrap();
    assert_eq!(checkpoint["type"], "checkpoint");
    assert!(lines.iter().all(|line| line["type"] == "entry"));
    (lines, checkpoint)
}

async fn run(world: &World, arguments: &[&str]) -> Value {
    world.cli.run(arguments).await.json()
}

async fn key_ids(world: &World) -> Vec<String> {
    let listed = world
        .cli
        .run(&["key", "list", "--project", &world.project.id])
        .await
        .json_lines();
    listed.iter().map(|line| words(line, "key_id")).collect()
}

fn words(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_export_verifies_outside_the_program() {
    let mut world = World::start(StoreKind::Sqlite).await;
    world.api().new_incident().await;
    world.server.stop().await;
    let export = ["audit", "export", "--org", &world.organization];
    let exported = world.cli.run(&export).await.stdout;
    let verify = async |text: &str| {
        let file = world.store.directory().join("export.jsonl");
        std::fs::write(&file, text).unwrap();
        let verifier = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/verify_audit.py");
        let ended = tokio::process::Command::new("python3")
            .arg(verifier)
            .arg("--public-key")
            .arg(world.store.data_dir().join("audit.pub"))
            .args([file, world.store.data_dir().join("audit.checkpoints")])
            .output()
            .await
            .unwrap();
        (
            ended.status.code(),
            String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap(),
        )
    };
    let (code, said) = verify(&exported).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = verify(&exported.replacen("user.created", "user.altered", 1)).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("entry 2"), "{said}");
}
