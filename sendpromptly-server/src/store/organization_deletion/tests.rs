//! An organization that is to be deleted: nothing changes for seven days, and then nothing is left but a proof.

use sendpromptly_core::audit::CheckpointKind;

use super::*;
use crate::checkpoints::Checkpoints;
use crate::testing::estate::dump;
use crate::testing::{NOW, World, operator};
use crate::trail::walk::walk;
use crate::vault::{Purpose, Vault};

const HOUR: i64 = 60 * 60 * 1_000;
const DAY: i64 = 24 * HOUR;

async fn order(world: &World, now: Timestamp) -> Option<Timestamp> {
    let ordered = world.store.order_deletion(world.scope(), &operator(), now).await;
    ordered.unwrap()
}

async fn keep(world: &World, now: Timestamp) -> bool {
    let kept = world
        .store
        .keep_organization(world.scope(), &operator(), now)
        .await;
    kept.unwrap()
}

async fn end(world: &World, now: Timestamp) -> bool {
    let origin = Origin::system("retain");
    world.store.end_due_organization(&origin, now).await.unwrap()
}

async fn listed(world: &World) -> Vec<(OrganizationId, Option<Timestamp>)> {
    let listed = world.store.organizations().await.unwrap().into_iter();
    listed.map(|listed| (listed.id, listed.deletion_due_at)).collect()
}

#[tokio::test]
async fn an_order_is_carried_out_after_seven_days_and_not_before() {
    let world = World::set_up().await;
    let due = NOW.plus_millis(7 * DAY);
    assert_eq!(order(&world, NOW).await, Some(due));
    assert_eq!(
        order(&world, NOW.plus_millis(DAY)).await,
        Some(due),
        "the first order counts"
    );
    assert!(!end(&world, due.plus_millis(-1)).await);
    assert_eq!(listed(&world).await, [(world.organization, Some(due))]);
    assert!(end(&world, due).await);
    assert!(!end(&world, due).await, "once");
    assert_eq!(listed(&world).await, []);
    assert_eq!(order(&world, due).await, None);
    assert!(!keep(&world, due).await, "too late");
    assert!(!world.store.has_organization(world.organization).await.unwrap());
}

/// The order may have been taken back after the backup was made.
#[tokio::test]
async fn a_restore_begins_the_time_of_grace_anew() {
    let world = World::set_up().await;
    order(&world, NOW).await;
    let restored = NOW.plus_millis(30 * DAY);
    world.write(begin_grace_anew(restored)).await;
    let due = restored.plus(GRACE);
    assert!(!end(&world, due.plus_millis(-1)).await);
    assert_eq!(order(&world, restored).await, Some(due));
    world.write(begin_grace_anew(NOW)).await;
    assert_eq!(order(&world, restored).await, Some(due), "it is never shortened");
    assert!(keep(&world, restored).await);
    world.write(begin_grace_anew(restored)).await;
    assert!(!keep(&world, restored).await, "no order comes of it");
}

#[tokio::test]
async fn an_order_that_was_taken_back_is_none() {
    let world = World::set_up().await;
    assert!(!keep(&world, NOW).await);
    order(&world, NOW).await;
    assert!(keep(&world, NOW.plus_millis(6 * DAY)).await);
    assert!(!end(&world, NOW.plus_millis(30 * DAY)).await);
    let again = order(&world, NOW.plus_millis(30 * DAY)).await;
    assert_eq!(again, Some(NOW.plus_millis(37 * DAY)));
    let entries = world.store.chain(world.organization).entries(0, 9).await.unwrap();
    let told: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(
        told,
        [
            "organization.deletion_ordered",
            "organization.kept",
            "organization.deletion_ordered"
        ]
    );
}

