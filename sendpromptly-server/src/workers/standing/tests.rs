//! What is ordered without being asked, on the store: once, with the decision that leads to it, and at most so often.

use std::time::Duration;

use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::replay::{AttemptOutcome, Effect, ReplayState};

use super::*;
use crate::store::attempts::AttemptEnd;
use crate::store::overdue::DuePlace;
use crate::testing::{NOW, TIMEOUT, World};
use crate::workers::answers::end_unanswered;
use crate::workers::overdue::Pass;
use crate::workers::record;
use crate::workers::rounds::Left;
use crate::workers::sweep;

/// Longer than the longest step of the schedule.
const LATER: Duration = Duration::from_secs(7 * 3_600);

fn due() -> Timestamp {
    NOW.plus(TIMEOUT)
}

async fn sweep(store: &Store, now: Timestamp) -> Result<Left, StoreError> {
    sweep::sweep(store, &RetrySchedule::default(), &mut Pass::first(), now).await
}

/// A world whose project lets time-outs be reprocessed so often.
async fn letting(times: u32) -> World {
    let world = World::set_up().await;
    allow(&world, times).await;
    world
}

async fn allow(world: &World, times: u32) {
    let set = Sql::new("UPDATE projects SET reprocess_timeouts = {}").bind(times);
    world.write(set).await;
}

async fn rows(world: &World, rows: &str) -> i64 {
    world
        .number(Sql::new(format!("SELECT count(*) AS n FROM {rows}")))
        .await
}

/// The states of an event's incident and replays.
async fn states(world: &World, event: EventId) -> (IncidentState, Vec<ReplayState>) {
    let case = world.case(event).await.case;
    let replays = case.replays.iter().map(|replay| replay.state).collect();
    (case.incident.unwrap().state, replays)
}

/// Answers every call that comes due with this status; gives when the last one ended.
async fn answer_all(world: &World, status: u16) -> Timestamp {
    answer_in_turn(world, &[], status).await
}

/// Answers the calls that come due with these statuses one after another, and all later ones with another; gives when the
/// last one ended.
async fn answer_in_turn(world: &World, first: &[u16], then: u16) -> Timestamp {
    let mut now = due();
    let mut first = first.iter().copied();
    loop {
        let claims = world.claim(now).await;
        if claims.is_empty() {
            return now;
        }
        let status = first.next().unwrap_or(then);
        let end = |attempt| AttemptEnd {
            outcome: AttemptOutcome::Answered {
                status,
                retry_after: None,
                effect: None,
            },
            word: "answered",
            duration: Some(Duration::from_millis(5)),
            ..AttemptEnd::cut_off(attempt, now)
        };
        let ends: Vec<_> = claims.iter().map(|claim| end(claim.attempt)).collect();
        record::commit(&world.store, &ends, &RetrySchedule::default())
            .await
            .unwrap();
        now = now.plus(LATER);
    }
}

#[tokio::test]
async fn a_time_out_opens_its_incident_and_is_reprocessed_in_one_step() {
    let world = letting(1).await;
    let event = world.receive("evt_1").await;
    sweep(&world.store, due()).await.unwrap();
    let stored = world.case(event).await.case;
    let (incident, replay) = (stored.incident.unwrap(), &stored.replays[0]);
    assert_eq!(incident.state, IncidentState::Reprocessing);
    assert!(replay.unasked);
    let record = world.incident(incident.id).await;
    assert!(record.replays[0].unasked, "and whoever reads it sees so");

    let body = world.claim(due()).await.pop().unwrap().body;
    for part in [
        replay.id.to_string(),
        incident.id.to_string(),
        event.to_string(),
        "customer-7".to_owned(),
    ] {
        assert!(body.contains(&part), "{body}");
    }
    for action in ["incident.opened", "incident.reprocessed"] {
        let entry = format!("audit_entries WHERE actor = 'system:sweep' AND action = '{action}'");
        assert_eq!(rows(&world, &entry).await, 1, "{action}");
    }
    assert_eq!(rows(&world, "orders").await, 1);
}

#[tokio::test]
async fn a_time_out_whose_order_cannot_be_stored_is_found_again_whole() {
    let world = letting(1).await;
    let event = world.receive("evt_1").await;
    world.write(Sql::new("ALTER TABLE orders RENAME TO away")).await;
    sweep(&world.store, due()).await.unwrap();
    assert!(world.case(event).await.case.incident.is_none());
    for table in ["replays", "audit_entries"] {
        assert_eq!(rows(&world, table).await, 0, "{table}");
    }
    world.write(Sql::new("ALTER TABLE away RENAME TO orders")).await;
    sweep(&world.store, due()).await.unwrap();
    assert_eq!(
        states(&world, event).await,
        (IncidentState::Reprocessing, vec![ReplayState::Queued])
    );
}

