//! How a second factor is set up, changed and turned off, and that every code is good once.

use sendpromptly_core::audit::{Actor, INSTANCE};
use sendpromptly_core::id::{OrganizationId, UserId};

use super::*;
use crate::platform::entropy;
use crate::store::scope::Membership;
use crate::testing::{NOW, World};

mod scene;
mod thieves;
mod undone;

use scene::{User, take_on};

const STEP: Step = Step::from_number(60_000_000);
const CODES: [RecoveryHash; 3] = [[1; 32], [2; 32], [3; 32]];
const SECRET: [u8; 16] = [9; 16];

/// What a chain tells, the oldest first, and the details of the last entry.
async fn told(world: &World, organization: OrganizationId) -> (Vec<String>, String) {
    let entries = world.store.chain(organization).entries(0, 100).await.unwrap();
    let details = entries.last().and_then(|entry| entry.details.clone());
    let actions = entries.into_iter().map(|entry| entry.action).collect();
    (actions, details.map_or_else(String::new, |details| details.text))
}

fn later(steps: i64) -> Proof {
    Proof::Step(SECRET, Step::from_number(STEP.number() + steps))
}

#[tokio::test]
async fn a_proposal_is_in_force_once_a_code_confirmed_it() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    user.propose(SECRET, NOW).await;
    assert!(world.store.second_factor(user.id).await.unwrap().is_none());
    assert!(user.confirm(SECRET).await);
    let factor = world.store.second_factor(user.id).await.unwrap().unwrap();
    assert_eq!((factor.id, factor.last_step), (SECRET, STEP));
    assert_eq!((factor.sealed, factor.confirmed_at), (b"sealed".to_vec(), NOW));
    assert_eq!(world.store.recovery_codes_left(user.id).await.unwrap(), 3);
    assert!(!user.confirm(SECRET).await, "a proposal is confirmed once");
    let (actions, _) = told(&world, world.organization).await;
    assert_eq!(actions, ["second_factor.enabled", "recovery_codes.made"]);
}

#[tokio::test]
async fn only_the_newest_proposal_is_confirmed_and_only_for_half_an_hour() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    user.propose([1; 16], NOW).await;
    user.propose([2; 16], NOW.plus(PROPOSED_FOR)).await;
    assert!(!user.confirm([1; 16]).await);
    user.propose([3; 16], NOW.plus_millis(-1_800_000)).await;
    assert!(
        world
            .store
            .proposed_second_factor(user.id, user.session, NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert!(!user.confirm([3; 16]).await);
    let kept = Sql::new("SELECT count(*) AS n FROM second_factor_proposals");
    assert_eq!(world.number(kept.clone()).await, 1);
    assert_eq!(world.drop_old(old_proposals(NOW)).await, 1);
    assert_eq!(world.number(kept).await, 0);
}

#[tokio::test]
async fn another_session_of_the_user_neither_sees_nor_confirms_a_proposal() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    let (thiefs, token) = world.begin_session(user.id, Some(NOW)).await;
    user.propose(SECRET, NOW).await;
    let seen = world.store.proposed_second_factor(user.id, thiefs, NOW).await;
    assert!(seen.unwrap().is_none());
    let changer = Changer {
        session: thiefs,
        ..user.changer(&token)
    };
    let confirmed = world
        .store
        .confirm_second_factor(&changer, SECRET, STEP, &CODES, Vec::new())
        .await;
    assert!(!confirmed.unwrap());
    assert!(
        user.confirm(SECRET).await,
        "it is there for the session that began it"
    );
}

#[tokio::test]
async fn of_a_hundred_tries_at_once_over_two_nodes_one_takes_the_code() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await.with_factor().await;
    let nodes = [world.store.clone(), world.second_node().await];
    for proof in [later(1), Proof::Recovery(CODES[0])] {
        let tries = (0..100).map(|number| take_on(&nodes[number % 2], &user, proof));
        let taken = futures_util::future::join_all(tries).await;
        assert_eq!(taken.iter().flatten().count(), 1, "{proof:?}");
    }
}

#[tokio::test]
async fn a_code_is_taken_only_after_the_last_one_and_of_the_secret_in_force() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await.with_factor().await;
    assert_eq!(user.take(later(0)).await, None, "the one that confirmed it");
    assert_eq!(user.take(later(2)).await, Some(Taken::Code));
    assert_eq!(user.take(later(1)).await, None);
    let other = Proof::Step([8; 16], Step::from_number(STEP.number() + 3));
    assert_eq!(user.take(other).await, None);
    let stranger = User::set_up(&world).await;
    assert_eq!(stranger.take(later(3)).await, None);
    assert_eq!(stranger.take(Proof::Recovery(CODES[0])).await, None);
}

#[tokio::test]
async fn a_code_that_is_not_good_leaves_nothing_behind() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await.with_factor().await;
    let draft = Draft::new(&user.origin, Action::SecondFactorEnabled, user.id, &[]);
    let (before, _) = told(&world, world.organization).await;
    let end = vec![sessions::end(user.session)];
    let taken = world
        .store
        .take_code(user.id, later(0), end, vec![draft], &user.origin, NOW);
    assert_eq!(taken.await.unwrap(), None);
    assert!(world.store.session(&user.token, NOW).await.unwrap().is_some());
    assert_eq!(told(&world, world.organization).await.0, before);
}

