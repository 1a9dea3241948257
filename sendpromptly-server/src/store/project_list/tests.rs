//! What a list of projects shows, and of whose.

use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::MINUTE_MS;

use super::*;
use crate::platform::entropy;
use crate::testing::{NOW, World, operator};

#[tokio::test]
async fn a_list_shows_open_incidents_and_the_last_receipt() {
    let world = World::set_up().await;
    let other = ProjectId::new(NOW.plus_millis(1), entropy::for_id());
    world.add_project(other).await;
    world.failed_event("evt_1").await;
    world.failed_event("evt_2").await;
    let list = world
        .store
        .listed_projects(world.scope(), None, 10)
        .await
        .unwrap();
    let told: Vec<_> = list
        .iter()
        .map(|listed| (listed.project.id, listed.open_incidents, listed.last_receipt_at))
        .collect();
    assert_eq!(told, [(world.project, 2, Some(NOW)), (other, 0, None)]);
    let one = world.store.listed_project(world.scope(), world.project).await;
    assert_eq!(one.unwrap().as_ref(), list.first());
}

#[tokio::test]
async fn the_last_receipt_of_a_listed_project_may_be_of_an_event_announced_before_others() {
    let world = World::set_up().await;
    let first = world.receive("evt_1").await;
    world.receive("evt_2").await;
    let late = NOW.plus_millis(9 * MINUTE_MS);
    let receipt = Sql::new("UPDATE events SET received_at = {} WHERE id = {}");
    world.write(receipt.bind(late).bind(first.as_bytes())).await;
    let listed = world.store.listed_project(world.scope(), world.project).await;
    assert_eq!(listed.unwrap().unwrap().last_receipt_at, Some(late));
    world
        .write(Sql::new("UPDATE events SET received_at = NULL"))
        .await;
    let listed = world.store.listed_project(world.scope(), world.project).await;
    assert_eq!(listed.unwrap().unwrap().last_receipt_at, None);
}

#[tokio::test]
async fn a_list_goes_on_after_a_project() {
    let world = World::set_up().await;
    let mut all = vec![world.project];
    for millis in 1..4 {
        let id = ProjectId::new(NOW.plus_millis(millis), entropy::for_id());
        world.add_project(id).await;
        all.push(id);
    }
    let ids = async |after| {
        let page = world
            .store
            .listed_projects(world.scope(), after, 2)
            .await
            .unwrap();
        page.iter().map(|listed| listed.project.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None).await, all[..2]);
    assert_eq!(ids(Some(all[1])).await, all[2..]);
    assert_eq!(ids(Some(all[3])).await, []);
}

#[tokio::test]
async fn nothing_of_another_organization_or_of_a_deleted_project_is_shown() {
    let world = World::set_up().await;
    let store = &world.store;
    let stranger = OrganizationScope::of_the_command_line(OrganizationId::from_bytes([9; 16]));
    assert_eq!(store.listed_projects(stranger, None, 10).await.unwrap(), []);
    assert_eq!(store.listed_project(stranger, world.project).await.unwrap(), None);
    assert_eq!(store.project(stranger, world.project).await.unwrap(), None);
    assert_eq!(store.keys(stranger, world.project).await.unwrap(), []);
    let secrets = store.listed_secrets(stranger, world.project, NOW).await;
    assert_eq!(secrets.unwrap(), []);
    let deleted = store
        .delete_project(stranger, world.project, &operator(), NOW)
        .await;
    assert!(!deleted.unwrap());
    assert!(
        store
            .project(world.scope(), world.project)
            .await
            .unwrap()
            .is_some()
    );

    let deleted = store
        .delete_project(world.scope(), world.project, &operator(), NOW)
        .await;
    assert!(deleted.unwrap());
    assert_eq!(store.listed_projects(world.scope(), None, 10).await.unwrap(), []);
    assert_eq!(
        store.listed_project(world.scope(), world.project).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn open_incidents_are_counted_without_those_that_are_settled() {
    let world = World::set_up().await;
    world.settle_many().await;
    let list = Sql::new(select("p.id > {} ORDER BY p.id LIMIT 10"));
    let list = list.bind(world.organization.as_bytes()).bind([0; 16]);
    let plan = list.plan(&world.store.reader).await;
    assert!(plan.contains("incidents_of_project_by_facet"), "{plan}");
}
