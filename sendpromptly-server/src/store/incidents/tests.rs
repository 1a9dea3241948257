//! What is shown of an incident.

use sendpromptly_core::replay::ReplayState;

use crate::store::attempts::AttemptEnd;
use crate::testing::{NOW, World};

#[tokio::test]
async fn an_incident_shows_its_replays_oldest_first_and_an_event_its_incident() {
    let world = World::set_up().await;
    let (event, incident) = world.failed_event("evt_1").await;
    let first = world.reprocess(incident, None).await.unwrap();
    let claim = world.claim(NOW).await.pop().unwrap();
    let refused = AttemptEnd {
        outcome: sendpromptly_core::replay::AttemptOutcome::Refused,
        ..AttemptEnd::cut_off(claim.attempt, NOW)
    };
    crate::workers::record_ends(&world.store, &[refused]).await;
    let later = NOW.plus_minutes(1);
    let second = world
        .reprocess_of(world.project, incident, None, false, later)
        .await
        .unwrap();
    let record = world
        .store
        .incident_of_event(world.project, event)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.incident.id, incident);
    let replays: Vec<_> = record
        .replays
        .iter()
        .map(|replay| (replay.id, replay.state))
        .collect();
    assert_eq!(
        replays,
        [(first, ReplayState::Halted), (second, ReplayState::Queued)]
    );
    assert_eq!(
        world.store.project_of_incident(incident).await.unwrap(),
        Some(world.project)
    );
    let shown = world.store.event(world.project, event).await.unwrap().unwrap();
    assert_eq!(
        (shown.provider_event_id.as_str(), shown.differs.len()),
        ("evt_1", 0)
    );
}
