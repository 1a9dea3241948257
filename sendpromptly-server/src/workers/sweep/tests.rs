//! What a sweep finds, and what it passes over.

use sendpromptly_core::id::ProjectId;
use sendpromptly_core::incident::{IncidentReason, IncidentState};
use sendpromptly_core::replay::Effect;

use super::overdue::BATCH;
use super::*;
use crate::store::overdue::DuePlace;
use crate::store::rows::Sql;
use crate::testing::{NOW, TIMEOUT, World};

fn worker(world: &World) -> Sweep {
    Sweep {
        store: world.store.clone(),
        schedule: Arc::default(),
        interval: Duration::ZERO,
        pass: Pass::first(),
    }
}

async fn sweep(store: &Store, now: Timestamp) -> Result<Left, StoreError> {
    super::sweep(store, &RetrySchedule::default(), &mut Pass::first(), now).await
}

#[tokio::test]
async fn an_event_is_overdue_from_its_timeout_on_and_found_once() {
    let world = World::set_up().await;
    let event = world.receive("evt_1").await;
    let due = NOW.plus(TIMEOUT);
    assert_eq!(
        sweep(&world.store, due.plus_millis(-1)).await.unwrap(),
        Left::Nothing
    );
    assert!(world.case(event).await.case.incident.is_none());
    sweep(&world.store, due).await.unwrap();
    sweep(&world.store, due.plus_minutes(1)).await.unwrap();
    let incident = world.case(event).await.case.incident.unwrap();
    assert_eq!(
        (incident.reason, incident.opened_at),
        (IncidentReason::Timeout, due)
    );
    assert_eq!(incident.state, IncidentState::Open);
    let entries = Sql::new("SELECT count(*) AS n FROM audit_entries WHERE actor = 'system:sweep'");
    assert_eq!(world.number(entries).await, 1);
}

#[tokio::test]
async fn where_the_log_cannot_be_written_no_incident_is_opened_and_the_event_waits() {
    let world = World::set_up().await;
    let event = world.receive("evt_1").await;
    world.refuse_into("audit_entries").await;
    let due = NOW.plus(TIMEOUT);
    sweep(&world.store, due).await.unwrap();
    assert!(world.case(event).await.case.incident.is_none());
    let waiting = world.store.overdue_events(due, DuePlace::first(), 1).await;
    assert_eq!(waiting.unwrap().len(), 1);
}

#[tokio::test]
async fn a_result_in_time_leaves_nothing_to_find() {
    let world = World::set_up().await;
    let event = world.receive("evt_1").await;
    world.report(event, Effect::Success, None, NOW).await;
    sweep(&world.store, NOW.plus(TIMEOUT)).await.unwrap();
    assert!(world.case(event).await.case.incident.is_none());
}

#[tokio::test]
async fn two_nodes_that_sweep_at_once_open_one_incident_an_event() {
    let world = World::set_up().await;
    let many = BATCH + 44;
    for number in 0..many {
        world.receive(&format!("evt_{number}")).await;
    }
    let (other, due) = (world.second_node().await, NOW.plus(TIMEOUT));
    let (one, two) = tokio::join!(sweep(&world.store, due), sweep(&other, due));
    one.unwrap();
    two.unwrap();
    while world
        .store
        .overdue_events(due, DuePlace::first(), 1)
        .await
        .unwrap()
        .len()
        == 1
    {
        sweep(&world.store, due).await.unwrap();
    }
    for table in ["incidents", "audit_entries"] {
        let rows = Sql::new(format!("SELECT count(*) AS n FROM {table}"));
        assert_eq!(world.number(rows).await, i64::from(many), "{table}");
    }
}

#[tokio::test]
async fn a_sweep_passes_over_an_event_whose_result_is_being_taken() {
    let world = World::set_up().await;
    let event = world.receive("evt_1").await;
    if world.store.dialect() == crate::store::Dialect::Sqlite {
        return; // its writers take turns
    }
    let tx = world.store.begin().await.unwrap();
    let keys = std::collections::BTreeSet::from([(world.project, event)]);
    world.store.lock_cases(&tx, &keys).await.unwrap();
    assert_eq!(
        sweep(&world.store, NOW.plus(TIMEOUT)).await.unwrap(),
        Left::Nothing
    );
    tx.rollback().await.unwrap();
    sweep(&world.store, NOW.plus(TIMEOUT)).await.unwrap();
    assert!(world.case(event).await.case.incident.is_some());
}

