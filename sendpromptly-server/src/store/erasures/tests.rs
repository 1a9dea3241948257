//! What names a deleted user is erased in every chain, whoever wrote it, and the chains still prove themselves.

use sendpromptly_core::audit::{Action, Draft, INSTANCE};
use sendpromptly_core::id::OrganizationId;

use super::*;
use crate::store::deleted_users::UserDeletion;
use crate::testing::{NOW, World, operator};
use crate::trail::walk::walk;

const LATER: Timestamp = NOW.plus_millis(1);
const ADA: &str = "ada@example.com";

async fn log(world: &World, organization: OrganizationId, reason: &str) {
    let draft = Draft::new(
        &operator(),
        Action::IncidentDismissed,
        organization,
        &[("reason", reason)],
    );
    let drafts = crate::store::audit::drafts_of(organization, NOW, vec![draft]);
    world.store.commit_audited(&[], &drafts).await.unwrap();
}

/// The places of the entries whose details are there.
async fn told(world: &World, organization: OrganizationId) -> Vec<u64> {
    let entries = world.store.chain(organization).entries(0, 99).await.unwrap();
    let told = entries.iter().filter(|entry| entry.details.is_some());
    told.map(|entry| entry.seq).collect()
}

const fn batch(details: u64, is_done: bool) -> Erased {
    Erased::Batch { details, is_done }
}

async fn deleted(world: &World) -> UserId {
    let ada = world.add_user("Ada@Example.com").await;
    let end = world.store.delete_user(ada, &operator(), NOW).await.unwrap();
    assert_eq!(end, UserDeletion::Done);
    ada
}

#[tokio::test]
async fn details_that_name_a_deleted_user_are_erased_and_the_chains_verify_as_redacted() {
    let world = World::set_up().await;
    let other = world.add_organization("other").await;
    for organization in [world.organization, other, INSTANCE] {
        log(&world, organization, "nobody is named").await;
        log(&world, organization, "asked ADA@example.com, who knows").await;
        log(&world, organization, "asked vada@example.com").await;
    }
    deleted(&world).await;
    assert_eq!(world.store.erasures_waiting(LATER).await.unwrap(), 1);
    let mut erased = 0;
    while let Erased::Batch { details, .. } = world.store.erase_details(LATER, 2).await.unwrap() {
        erased += details;
    }
    assert_eq!(erased, 3);
    assert_eq!(world.store.erasures_waiting(LATER).await.unwrap(), 0);
    for organization in [world.organization, other, INSTANCE] {
        let mut left = told(&world, organization).await;
        left.truncate(2);
        assert_eq!(left, [1, 3]);
        let sound = walk(&world.store, organization, &[], None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(sound.redacted, 1);
    }
}

#[tokio::test]
async fn an_erasure_goes_on_where_another_process_left_it() {
    let world = World::set_up().await;
    for _ in 0..5 {
        log(&world, world.organization, ADA).await;
    }
    deleted(&world).await;
    // The instance's own entry, of the deletion, is looked at first.
    assert_eq!(
        world.store.erase_details(LATER, 3).await.unwrap(),
        batch(2, false)
    );
    let again = world.second_node().await;
    assert_eq!(again.erase_details(LATER, 3).await.unwrap(), batch(3, false));
    assert_eq!(
        again.erase_details(LATER, 3).await.unwrap(),
        batch(0, true),
        "the end of the first look"
    );
    assert_eq!(again.erase_details(LATER, 3).await.unwrap(), Erased::Nothing);
    assert!(told(&world, world.organization).await.is_empty());
}

#[tokio::test]
async fn what_was_written_behind_the_first_look_is_erased_by_a_second_one_minutes_later() {
    let world = World::set_up().await;
    deleted(&world).await;
    while world.store.erase_details(LATER, 1_000).await.unwrap() != Erased::Nothing {}
    log(&world, world.organization, ADA).await;
    let again = NOW.plus(SECOND_LOOK_AFTER);
    let before = again.plus_millis(-1);
    assert_eq!(
        world.store.erase_details(before, 9).await.unwrap(),
        Erased::Nothing
    );
    assert_eq!(world.store.erasures_waiting(again).await.unwrap(), 1);
    while world.store.erase_details(again, 1_000).await.unwrap() != Erased::Nothing {}
    assert!(told(&world, world.organization).await.is_empty());
    let rows = Sql::new("SELECT count(*) AS n FROM erasures");
    assert_eq!(world.number(rows).await, 0, "the addresses go with it");
}

#[tokio::test]
async fn several_deleted_users_are_each_looked_for() {
    let world = World::set_up().await;
    let bob = world.add_user("bob@example.com").await;
    log(&world, world.organization, "bob@example.com").await;
    log(&world, world.organization, ADA).await;
    deleted(&world).await;
    let end = world
        .store
        .delete_user(bob, &operator(), NOW.plus_millis(1))
        .await;
    assert_eq!(end.unwrap(), UserDeletion::Done);
    while world.store.erase_details(LATER, 1_000).await.unwrap() != Erased::Nothing {}
    assert!(told(&world, world.organization).await.is_empty());
}