#[tokio::test]
async fn two_nodes_that_sweep_at_once_give_one_order_an_event() {
    let world = letting(3).await;
    let many = 300;
    for number in 0..many {
        world.receive(&format!("evt_{number}")).await;
    }
    let other = world.second_node().await;
    let (one, two) = tokio::join!(sweep(&world.store, due()), sweep(&other, due()));
    one.unwrap();
    two.unwrap();
    while world
        .store
        .overdue_events(due(), DuePlace::first(), 1)
        .await
        .unwrap()
        .len()
        == 1
    {
        sweep(&world.store, due()).await.unwrap();
    }
    sweep(&other, due()).await.unwrap();
    for table in ["incidents", "replays", "orders"] {
        assert_eq!(rows(&world, table).await, many, "{table}");
    }
    assert_eq!(rows(&world, "audit_entries").await, 2 * many);
}

#[tokio::test]
async fn nothing_is_ordered_where_the_project_says_nothing_or_has_nobody_to_call() {
    let world = World::set_up().await;
    let (silent, deaf) = (
        world.project,
        ProjectId::new(NOW.plus_millis(1), entropy::for_id()),
    );
    world.add_project(deaf).await;
    let set = Sql::new("UPDATE projects SET reprocess_timeouts = 3, repair_url = NULL WHERE id = {}");
    world.write(set.bind(deaf.as_bytes())).await;
    for project in [silent, deaf] {
        world.receive_for(project, "evt_1").await;
    }
    sweep(&world.store, due()).await.unwrap();
    assert_eq!(rows(&world, "incidents WHERE state = 'open'").await, 2);
    for table in ["replays", "orders"] {
        assert_eq!(rows(&world, table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn an_endpoint_that_fails_each_time_is_called_for_at_most_so_many_orders() {
    for times in [1, 3] {
        let world = letting(times).await;
        let event = world.receive("evt_1").await;
        sweep(&world.store, due()).await.unwrap();
        answer_all(&world, 500).await;
        let ended = vec![ReplayState::Exhausted; times as usize];
        assert_eq!(states(&world, event).await, (IncidentState::Open, ended));
        assert_eq!(rows(&world, "orders").await, i64::from(times));
        let later = "audit_entries WHERE actor = 'system:deliver' AND action = 'incident.reprocessed'";
        assert_eq!(rows(&world, later).await, i64::from(times) - 1);
    }
}

#[tokio::test]
async fn one_unclear_answer_leaves_it_to_a_person_whatever_came_after_it() {
    for unclear in [502, 503, 504] {
        let world = letting(3).await;
        let event = world.receive("evt_1").await;
        sweep(&world.store, due()).await.unwrap();
        answer_in_turn(&world, &[500, unclear], 500).await;
        assert_eq!(
            states(&world, event).await,
            (IncidentState::Open, vec![ReplayState::Exhausted]),
            "{unclear}"
        );
        assert_eq!(rows(&world, "orders").await, 1, "{unclear}");
    }
}

#[tokio::test]
async fn the_setting_counts_as_it_is_when_the_order_would_be_given() {
    let world = letting(3).await;
    let event = world.receive("evt_1").await;
    sweep(&world.store, due()).await.unwrap();
    allow(&world, 0).await;
    answer_all(&world, 500).await;
    assert_eq!(
        states(&world, event).await,
        (IncidentState::Open, vec![ReplayState::Exhausted])
    );
}

#[tokio::test]
async fn a_delivered_repair_without_a_result_waits_for_a_person() {
    let world = letting(3).await;
    let event = world.receive("evt_1").await;
    sweep(&world.store, due()).await.unwrap();
    let later = answer_all(&world, 200).await;
    end_unanswered(&world.store, &mut Pass::first(), later.plus(TIMEOUT))
        .await
        .unwrap();
    assert_eq!(
        states(&world, event).await,
        (IncidentState::Open, vec![ReplayState::Unanswered])
    );
    assert_eq!(rows(&world, "orders").await, 1);
}

#[tokio::test]
async fn after_a_failure_or_the_order_of_a_person_it_is_a_persons_matter() {
    let world = letting(3).await;
    let failed = world.receive("evt_1").await;
    sweep(&world.store, due()).await.unwrap();
    world.report(failed, Effect::Failed, None, due()).await;
    let (_, incident) = world.failed_event("evt_2").await;
    world.reprocess(incident, None).await.unwrap();
    answer_all(&world, 500).await;
    assert_eq!(
        states(&world, failed).await,
        (IncidentState::Open, vec![ReplayState::Exhausted])
    );
    assert_eq!(world.incident(incident).await.replays.len(), 1);
}
