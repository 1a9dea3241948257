//! Which events are forgotten when, and what goes with them.

use std::collections::BTreeMap;

use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::id::IncidentId;
use sendpromptly_core::replay::Effect;

use super::belonging::{BELONGING, Owner};
use super::*;
use crate::operate::Desk;
use crate::platform::entropy;
use crate::store::attempts::AttemptEnd;
use crate::store::overdue::DuePlace;
use crate::store::projects::ProjectChange;
use crate::store::purge::tests::fill;
use crate::testing::{NOW, Sale, World, operator};
use crate::workers::record_ends;

/// For how many days a project keeps events unless it says otherwise.
const DEFAULT: i64 = 396;

const fn day(number: i64) -> Timestamp {
    NOW.plus_millis(number * DAY_MS)
}

/// Forgets everything that is to be forgotten at this time, a few events at once; gives how many.
async fn forget(world: &World, now: Timestamp) -> u64 {
    let announced = world.store.count_old_events(now).await.unwrap();
    let (mut events, mut next) = (0, None);
    loop {
        let batch = world.store.forget_events(next, now, 3).await.unwrap();
        (events, next) = (events + batch.events, batch.next);
        if !batch.more {
            assert_eq!(events, announced);
            return events;
        }
    }
}

async fn events(world: &World) -> i64 {
    world.number(Sql::new("SELECT count(*) AS n FROM events")).await
}

async fn succeed(world: &World, event: EventId, at: Timestamp) {
    world.report(event, Effect::Success, None, at).await;
}

async fn keep_for(world: &World, days: u32) {
    let change = ProjectChange {
        events_kept_days: Some(days),
        ..ProjectChange::default()
    };
    let origin = operator();
    let changed = world
        .store
        .change_project(world.scope(), world.project, &change, &origin, NOW);
    assert_eq!(changed.await.unwrap().unwrap().events_kept_days, days);
}

fn desk<'a>(
    world: &'a World,
    incident: IncidentId,
    origin: &'a sendpromptly_core::audit::Origin,
    now: Timestamp,
) -> Desk<'a> {
    Desk {
        store: &world.store,
        project: world.project,
        incident,
        origin,
        now,
    }
}

#[tokio::test]
async fn an_event_stays_for_13_months_and_then_goes() {
    let world = World::set_up().await;
    for number in 0..8 {
        let event = world.receive(&format!("evt_{number}")).await;
        succeed(&world, event, NOW).await;
    }
    assert_eq!(forget(&world, day(DEFAULT)).await, 0);
    assert_eq!(events(&world).await, 8);
    let over = day(DEFAULT).plus_millis(1);
    assert_eq!(forget(&world, over).await, 8);
    assert_eq!(events(&world).await, 0);
    assert_eq!(world.store.standing(world.scope()).await.unwrap().silent, None);
    let again = world.receive("evt_0").await;
    assert!(world.store.event(world.project, again).await.unwrap().is_some());
}

#[tokio::test]
async fn a_project_says_for_how_many_days() {
    let world = World::set_up().await;
    let other = ProjectId::new(NOW.plus_millis(1), entropy::for_id());
    world.add_project(other).await;
    let event = world.receive("evt_1").await;
    succeed(&world, event, NOW).await;
    let others = world.receive_for(other, "evt_1").await;
    world.report_for(other, others, Effect::Success, None, NOW).await;

    keep_for(&world, 500).await;
    assert_eq!(forget(&world, day(450)).await, 1, "the other project's");
    assert!(world.store.event(other, others).await.unwrap().is_none());
    keep_for(&world, 30).await;
    assert_eq!(forget(&world, day(30)).await, 0);
    assert_eq!(forget(&world, day(31)).await, 1);
    keep_for(&world, 3_660).await;
    let late = world.receive("evt_2").await;
    succeed(&world, late, NOW).await;
    assert_eq!(forget(&world, day(3_659)).await, 0);
}

#[tokio::test]
async fn all_that_belongs_to_an_event_goes_with_it() {
    let world = World::set_up().await;
    fill(&world, world.project).await;
    let claimed = world.claim(NOW).await.into_iter();
    let ends: Vec<_> = claimed
        .map(|claim| AttemptEnd::cut_off(claim.attempt, NOW))
        .collect();
    record_ends(&world.store, &ends).await;
    for table in ["results", "snapshots", "shopify_names"] {
        let event = format!("UPDATE {table} SET event_id = (SELECT event_id FROM incidents LIMIT 1)");
        world.write(Sql::new(event)).await;
    }
    let settled = Sql::new("UPDATE incidents SET state = 'resolved', settled_at = {}").bind(NOW);
    world.write(settled).await;
    let ended = Sql::new("UPDATE replays SET state = 'exhausted', next_attempt_at = NULL");
    world.write(ended).await;
    let held = async || {
        let mut held = BTreeMap::new();
        for (table, _) in BELONGING.iter().chain([&("events", Owner::Event)]) {
            let rows = Sql::new(format!("SELECT count(*) AS n FROM {table}"));
            held.insert(*table, world.number(rows).await);
        }
        held
    };
    let before = held().await;
    assert!(before.values().all(|rows| *rows > 0), "{before:?}");
    assert_eq!(forget(&world, day(400)).await.cast_signed(), before["events"]);
    let after = held().await;
    assert!(after.values().all(|rows| *rows == 0), "{after:?}");
}

