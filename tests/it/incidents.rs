//! Incidents: what opens one, what ends it, and that an event has no more than one.

use sendpromptly_tests::api::Api;
use sendpromptly_tests::bodies::{is_id, millis, now_millis, receipt, unique};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

on_both_stores!(
    a_failure_opens_an_incident_at_once,
    a_missing_result_opens_an_incident_within_a_sweep,
    a_time_out_while_the_server_was_down_is_found_at_its_start,
    a_success_is_final,
    a_success_before_the_sweep_opens_no_time_out,
    a_dismissed_incident_stays_dismissed_until_a_success_or_a_person,
    an_event_has_one_incident_however_many_results_come_at_once,
    results_and_the_sweep_race_for_one_incident_an_event,
);

async fn a_failure_opens_an_incident_at_once(kind: StoreKind) {
    let world = World::start(kind).await;
    let event = world.api().new_event().await;
    let answer = world.api().report(&event, "failed").await;
    assert_eq!(answer["status"], "failed");
    assert!(is_id("inc_", &answer["incident_id"]));

    let incident = world.incident(answer["incident_id"].as_str().unwrap()).await;
    let expected = json!({
        "event_id": event,
        "provider": "stripe",
        "event_type": "checkout.session.completed",
        "effect_type": "access_unlock",
        "internal_reference": "customer_42",
        "state": "open",
        "reason": "failed",
        "resolved_at": null,
        "replays": [],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(incident[field], *value, "{field} of {incident}");
    }
    assert!(millis(&incident["opened_at"]) <= now_millis());
    assert_eq!(world.cli.event(&event).await["state"], "failed");
}

async fn a_missing_result_opens_an_incident_within_a_sweep(kind: StoreKind) {
    let world = World::start(kind).await;
    let event = world.api().new_event().await;
    world.sql().await.make_overdue(&event).await;
    let opened = world.incident_of(&event).await;
    assert_eq!(
        (&opened["state"], &opened["reason"]),
        (&json!("open"), &json!("timeout"))
    );
    assert_eq!(world.cli.event(&event).await["state"], "pending");

    // What comes later changes the state, never how it began.
    let id = opened["incident_id"].as_str().unwrap();
    let failed = world.api().report(&event, "failed").await;
    assert_eq!(
        (&failed["status"], &failed["incident_id"]),
        (&json!("failed"), &json!(id))
    );
    assert_same_opening(&opened, &world.incident(id).await);

    let succeeded = world.api().report(&event, "success").await;
    assert_eq!(
        (&succeeded["status"], &succeeded["incident_id"]),
        (&json!("succeeded"), &json!(id))
    );
    let resolved = world.incident(id).await;
    assert_same_opening(&opened, &resolved);
    assert_eq!(resolved["state"], "resolved");
    assert!(millis(&resolved["resolved_at"]) >= millis(&resolved["opened_at"]));
    assert_eq!(world.cli.event(&event).await["state"], "succeeded");
}

async fn a_time_out_while_the_server_was_down_is_found_at_its_start(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let (late, in_time) = (world.api().new_event().await, world.api().new_event().await);
    world.server.kill().await;
    world.sql().await.make_overdue(&late).await;
    world.restart(&Options::quick()).await;
    let incident = world.incident_of(&late).await;
    assert_eq!(incident["reason"], "timeout");
    assert_eq!(world.cli.event(&in_time).await["incident"], Value::Null);
}

async fn a_success_is_final(kind: StoreKind) {
    let world = World::start(kind).await;
    let event = world.api().new_event().await;
    let succeeded = world.api().report(&event, "success").await;
    let expected = json!({
        "accepted": true, "event_id": event, "status": "succeeded", "incident_id": null,
    });
    assert_eq!(succeeded, expected);
    assert_eq!(world.api().report(&event, "failed").await, expected);
    assert_eq!(world.cli.incidents(&world.project.id).await, Vec::<Value>::new());

    // The same where there was an incident: the failure that comes late neither opens nor changes it.
    let (event, incident) = world.api().new_incident().await;
    world.api().report(&event, "success").await;
    let resolved = world.incident(&incident).await;
    let late = world.api().report(&event, "failed").await;
    assert_eq!(
        (&late["status"], &late["incident_id"]),
        (&json!("succeeded"), &json!(incident))
    );
    assert_eq!(world.incident(&incident).await, resolved);
}

async fn a_success_before_the_sweep_opens_no_time_out(kind: StoreKind) {
    let rare = Options::quick().set("--sweep-interval", "1h");
    let mut world = World::start_with(kind, &rare, &[]).await;
    let (late, missing) = (world.api().new_event().await, world.api().new_event().await);
    let sql = world.sql().await;
    sql.make_overdue(&late).await;
    sql.make_overdue(&missing).await;
    let answer = world.api().report(&late, "success").await;
    assert_eq!(answer["incident_id"], Value::Null);

    world.server.stop().await;
    world.restart(&Options::quick()).await;
    world.incident_of(&missing).await;
    assert_eq!(world.cli.event(&late).await["incident"], Value::Null);
}

async fn a_dismissed_incident_stays_dismissed_until_a_success_or_a_person(kind: StoreKind) {
    let world = World::start(kind).await;
    let (event, id) = world.api().new_incident().await;
    let dismiss = ["incident", "dismiss", &id, "--reason", "refunded by hand"];
    assert_eq!(world.cli.run(&dismiss).await.json()["state"], "dismissed");

    let failed = world.api().report(&event, "failed").await;
    assert_eq!(failed["incident_id"], json!(id));
    assert_eq!(world.incident(&id).await["state"], "dismissed");

    let reopened = world.cli.run(&["incident", "reopen", &id]).await.json();
    assert_eq!(
        (&reopened["state"], &reopened["reason"]),
        (&json!("open"), &json!("failed"))
    );

    assert_eq!(world.cli.run(&dismiss).await.json()["state"], "dismissed");
    world.api().report(&event, "success").await;
    assert_eq!(world.incident(&id).await["state"], "resolved");
}

async fn an_event_has_one_incident_however_many_results_come_at_once(kind: StoreKind) {
    let world = World::start(kind).await;
    let event = world.api().new_event().await;
    world.sql().await.make_overdue(&event).await;
    let at_once: Vec<_> = (0..40)
        .map(|_| {
            let (api, event) = (world.api(), event.clone());
            tokio::spawn(async move { api.report(&event, "failed").await["incident_id"].clone() })
        })
        .collect();
    let mut told = Vec::new();
    for result in at_once {
        told.push(result.await.unwrap());
    }
    assert!(told.iter().all(|incident| *incident == told[0]), "{told:?}");
    assert!(is_id("inc_", &told[0]));
    assert_one_incident_each(&world.sql().await, 1).await;
}

async fn results_and_the_sweep_race_for_one_incident_an_event(kind: StoreKind) {
    const EVENTS: usize = 24;
    let world = World::start(kind).await;
    let mut events = Vec::new();
    for _ in 0..EVENTS {
        events.push(world.api().new_event().await);
    }
    let sql = world.sql().await;
    let reports: Vec<_> = events
        .iter()
        .map(|event| {
            let (api, event) = (world.api(), event.clone());
            tokio::spawn(async move { api.report(&event, "failed").await["incident_id"].clone() })
        })
        .collect();
    sql.run("UPDATE events SET timeout_at = 1000, sweep_at = 1000 WHERE sweep_at IS NOT NULL")
        .await;
    let mut told = Vec::new();
    for (event, report) in events.iter().zip(reports) {
        told.push((json!(event), report.await.unwrap()));
    }
    for incident in world.cli.incidents(&world.project.id).await {
        let pair = (incident["event_id"].clone(), incident["incident_id"].clone());
        assert!(told.contains(&pair), "{pair:?} in {told:?}");
    }
    eventually("nothing is left to sweep", async || {
        let due = sql
            .count("SELECT count(*) AS n FROM events WHERE sweep_at IS NOT NULL")
            .await;
        (due == 0).then_some(())
    })
    .await;
    assert_one_incident_each(&sql, EVENTS).await;
}

fn assert_same_opening(first: &Value, now: &Value) {
    for field in ["incident_id", "reason", "opened_at"] {
        assert_eq!(first[field], now[field], "{field}");
    }
}

/// So many incidents are stored, of as many events, each with its one entry in the audit log.
async fn assert_one_incident_each(sql: &Sql, events: usize) {
    let events = i64::try_from(events).unwrap();
    assert_eq!(sql.rows("incidents").await, events);
    assert_eq!(
        sql.count("SELECT count(DISTINCT event_id) AS n FROM incidents")
            .await,
        events
    );
    assert_eq!(
        sql.count("SELECT count(*) AS n FROM audit_entries WHERE action = 'incident.opened'")
            .await,
        events
    );
}

#[tokio::test]
async fn incidents_are_listed_newest_first_and_by_state() {
    let world = World::start(StoreKind::Sqlite).await;
    let mut opened = Vec::new();
    for _ in 0..4 {
        opened.push(world.api().new_incident().await);
    }
    let (event, resolved) = &opened[1];
    world.api().report(event, "success").await;
    let listed = async |state: &[&str]| {
        let list = ["incident", "list", "--project", &world.project.id];
        let lines = world.cli.run(&[&list[..], state].concat()).await.json_lines();
        lines
            .iter()
            .map(|line| line["incident_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let newest_first: Vec<_> = opened.iter().rev().map(|(_, id)| id.clone()).collect();
    assert_eq!(listed(&[]).await, newest_first);
    assert_eq!(listed(&["--state", "resolved"]).await, [resolved.as_str()]);
    let open: Vec<_> = newest_first.into_iter().filter(|id| id != resolved).collect();
    assert_eq!(listed(&["--state", "open"]).await, open);
    assert_eq!(listed(&["--state", "dismissed"]).await, Vec::<String>::new());

    let wrong = [
        "incident",
        "list",
        "--project",
        &world.project.id,
        "--state",
        "closed",
    ];
    let refused = world.cli.run(&wrong).await;
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("resolved"),
        "names what is allowed: {refused:?}"
    );
}

#[tokio::test]
async fn an_incident_of_another_project_is_never_listed() {
    let world = World::start(StoreKind::Sqlite).await;
    let other = world.cli.create_project(&world.organization, &[]).await;
    world.api().new_incident().await;
    assert_eq!(world.cli.incidents(&other.id).await, Vec::<Value>::new());
    // The same event id at the provider is another event here.
    let shared = unique("evt");
    let mut events = Vec::new();
    for key in [&world.project.api_key, &other.api_key] {
        let api = Api {
            server: world.server.address,
            key: key.clone(),
        };
        let answer = api.receipt("key-1", &receipt(&shared)).await;
        assert_eq!((answer.status, &answer.json()["duplicate"]), (202, &json!(false)));
        events.push(answer.json()["event_id"].clone());
    }
    assert_ne!(events[0], events[1]);
}