#[tokio::test]
async fn the_use_of_a_recovery_code_is_audited_with_how_many_are_left() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await.with_factor().await;
    assert_eq!(
        user.take(Proof::Recovery(CODES[1])).await,
        Some(Taken::Recovery { left: 2 })
    );
    let (actions, details) = told(&world, world.organization).await;
    assert_eq!(actions.last().unwrap(), "recovery_code.used");
    assert_eq!(details, r#"{"left":"2"}"#);
}

#[tokio::test]
async fn new_recovery_codes_end_the_old_ones() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    let changer = user.changer(&user.token);
    let make = |codes: Vec<RecoveryHash>| {
        let changer = &changer;
        let store = &world.store;
        async move { store.replace_recovery_codes(changer, &codes).await.unwrap() }
    };
    assert!(!make(vec![[4; 32]]).await, "there is nothing to recover");
    user.propose(SECRET, NOW).await;
    assert!(user.confirm(SECRET).await);
    assert!(make(vec![[4; 32]]).await);
    assert_eq!(user.take(Proof::Recovery(CODES[0])).await, None);
    assert_eq!(
        user.take(Proof::Recovery([4; 32])).await,
        Some(Taken::Recovery { left: 0 })
    );
}

#[tokio::test]
async fn another_authenticator_takes_the_place_of_the_one_before() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await.with_factor().await;
    user.propose([7; 16], NOW).await;
    assert_eq!(
        user.take(later(1)).await,
        Some(Taken::Code),
        "until it is confirmed"
    );
    assert!(user.confirm([7; 16]).await);
    assert_eq!(user.take(later(2)).await, None);
    let (actions, _) = told(&world, world.organization).await;
    assert_eq!(actions[2..], ["second_factor.replaced", "recovery_codes.made"]);
}

#[tokio::test]
async fn a_changed_factor_ends_the_other_sessions_and_gives_this_one_another_token() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    let (_, elsewhere) = world.begin_session(user.id, Some(NOW)).await;
    let other = User::set_up(&world).await;
    user.propose(SECRET, NOW).await;
    let new = SessionToken::generate();
    let store = &world.store;
    let changer = user.changer(&new);
    assert!(
        store
            .confirm_second_factor(&changer, SECRET, STEP, &CODES, Vec::new())
            .await
            .unwrap()
    );
    let session = async |token: &SessionToken| store.session(token, NOW).await.unwrap();
    assert!(session(&elsewhere).await.is_none());
    assert!(session(&user.token).await.is_none());
    assert!(session(&other.token).await.is_some());
    let own = session(&new).await.unwrap();
    assert!(own.complete && own.shown.has_second_factor);
    assert_eq!(own.shown.code_at, Some(NOW));
}

#[tokio::test]
async fn with_a_second_factor_no_session_is_complete_without_a_code() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await.with_factor().await;
    // As one would be begun by a sign-in that looked just before the factor was confirmed.
    let (id, token) = world.begin_session(user.id, None).await;
    let session = async |token: &SessionToken| world.store.session(token, NOW).await.unwrap().unwrap();
    assert!(!session(&token).await.complete);
    let new = SessionToken::generate();
    world
        .store
        .commit_together(vec![sessions::complete(id, &new, NOW)])
        .await
        .unwrap();
    assert!(session(&new).await.complete);
}

#[tokio::test]
async fn it_is_turned_off_unless_an_organization_requires_it() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    assert_eq!(user.turn_off().await, TurnedOff::NoFactor);
    assert_eq!(user.require(true).await, Requiring::NoFactor);
    let user = user.with_factor().await;
    assert_eq!(user.require(true).await, Requiring::Done);
    assert_eq!(user.require(true).await, Requiring::AlreadySo);
    assert_eq!(user.turn_off().await, TurnedOff::Required);
    assert!(world.store.second_factor(user.id).await.unwrap().is_some());
    assert_eq!(user.require(false).await, Requiring::Done);
    assert_eq!(user.turn_off().await, TurnedOff::Done);
    assert!(world.store.second_factor(user.id).await.unwrap().is_none());
    assert_eq!(world.store.recovery_codes_left(user.id).await.unwrap(), 0);
    let (actions, _) = told(&world, world.organization).await;
    assert_eq!(
        actions[2..],
        [
            "organization.changed",
            "organization.changed",
            "second_factor.disabled"
        ]
    );
}

#[tokio::test]
async fn a_requirement_is_seen_at_once_on_every_node() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await.with_factor().await;
    let without = User::set_up(&world).await;
    let other_node = world.second_node().await;
    let seen = async || {
        let found = other_node.membership(without.id, world.organization).await;
        found.unwrap().unwrap().requires_second_factor
    };
    assert!(!seen().await);
    user.require(true).await;
    assert!(seen().await);
    let scope = without.membership().await.scope;
    assert_eq!(world.store.members_without_second_factor(scope).await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_user_of_no_organization_does_is_told_by_the_instances_log() {
    let world = World::set_up().await;
    let user = User::outside(&world).await;
    user.with_factor().await;
    let (actions, _) = told(&world, INSTANCE).await;
    assert_eq!(actions, ["second_factor.enabled", "recovery_codes.made"]);
    assert!(told(&world, world.organization).await.0.is_empty());
}
