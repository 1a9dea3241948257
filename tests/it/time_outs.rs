//! Time-outs that a project has reprocessed without being asked: once for each that is found, and never what may have
//! been applied.

use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

on_both_stores!(
    a_time_out_leads_to_one_signed_callback_without_anyones_hand,
    an_endpoint_that_fails_is_called_for_no_more_orders_than_the_project_says,
    what_may_have_been_applied_or_has_failed_waits_for_a_person,
);

/// A world whose project calls this endpoint, and lets time-outs be reprocessed so often.
async fn letting(kind: StoreKind, endpoint: &Endpoint, times: &str) -> World {
    let world = World::start_calling(kind, endpoint).await;
    allow(&world, times).await;
    world
}

async fn allow(world: &World, times: &str) {
    let set = ["project", "set", &world.project.id, "--reprocess-timeouts", times];
    let project = world.cli.run(&set).await.json();
    assert_eq!(project["reprocess_timeouts"].to_string(), times);
}

/// An event whose result did not come in time.
async fn time_out(world: &World) -> String {
    let event = world.api().new_event().await;
    world.sql().await.make_overdue(&event).await;
    event
}

/// Waits until an event's incident is in this state after so many replays; gives it.
async fn becomes(world: &World, event: &str, state: &str, replays: usize) -> Value {
    eventually(
        &format!("its incident is {state} after {replays} replays"),
        async || {
            let incident = world.incident_of(event).await;
            let made = incident["replays"].as_array().unwrap().len();
            assert!(made <= replays, "{incident}");
            Some(incident).filter(|incident| incident["state"] == state && made == replays)
        },
    )
    .await
}

async fn a_time_out_leads_to_one_signed_callback_without_anyones_hand(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, _| Reply::result("success")).await;
    let world = letting(kind, &endpoint, "3").await;
    let event = time_out(&world).await;
    let resolved = becomes(&world, &event, "resolved", 1).await;
    assert_eq!(resolved["reason"], "timeout");
    assert_eq!(world.cli.event(&event).await["state"], "succeeded");

    let calls = endpoint.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].is_signed_with(&[&world.project.signing_secret]));
    let body = calls[0].json();
    assert_eq!(
        (&body["event_id"], &body["incident_id"], &body["replay_id"]),
        (
            &json!(event),
            &resolved["incident_id"],
            &resolved["replays"][0]["replay_id"]
        )
    );

    let export = ["audit", "export", "--org", &world.organization];
    let entries = world.cli.run(&export).await.json_lines();
    let of_incident = |entry: &&Value| entry["target"] == resolved["incident_id"];
    let told: Vec<_> = entries
        .iter()
        .filter(of_incident)
        .map(|entry| {
            (
                entry["actor"].as_str().unwrap(),
                entry["action"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("system:sweep", "incident.opened"),
            ("system:sweep", "incident.reprocessed"),
            ("system:deliver", "incident.resolved"),
        ]
    );
}

async fn an_endpoint_that_fails_is_called_for_no_more_orders_than_the_project_says(kind: StoreKind) {
    let endpoint = Endpoint::always(500).await;
    let world = letting(kind, &endpoint, "2").await;
    let event = time_out(&world).await;
    let open = becomes(&world, &event, "open", 2).await;
    let replays = open["replays"].as_array().unwrap();
    for replay in replays {
        assert_eq!(
            (&replay["state"], &replay["attempts"]),
            (&json!("exhausted"), &json!(3))
        );
    }
    assert_ne!(replays[0]["replay_id"], replays[1]["replay_id"]);

    // What times out now is left alone, so the sweep has gone by, and so has whatever else it would have ordered.
    allow(&world, "0").await;
    let other = time_out(&world).await;
    becomes(&world, &other, "open", 0).await;
    becomes(&world, &event, "open", 2).await;
    assert_eq!(endpoint.calls().len(), 6);
}

async fn what_may_have_been_applied_or_has_failed_waits_for_a_person(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = letting(kind, &endpoint, "3").await;
    let event = time_out(&world).await;
    let incident = world.incident_of(&event).await["incident_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let replay = world.replay_becomes(&incident, "delivered").await;
    let replay = replay["replay_id"].as_str().unwrap();
    world.sql().await.make_answer_overdue(replay).await;
    world.replay_becomes(&incident, "unanswered").await;
    becomes(&world, &event, "open", 1).await;
    let refused = world.cli.run(&["incident", "reprocess", &incident]).await;
    assert!(
        refused.stderr.contains("may have been applied"),
        "{}",
        refused.stderr
    );

    let (_, failed) = world.incident_for("ben").await;
    let failed = world.incident(&failed).await;
    assert_eq!(
        (&failed["state"], &failed["replays"]),
        (&json!("open"), &json!([]))
    );
    assert_eq!(endpoint.calls().len(), 1);
}
