//! How incidents are listed, page by page.

use sendpromptly_core::replay::ReplayState;

use super::*;
use crate::store::attempts::AttemptEnd;
use crate::testing::{NOW, World};

async fn page(
    world: &World,
    state: Option<IncidentState>,
    after: Option<IncidentId>,
    limit: u32,
) -> Vec<IncidentId> {
    let query = IncidentQuery {
        project: world.project,
        state,
        after,
        limit,
    };
    let records = world.store.incidents(&query).await.unwrap();
    records.iter().map(|record| record.incident.id).collect()
}

#[tokio::test]
async fn pages_follow_each_other_newest_first_and_show_no_other_project() {
    let world = World::set_up().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(world.failed_event(&format!("evt_{number}")).await.1);
    }
    let stranger = ProjectId::new(NOW, [7; 10]);
    world.add_project(stranger).await;
    world.failed_event_of(stranger, "evt_1").await;
    ids.sort_unstable_by(|one, two| two.cmp(one));
    let first = page(&world, None, None, 3).await;
    let second = page(&world, None, first.last().copied(), 3).await;
    assert_eq!([first, second].concat(), ids);
    assert!(page(&world, None, ids.last().copied(), 3).await.is_empty());
}

#[tokio::test]
async fn a_state_narrows_the_list() {
    let world = World::set_up().await;
    let (_, open) = world.failed_event("evt_1").await;
    let (_, reprocessing) = world.failed_event("evt_2").await;
    world.reprocess(reprocessing, None).await.unwrap();
    assert_eq!(page(&world, Some(IncidentState::Open), None, 9).await, [open]);
    assert_eq!(
        page(&world, Some(IncidentState::Reprocessing), None, 9).await,
        [reprocessing]
    );
    assert!(
        page(&world, Some(IncidentState::Resolved), None, 9)
            .await
            .is_empty()
    );
}

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