#[tokio::test]
async fn with_its_end_nobody_is_a_member_and_its_keys_are_destroyed() {
    let world = World::set_up().await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
    let place = Purpose::Answer(world.project);
    let sealed = vault.seal(place, &[1; 16], b"thanks", NOW).await.unwrap();
    let ada = world.add_user("ada@example.com").await;
    world.add_member(world.organization, ada, "owner").await;
    order(&world, NOW).await;
    assert!(
        world
            .store
            .membership(ada, world.organization)
            .await
            .unwrap()
            .is_some()
    );
    let due = NOW.plus(GRACE);
    assert!(end(&world, due).await);

    assert!(
        world
            .store
            .membership(ada, world.organization)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        world
            .store
            .project(world.scope(), world.project)
            .await
            .unwrap()
            .is_none()
    );
    let elsewhere = Vault::open(&world.store, &world.keys()).await.unwrap();
    assert!(elsewhere.open_sealed(place, &[1; 16], &sealed).await.is_err());
    for chain in [world.organization, INSTANCE] {
        let entries = world.store.chain(chain).entries(0, 9).await.unwrap();
        let last = entries.last().unwrap();
        assert_eq!(last.action, "organization.deleted");
        assert_eq!(
            (last.target.as_str(), last.actor.as_str()),
            (&*world.organization.to_string(), "system:retain")
        );
    }
}

#[tokio::test]
async fn a_project_that_was_made_while_the_organization_ended_ends_as_well() {
    let world = World::set_up().await;
    order(&world, NOW).await;
    let due = NOW.plus(GRACE);
    assert!(end(&world, due).await);
    let late = Sql::new("UPDATE projects SET deleted_at = NULL WHERE id = {}");
    world.write(late.bind(world.project.as_bytes())).await;
    assert!(end(&world, due.plus_millis(1)).await);
    assert!(!end(&world, due.plus_millis(1)).await);
    assert_eq!(world.store.scope_of_project(world.project).await.unwrap(), None);
}

#[tokio::test]
async fn nothing_is_left_of_a_deleted_organization_but_the_proof_of_its_log() {
    let world = World::set_up().await;
    let other = world.add_organization("other").await;
    let ada = world.add_user("ada@example.com").await;
    world.add_member(world.organization, ada, "owner").await;
    world.add_member(other, ada, "owner").await;
    world.queue(world.project, 2).await;
    let checkpoints = Checkpoints::open(&world.keys()).unwrap();
    checkpoints.append_due(&world.store, NOW).await.unwrap();
    order(&world, NOW).await;
    let due = NOW.plus(GRACE);
    world.retain(due).await;
    let head = world.store.chain(world.organization).head().await.unwrap();
    assert!(head.seq > 4);
    world.retain(due.plus_millis(HOUR - 1)).await;
    let entries = world
        .store
        .chain(world.organization)
        .entries(0, 99)
        .await
        .unwrap();
    assert_eq!(entries.len() as u64, head.seq, "calls may be under way");
    world.retain(due.plus_millis(HOUR)).await;

    let ids = [world.organization.as_bytes(), world.project.as_bytes()]
        .map(|id| sendpromptly_core::hex::encode(id));
    let mut found = Vec::new();
    for table in crate::testing::estate::every_table(&world).await {
        let text = dump(&world, &table).await.join("\n");
        if ids.iter().any(|id| text.contains(id)) {
            found.push(table);
        }
    }
    assert_eq!(
        found,
        ["audit_entries", "audit_heads"],
        "the head, and the instance's entry"
    );
    let left = Sql::new("SELECT count(*) AS n FROM audit_entries WHERE organization_id = {}");
    assert_eq!(world.number(left.bind(world.organization.as_bytes())).await, 0);
    assert!(world.store.has_organization(other).await.unwrap());

    let file = checkpoints.read().unwrap();
    assert!(file.bad.is_empty());
    let (store, organization, known) = (&world.store, world.organization, checkpoints.known_keys());
    let kinds = file.checkpoints.iter();
    let periodic: Vec<_> = kinds
        .filter(|signed| signed.checkpoint.kind == CheckpointKind::Periodic)
        .copied()
        .collect();
    for (seen, known) in [(&file.checkpoints, None), (&periodic, Some(known))] {
        let sound = walk(store, organization, seen, known).await.unwrap();
        assert_eq!(sound.unwrap().head.hash, head.hash);
    }
    // Without the proof, its absence is a fault.
    let cut = walk(store, organization, &periodic, None).await.unwrap();
    assert!(cut.is_err());
}