/// Whoever adds a table that tells of an event must say that it goes with it.
#[tokio::test]
async fn every_table_that_tells_of_an_event_is_known_to_belong_to_it() {
    let world = World::set_up().await;
    let columns = "('event_id', 'incident_id', 'replay_id')";
    let query = match world.store.dialect() {
        Dialect::Sqlite => format!(
            "SELECT DISTINCT m.name AS name FROM sqlite_master m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.name IN {columns}"
        ),
        Dialect::Postgres => format!(
            "SELECT DISTINCT table_name::text AS name FROM information_schema.columns
             WHERE table_schema = 'public' AND column_name IN {columns}"
        ),
    };
    let found = Sql::new(query).all(world.store.reader()).await.unwrap();
    let tables: BTreeSet<String> = found.iter().map(|row| rows::get(row, "name").unwrap()).collect();
    let known = BELONGING.iter().map(|(table, _)| (*table).to_owned());
    assert_eq!(tables, known.collect());
}

#[tokio::test]
async fn an_event_whose_incident_nobody_settled_stays_until_30_days_after_somebody_did() {
    let world = World::set_up().await;
    let origin = operator();
    let (_, dismissed) = world.failed_event("evt_1").await;
    let (resolved, _) = world.failed_event("evt_2").await;
    let (_, reopened) = world.failed_event("evt_3").await;
    let (_, under_way) = world.failed_event("evt_4").await;
    world.reprocess(under_way, None).await.unwrap();
    let fine = world.receive("evt_5").await;
    succeed(&world, fine, NOW).await;
    let reason = "asked";
    desk(&world, reopened, &origin, NOW)
        .dismiss(reason)
        .await
        .unwrap();
    desk(&world, reopened, &origin, day(1)).reopen().await.unwrap();

    assert_eq!(forget(&world, day(500)).await, 1, "the one that was fine");
    assert_eq!(events(&world).await, 4);
    desk(&world, dismissed, &origin, day(500))
        .dismiss(reason)
        .await
        .unwrap();
    succeed(&world, resolved, day(510)).await;
    assert_eq!(forget(&world, day(530).plus_millis(-1)).await, 0);
    assert_eq!(forget(&world, day(530)).await, 1);
    assert!(
        world
            .store
            .incident(world.project, dismissed)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(forget(&world, day(540)).await, 1);
    assert!(
        world
            .store
            .event(world.project, resolved)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(forget(&world, day(9_000)).await, 0);
    assert_eq!(events(&world).await, 2, "these wait for somebody");
}

#[tokio::test]
async fn an_event_that_was_not_swept_yet_is_not_lost() {
    let world = World::set_up().await;
    let mut received = Vec::new();
    for name in ["evt_1", "evt_2", "evt_3"] {
        received.push(world.receive(name).await);
    }
    received.sort_unstable();
    let missing = received.remove(1);
    for event in received {
        succeed(&world, event, NOW).await;
    }
    // As after a year of standstill: the sweep has not been there.
    let batch = world.store.forget_events(None, day(500), 10).await.unwrap();
    assert_eq!(batch.events, 1);
    let batch = world.store.forget_events(None, day(500), 10).await.unwrap();
    assert_eq!((batch.events, batch.more), (0, false));
    let due = world
        .store
        .overdue_events(day(500), DuePlace::first(), 10)
        .await
        .unwrap();
    let due: Vec<_> = due.iter().map(|due| (due.key, due.organization)).collect();
    assert_eq!(due, [((world.project, missing), world.organization)]);
    world.report(missing, Effect::Failed, None, day(500)).await;
    assert_eq!(forget(&world, day(500)).await, 1);
    let incident = world.store.incident_of_event(world.project, missing).await;
    assert!(incident.unwrap().is_some());
}

#[tokio::test]
async fn two_nodes_at_once_forget_each_event_once() {
    let world = World::set_up().await;
    for number in 0..20 {
        let sale = Sale {
            provider: Provider::Stripe,
            effect_type: EffectType::AccessUnlock,
            reference: "customer-7",
        };
        let name = format!("evt_{number}");
        let event = world.receive_sale(world.project, &name, &sale).await;
        succeed(&world, event, NOW).await;
    }
    let nodes = [world.store.clone(), world.second_node().await].map(|store| {
        tokio::spawn(async move {
            let mut events = 0;
            for _ in 0..20 {
                events += store.forget_events(None, day(400), 2).await.unwrap().events;
            }
            events
        })
    });
    let mut forgotten = 0;
    for node in nodes {
        forgotten += node.await.unwrap();
    }
    assert_eq!((forgotten, events(&world).await), (20, 0));
}

#[tokio::test]
async fn a_batch_goes_on_at_the_project_where_the_last_one_was_and_then_from_the_first() {
    let world = World::set_up().await;
    let second = ProjectId::new(NOW, entropy::for_id());
    world.add_project(second).await;
    let mut projects = vec![world.project, second];
    projects.sort_unstable();
    for project in &projects {
        world.receive_for(*project, "evt_1").await;
    }
    world.write(Sql::new("UPDATE events SET sweep_at = NULL")).await;
    let mut next = Some(projects[1]);
    let mut order = Vec::new();
    for _ in 0..2 {
        let batch = world.store.forget_events(next, day(400), 10).await.unwrap();
        assert_eq!(batch.events, 1);
        next = batch.next;
        order.push(next.unwrap());
    }
    assert_eq!(order, [projects[1], projects[0]]);
}

#[tokio::test]
async fn what_may_go_is_looked_up_event_by_event_and_not_among_all_of_a_project() {
    let world = World::set_up().await;
    let dialect = world.store.dialect;
    if dialect == Dialect::Postgres {
        return; // it weighs
    }
    let events = [EventId::from_bytes([1; 16])];
    for query in [
        lock_events(dialect, world.project, &events),
        staying_events(dialect, world.project, &events, NOW),
        leave_behind(world.project, &events.into()),
    ] {
        let plan = query.plan(world.store.reader()).await;
        assert!(
            plan.contains("(project_id=? AND id=?)") || plan.contains("(project_id=? AND event_id=?)"),
            "{plan}"
        );
    }
}
