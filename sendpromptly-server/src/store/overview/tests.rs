//! The figures of the overview: the same whether they were counted before or lie in their rows.

use std::time::Duration;

use sendpromptly_core::id::{EventId, IncidentId, OrganizationId};

use super::*;
use crate::platform::entropy;
use crate::store::{Dialect, hours};
use crate::testing::{NOW, World};
use crate::workers::count_all;

const HOUR: i64 = HOUR_MS;

/// Half past an hour.
const THEN: Timestamp = NOW.plus_millis(HOUR / 2);

/// Ends with the hour in which the tests begin.
fn last(count: u32, hours: u32) -> Slots {
    let from = hours::hour_of(THEN).plus_millis(-i64::from(count * hours - 1) * HOUR);
    Slots { from, hours, count }
}

fn scope(world: &World) -> OrganizationScope {
    OrganizationScope::of_the_command_line(world.organization)
}

async fn event_at(world: &World, project: ProjectId, at: Timestamp) -> EventId {
    let id = EventId::new(at, entropy::for_id());
    let event = Sql::new(
        "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type,
            occurred_at, timeout_at, state)
         VALUES ({}, {}, 'stripe', {}, 'evt', 'invoice.paid', {}, {}, 'pending')",
    );
    let digest: [u8; 16] = entropy::bytes();
    let event = event.bind(project.as_bytes()).bind(id.as_bytes()).bind(digest);
    world.write(event.bind(at).bind(at)).await;
    id
}

async fn incident_at(world: &World, project: ProjectId, at: Timestamp, took: Option<i64>) -> IncidentId {
    let event = event_at(world, project, at).await;
    let id = IncidentId::new(at, entropy::for_id());
    let state = if took.is_some() { "resolved" } else { "open" };
    let incident = Sql::new(
        "INSERT INTO incidents (project_id, id, event_id, state, reason, opened_at, resolved_at, organization_id,
            facet, provider_event_digest)
         VALUES ({}, {}, {}, {}, 'failed', {}, {}, (SELECT organization_id FROM projects WHERE id = {}), 0, {})",
    );
    let incident = incident
        .bind(project.as_bytes())
        .bind(id.as_bytes())
        .bind(event.as_bytes());
    let resolved_at = took.map(|took| at.plus_millis(took));
    let incident = incident.bind(state).bind(at).bind(resolved_at);
    world
        .write(incident.bind(project.as_bytes()).bind(event.as_bytes()))
        .await;
    id
}

/// A day of two projects: three events and an incident in each hour, repaired within ten minutes.
async fn a_day(world: &World) -> ProjectId {
    let second = ProjectId::new(NOW, entropy::for_id());
    world.add_project(second).await;
    for hour in 0..24 {
        let at = THEN.plus_millis(-hour * HOUR);
        for project in [world.project, second] {
            event_at(world, project, at.plus_millis(-1_000)).await;
            event_at(world, project, at.plus_millis(-2_000)).await;
            incident_at(world, project, at.plus_millis(-700_000), Some(600_000)).await;
        }
    }
    second
}

#[tokio::test]
async fn what_was_counted_and_what_was_not_add_up_to_the_same() {
    let world = World::set_up().await;
    a_day(&world).await;
    let slots = last(24, 1);
    let live = world.store.period(scope(&world), slots, THEN).await.unwrap();
    assert_eq!(live.counted_until, None);

    count_all(&world.store, THEN).await;
    let counted = world.store.period(scope(&world), slots, THEN).await.unwrap();
    // Nothing before the last two hours is looked up where it lies.
    assert!(live.slots[..21].iter().all(|slot| *slot == Figures::default()));
    assert_eq!(live.slots[22..], counted.slots[22..]);
    let total = counted.total();
    assert_eq!((total.events, total.opened, total.repairs.total()), (144, 48, 48));
    let median = total.repairs.percentile(50).unwrap();
    assert!(
        median.abs_diff(Duration::from_secs(600)) < Duration::from_secs(40),
        "{median:?}"
    );

    // Counted again, nothing changes.
    count_all(&world.store, THEN.plus_millis(HOUR)).await;
    let again = world
        .store
        .period(scope(&world), slots, THEN.plus_millis(1))
        .await
        .unwrap();
    assert_eq!(again, counted);
}

