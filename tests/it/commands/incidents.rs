//! `incident …` and `event show`: shapes, and ids that name nothing.

use sendpromptly_tests::bodies::{millis, receipt, with};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

use super::{assert_refused, assert_usage, empty_store, fields, nobodys};

#[tokio::test]
async fn an_incident_is_shown_whole() {
    let world = World::start(StoreKind::Sqlite).await;
    let (event, id) = world.api().new_incident().await;
    let listed = world.incident(&id).await;
    let expected = [
        "effect_type",
        "event_id",
        "event_type",
        "incident_id",
        "internal_reference",
        "opened_at",
        "provider",
        "provider_event_id",
        "reason",
        "replays",
        "resolved_at",
        "state",
    ];
    assert_eq!(fields(&listed), expected);
    let dismissed = world
        .cli
        .run(&["incident", "dismiss", &id, "--reason", "why"])
        .await
        .json();
    assert_eq!(dismissed, with(listed.clone(), "state", "dismissed".into()));
    assert_eq!(world.cli.run(&["incident", "reopen", &id]).await.json(), listed);
    world.api().report(&event, "success").await;
    assert!(millis(&world.incident(&id).await["resolved_at"]) > 0);
}

#[tokio::test]
async fn an_event_is_shown_with_its_state_and_incident() {
    let world = World::start(StoreKind::Sqlite).await;
    let body = with(receipt("evt_1"), "timeout_minutes", json!(5));
    let answer = world.api().receipt("key-1", &body).await.json();
    let id = answer["event_id"].as_str().unwrap();
    let shown = world.cli.event(id).await;
    assert_eq!(shown["timeout_at"], answer["timeout_at"]);
    assert_eq!(
        (&shown["event_id"], &shown["state"], &shown["incident"]),
        (&json!(id), &json!("pending"), &Value::Null)
    );
    for field in [
        "provider",
        "provider_event_id",
        "event_type",
        "effect_type",
        "internal_reference",
    ] {
        assert_eq!(shown[field], body[field], "{field}");
    }
    assert_eq!(millis(&shown["occurred_at"]), 1_767_323_045_000);

    let incident = world.api().report(id, "failed").await["incident_id"].clone();
    let shown = world.cli.event(id).await;
    assert_eq!(
        (&shown["state"], &shown["incident"]["incident_id"]),
        (&json!("failed"), &incident)
    );
    assert_eq!(shown["incident"]["state"], "open");
}

#[tokio::test]
async fn an_unknown_incident_or_event_is_not_found_and_a_malformed_id_is_wrong_usage() {
    let (_store, cli) = empty_store().await;
    cli.create_organization("acme").await;
    let (incident, event, project) = (nobodys("inc_"), nobodys("evt_"), nobodys("prj_"));
    for order in [&["reprocess"][..], &["reopen"], &["dismiss", "--reason", "why"]] {
        let run = async |id: &str| cli.run(&[&["incident"], order, &[id]].concat()).await;
        assert_refused(&run(&incident).await, &[&incident]);
        for malformed in ["", "inc_1", &event] {
            assert_usage(&run(malformed).await, &["inc_"]);
        }
    }
    assert_refused(&cli.run(&["event", "show", &event]).await, &[&event]);
    assert_usage(&cli.run(&["event", "show", &incident]).await, &["evt_"]);
    assert_refused(
        &cli.run(&["incident", "list", "--project", &project]).await,
        &[&project],
    );
    assert_usage(&cli.run(&["incident", "list"]).await, &["--project"]);
}

#[tokio::test]
async fn a_dismissal_needs_a_reason_in_words() {
    let world = World::start(StoreKind::Sqlite).await;
    let (_, id) = world.api().new_incident().await;
    assert_usage(&world.cli.run(&["incident", "dismiss", &id]).await, &["--reason"]);
    for reason in ["", "   ", "a\u{7}b"] {
        assert_usage(
            &world
                .cli
                .run(&["incident", "dismiss", &id, "--reason", reason])
                .await,
            &["reason"],
        );
    }
    assert_eq!(world.incident(&id).await["state"], "open");
}
