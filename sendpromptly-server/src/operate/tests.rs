//! An operator's orders: what is stored, what is audited, and what is refused.

use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::replay::Effect;

use super::*;
use crate::store::rows::Sql;
use crate::testing::{NOW, World, operator};

fn refusal<T: std::fmt::Debug>(done: Result<T, OperateError>) -> Refusal {
    match done {
        Err(OperateError::Refused(refusal)) => refusal,
        other => panic!("not refused by a rule: {other:?}"),
    }
}

async fn dismiss(world: &World, incident: IncidentId, reason: &str) -> Result<(), OperateError> {
    let origin = operator();
    desk(world, incident, &origin).dismiss(reason).await
}

fn desk<'a>(world: &'a World, incident: IncidentId, origin: &'a Origin) -> Desk<'a> {
    Desk {
        store: &world.store,
        project: world.project,
        incident,
        origin,
        now: NOW,
    }
}

#[tokio::test]
async fn an_order_queues_one_replay_with_its_body_and_is_audited() {
    let world = World::set_up().await;
    let (event, incident) = world.failed_event("evt_1").await;
    let replay = world.reprocess(incident, None).await.unwrap();
    let record = world.incident(incident).await;
    assert_eq!(record.incident.state, IncidentState::Reprocessing);
    assert_eq!(record.replays.len(), 1);
    let body = world.claim(NOW).await.pop().unwrap().body;
    for id in [replay.to_string(), incident.to_string(), event.to_string()] {
        assert!(body.contains(&id), "{body}");
    }
    let entries = Sql::new(
        "SELECT count(*) AS n FROM audit_entries WHERE actor = 'cli:ada' AND action = 'incident.reprocessed'",
    );
    assert_eq!(world.number(entries).await, 1);
}

#[tokio::test]
async fn the_same_order_key_gives_the_same_replay_also_when_that_has_ended() {
    let world = World::set_up().await;
    let (event, incident) = world.failed_event("evt_1").await;
    let first = world.reprocess(incident, Some("click-1")).await.unwrap();
    assert_eq!(world.reprocess(incident, Some("click-1")).await.unwrap(), first);
    world.report(event, Effect::Success, Some(first), NOW).await;
    assert_eq!(world.reprocess(incident, Some("click-1")).await.unwrap(), first);
    assert_eq!(
        refusal(world.reprocess(incident, Some("click-2")).await),
        Refusal::Resolved
    );
    assert_eq!(world.incident(incident).await.replays.len(), 1);
}

#[tokio::test]
async fn one_order_given_on_two_nodes_at_once_makes_one_replay() {
    let world = World::set_up().await;
    let (_, incident) = world.failed_event("evt_1").await;
    let other = World {
        store: world.second_node().await,
        url: world.url.clone(),
        organization: world.organization,
        project: world.project,
        directory: tempfile::tempdir().unwrap(),
    };
    let (one, two) = tokio::join!(
        world.reprocess(incident, Some("click-1")),
        other.reprocess(incident, Some("click-1"))
    );
    assert_eq!(one.unwrap(), two.unwrap());
    assert_eq!(world.incident(incident).await.replays.len(), 1);
}

#[tokio::test]
async fn an_order_key_that_was_used_for_another_incident_is_refused() {
    let world = World::set_up().await;
    let (_, one) = world.failed_event("evt_1").await;
    let (_, two) = world.failed_event("evt_2").await;
    world.reprocess(one, Some("click-1")).await.unwrap();
    let refused = refusal(world.reprocess(two, Some("click-1")).await);
    assert_eq!(refused, Refusal::OrderKeyTaken(one));
    assert!(world.incident(two).await.replays.is_empty());
}

#[tokio::test]
async fn another_order_while_one_is_under_way_is_refused() {
    let world = World::set_up().await;
    let (_, incident) = world.failed_event("evt_1").await;
    let first = world.reprocess(incident, None).await.unwrap();
    let refused = refusal(world.reprocess(incident, None).await);
    assert_eq!(refused, Refusal::UnderWay(first));
}

#[tokio::test]
async fn a_project_without_a_repair_url_and_an_incident_of_another_project_are_refused() {
    let world = World::set_up().await;
    let (_, incident) = world.failed_event("evt_1").await;
    world
        .write(Sql::new("UPDATE projects SET repair_url = NULL"))
        .await;
    let refused = world.reprocess(incident, None).await;
    assert!(matches!(refused, Err(OperateError::NoRepairUrl)));
    let stranger = ProjectId::new(NOW, entropy::for_id());
    let refused = world.reprocess_of(stranger, incident, None, false, NOW).await;
    assert!(matches!(refused, Err(OperateError::NotFound)));
}

#[tokio::test]
async fn a_dismissed_incident_is_not_reprocessed_until_it_is_reopened() {
    let world = World::set_up().await;
    let (_, incident) = world.failed_event("evt_1").await;
    dismiss(&world, incident, " paid back ").await.unwrap();
    assert_eq!(refusal(world.reprocess(incident, None).await), Refusal::Dismissed);
    assert_eq!(
        refusal(dismiss(&world, incident, "again").await),
        Refusal::Dismissed
    );
    let origin = operator();
    desk(&world, incident, &origin).reopen().await.unwrap();
    assert_eq!(
        refusal(desk(&world, incident, &origin).reopen().await),
        Refusal::NotDismissed
    );
    world.reprocess(incident, None).await.unwrap();
}

#[tokio::test]
async fn a_dismissal_needs_a_reason() {
    let world = World::set_up().await;
    let (_, incident) = world.failed_event("evt_1").await;
    for reason in ["", "  ", "a\0b", &"x".repeat(DismissalReason::MAX + 1)] {
        let refused = dismiss(&world, incident, reason).await;
        assert!(matches!(refused, Err(OperateError::Reason(_))), "{reason:?}");
    }
    assert_eq!(world.incident(incident).await.incident.state, IncidentState::Open);
}

#[tokio::test]
async fn a_replay_ordered_by_a_clock_that_is_behind_comes_after_the_one_before() {
    let world = World::set_up().await;
    let (event, incident) = world.failed_event("evt_1").await;
    let first = world.reprocess(incident, None).await.unwrap();
    world.report(event, Effect::Failed, Some(first), NOW).await;
    let behind = NOW.plus_millis(-10_000);
    let second = world.reprocess_of(world.project, incident, None, false, behind);
    let second = second.await.unwrap();
    assert!(first < second);
    assert_eq!(world.case(event).await.case.replays.last().unwrap().id, second);
}

#[tokio::test]
async fn a_replay_of_a_commit_that_was_not_confirmed_is_recognized_also_when_it_has_ended() {
    let world = World::set_up().await;
    let (event, incident) = world.failed_event("evt_1").await;
    let first = world.reprocess(incident, None).await.unwrap();
    let (origin, schedule) = (operator(), RetrySchedule::default());
    let desk = desk(&world, incident, &origin);
    let order = Reprocess {
        key: None,
        again: false,
        schedule: &schedule,
    };
    for _ in 0..2 {
        let again = desk.try_reprocess(&order, None, &mut Some(first)).await;
        assert_eq!(again.unwrap(), first);
        world.report(event, Effect::Failed, Some(first), NOW).await;
    }
    assert_eq!(world.incident(incident).await.replays.len(), 1);
}