/// Makes a project each of whose cases the store refuses: the audit log of its organization cannot be read.
async fn add_spoilt_project(world: &World) -> ProjectId {
    let stranger = world.add_organization("b").await;
    let project = ProjectId::new(NOW, entropy::for_id());
    world.add_project(project).await;
    let moved = Sql::new("UPDATE projects SET organization_id = {} WHERE id = {}");
    let moved = moved.bind(stranger.as_bytes()).bind(project.as_bytes());
    world.write(moved).await;
    let head = Sql::new(
        "INSERT INTO audit_heads (organization_id, seq, hash, at, checkpoint_seq) VALUES ({}, 1, {}, 0, 0)",
    );
    world.write(head.bind(stranger.as_bytes()).bind(vec![7; 3])).await;
    project
}

/// Makes the cases of the spoilt project what the store takes.
async fn mend(world: &World) {
    let head = Sql::new("DELETE FROM audit_heads WHERE checkpoint_seq = 0 AND seq = 1 AND at = 0");
    world.write(head).await;
}

#[tokio::test]
async fn a_case_that_the_store_refuses_does_not_hold_up_the_others() {
    let world = World::set_up().await;
    let good = world.receive("evt_1").await;
    let spoilt = add_spoilt_project(&world).await;
    world.receive_for(spoilt, "evt_2").await;
    sweep(&world.store, NOW.plus(TIMEOUT)).await.unwrap();
    assert!(world.case(good).await.case.incident.is_some());
}

#[tokio::test]
async fn a_batch_that_the_store_refuses_does_not_hold_up_the_events_behind_it() {
    let world = World::set_up().await;
    let spoilt = add_spoilt_project(&world).await;
    for number in 0..BATCH {
        world.receive_for(spoilt, &format!("evt_{number}")).await;
    }
    let good = world.receive("evt_good").await;
    let later = Sql::new("UPDATE events SET sweep_at = sweep_at + 1 WHERE id = {}");
    world.write(later.bind(good.as_bytes())).await;
    let mut spoilt = worker(&world);
    let due = NOW.plus(TIMEOUT).plus_minutes(1);
    while spoilt.round(due).await.unwrap() == Left::More {}
    assert!(world.case(good).await.case.incident.is_some());

    mend(&world).await;
    let mut mended = worker(&world);
    while mended.round(due).await.unwrap() == Left::More {}
    let incidents = Sql::new("SELECT count(*) AS n FROM incidents");
    assert_eq!(
        world.number(incidents).await,
        i64::from(BATCH) + 1,
        "each pass begins anew"
    );
}

#[tokio::test]
async fn a_refused_case_that_is_due_alone_makes_no_round_fail_and_is_left_alone_for_a_while() {
    let world = World::set_up().await;
    let spoilt = add_spoilt_project(&world).await;
    let event = world.receive_for(spoilt, "evt_1").await;
    let (mut sweep, due) = (worker(&world), NOW.plus(TIMEOUT));
    assert_eq!(sweep.round(due).await.unwrap(), Left::Nothing);
    mend(&world).await;
    let is_opened = async || world.case_of(spoilt, event).await.case.incident.is_some();
    assert_eq!(sweep.round(due).await.unwrap(), Left::Nothing);
    assert!(!is_opened().await);
    worker(&world).round(due).await.unwrap();
    assert!(is_opened().await);
}

#[tokio::test]
async fn a_full_batch_asks_for_another_round_at_once() {
    let world = World::set_up().await;
    for number in 0..=BATCH {
        world.receive(&format!("evt_{number}")).await;
    }
    let due = NOW.plus(TIMEOUT);
    assert_eq!(sweep(&world.store, due).await.unwrap(), Left::More);
    assert_eq!(sweep(&world.store, due).await.unwrap(), Left::Nothing);
}
