//! What waits is told as it is.

use std::time::Duration;

use sendpromptly_core::alert::Channel;

use super::*;
use crate::testing::{NOW, TIMEOUT, World, operator, over_many};
use crate::vault::Vault;

#[tokio::test]
async fn nothing_waits_in_a_new_store() {
    let world = World::set_up().await;
    assert_eq!(world.store.backlog().await.unwrap(), Backlog::default());
}

#[tokio::test]
async fn what_waits_is_counted_and_the_oldest_of_it_is_told() {
    let world = World::set_up().await;
    world.receive("evt_waits").await;
    world.failed_event("evt_open").await;
    world.failed_event("evt_too").await;
    world.queue(world.project, 1).await;
    let backlog = world.store.backlog().await.unwrap();
    assert_eq!((backlog.open, backlog.reprocessing), (2, 1));
    assert_eq!(backlog.oldest_open, Some(NOW));
    assert_eq!(backlog.first_to_sweep, Some(NOW.plus(TIMEOUT)));
    assert_eq!(backlog.first_to_call, Some(NOW));
    assert_eq!(backlog.mails, 0);
    assert_eq!(backlog.first_to_tell, None);
    let call = world.claim(NOW.plus(Duration::from_secs(1))).await;
    assert_eq!(call.len(), 1);
    let backlog = world.store.backlog().await.unwrap();
    assert_eq!(backlog.first_to_call, None, "a callback under way does not wait");
}

#[tokio::test]
async fn of_a_deleted_project_nothing_waits() {
    let world = World::set_up().await;
    world.receive("evt_waits").await;
    world.failed_event("evt_open").await;
    world.queue(world.project, 1).await;
    let (project, origin) = (world.project, operator());
    let deleted = world.store.delete_project(world.scope(), project, &origin, NOW);
    assert!(deleted.await.unwrap());
    assert_eq!(world.store.backlog().await.unwrap(), Backlog::default());
}

#[tokio::test]
async fn what_waits_is_found_by_what_still_waits_also_in_tables_never_analyzed() {
    let world = World::set_up().await;
    world.receive_many(3_000).await;
    world.settle_many().await;
    let settled = Sql::new("UPDATE events SET sweep_at = NULL, state = 'succeeded'");
    world.write(settled).await;
    let done = over_many(
        "INSERT INTO replays (project_id, id, incident_id, event_id, state, attempts, steps, cut_offs, doubtful, body,
            created_at) SELECT {}, r.id, r.id, r.id, 'succeeded', 1, 0, 0, 0, '', r.number FROM {rows}",
    );
    world.write(done.bind(world.project.as_bytes())).await;
    let (dialect, reader) = (world.store.dialect, &world.store.reader);
    let plan = incidents(dialect).plan(reader).await;
    assert!(plan.contains("incidents_unsettled"), "{plan}");
    let plan = rest(dialect).plan(reader).await;
    for index in ["events_to_sweep", TO_ATTEMPT] {
        assert!(plan.contains(index), "{plan}");
    }
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test]
async fn of_alerts_the_one_that_is_due_first_is_told() {
    let world = World::set_up().await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
    let mut due = Vec::new();
    for later in [3_000, 1_000, 2_000] {
        let id = world
            .add_alert(&vault, Channel::Email, "ops@example.com", false)
            .await;
        due.push((id, NOW.plus_millis(later)));
    }
    for (id, at) in due {
        let update = Sql::new("UPDATE alert_destinations SET due_at = {} WHERE id = {}");
        update
            .bind(at)
            .bind(id.as_bytes())
            .run(&world.store.writer)
            .await
            .unwrap();
    }
    let backlog = world.store.backlog().await.unwrap();
    assert_eq!(backlog.first_to_tell, Some(NOW.plus_millis(1_000)));
}