#[tokio::test]
async fn an_hour_falls_into_its_slot_whatever_the_period() {
    let world = World::set_up().await;
    for days_ago in [0, 1, 6, 29] {
        event_at(&world, world.project, THEN.plus_millis(-days_ago * 24 * HOUR)).await;
    }
    count_all(&world.store, THEN).await;
    for (slots, events) in [(last(24, 1), 1), (last(28, 6), 3), (last(30, 24), 4)] {
        let period = world.store.period(scope(&world), slots, THEN).await.unwrap();
        let told: Vec<_> = period.slots.iter().map(|slot| slot.events).collect();
        assert_eq!(told.iter().sum::<u64>(), events, "{told:?}");
        assert_eq!(told.last(), Some(&1), "{told:?}");
    }
}

#[tokio::test]
async fn another_organization_sees_nothing_of_it() {
    let world = World::set_up().await;
    a_day(&world).await;
    incident_at(&world, world.project, THEN, None).await;
    count_all(&world.store, THEN.plus_millis(-HOUR)).await;
    let other = OrganizationId::new(NOW, entropy::for_id());
    let other = OrganizationScope::of_the_command_line(other);
    let period = world.store.period(other, last(24, 1), NOW).await.unwrap();
    assert_eq!(period.total(), Figures::default());
    let standing = world.store.standing(other).await.unwrap();
    assert_eq!((standing.projects, standing.silent), (0, None));
}

#[tokio::test]
async fn a_count_that_lags_behind_is_told() {
    let world = World::set_up().await;
    event_at(&world, world.project, THEN).await;
    count_all(&world.store, THEN).await;
    let later = THEN.plus_millis(5 * HOUR);
    let slots = Slots {
        from: last(24, 1).from.plus_millis(5 * HOUR),
        hours: 1,
        count: 24,
    };
    let period = world.store.period(scope(&world), slots, later).await.unwrap();
    assert_eq!(period.counted_until, world.store.counted_until().await.unwrap());
}

#[tokio::test]
async fn a_project_that_never_heard_anything_is_named_while_none_has() {
    let world = World::set_up().await;
    let standing = async || world.store.standing(scope(&world)).await.unwrap();
    let told = async || (standing().await.projects, standing().await.silent);
    assert_eq!(told().await, (1, Some(world.project)));
    let second = ProjectId::new(NOW, entropy::for_id());
    world.add_project(second).await;
    event_at(&world, second, THEN).await;
    assert_eq!(told().await, (2, None));
}

#[tokio::test]
async fn a_deleted_project_counts_no_longer() {
    let world = World::set_up().await;
    a_day(&world).await;
    count_all(&world.store, THEN.plus_millis(-HOUR)).await;
    world.write(Sql::new("UPDATE projects SET deleted_at = 1")).await;
    let period = world
        .store
        .period(scope(&world), last(24, 1), THEN)
        .await
        .unwrap();
    assert_eq!(period.total(), Figures::default());
    let standing = world.store.standing(scope(&world)).await.unwrap();
    assert_eq!((standing.projects, standing.silent), (0, None));
}

#[tokio::test]
async fn a_project_without_events_is_not_looked_for_among_all_events_of_others() {
    let world = World::set_up().await;
    world.receive_many(3_000).await;
    if world.store.dialect() == Dialect::Postgres {
        world.write(Sql::new("ANALYZE events")).await;
    }
    let plan = silent_project(world.scope()).plan(&world.store.reader).await;
    assert!(!plan.contains("Scan on events"), "{plan}");
    assert!(!plan.contains("SCAN e"), "{plan}");
}
