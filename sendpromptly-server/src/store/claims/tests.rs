//! Which calls are claimed, how many at once, and by whom.

use sendpromptly_core::replay::AttemptOutcome;

use super::*;
use crate::store::attempts::AttemptEnd;
use crate::testing::{NOW, World, claim_on};

const SECOND: i64 = 1_000;

/// Ends a claimed attempt with this status.
async fn answer(world: &World, claims: &[Claim], status: u16, at: Timestamp) {
    let ends: Vec<AttemptEnd> = claims
        .iter()
        .map(|claim| AttemptEnd {
            outcome: AttemptOutcome::Answered {
                status,
                retry_after: None,
                effect: None,
            },
            word: "answered",
            ..AttemptEnd::cut_off(claim.attempt, at)
        })
        .collect();
    crate::workers::record_ends(&world.store, &ends).await;
}

#[tokio::test]
async fn a_project_has_at_most_five_calls_under_way_and_another_one_goes_as_one_ends() {
    let world = World::set_up().await;
    world.queue(world.project, 7).await;
    let first = world.claim(NOW).await;
    assert_eq!(first.len(), 5);
    assert!(world.claim(NOW).await.is_empty());
    answer(&world, &first[..1], 204, NOW).await;
    assert_eq!(world.claim(NOW).await.len(), 1);
}

#[tokio::test]
async fn two_nodes_that_claim_at_once_never_share_a_call_nor_pass_the_bound() {
    let world = World::set_up().await;
    let projects: Vec<ProjectId> = (0..3).map(|_| ProjectId::new(NOW, entropy::for_id())).collect();
    for project in &projects {
        world.add_project(*project).await;
        world.queue(*project, 8).await;
    }
    let other = world.second_node().await;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (one, two) = tokio::join!(claim_on(&world.store, NOW), claim_on(&other, NOW));
        here.extend(one);
        there.extend(two);
    }
    here.extend(there);
    for project in &projects {
        let calls = here.iter().filter(|claim| claim.attempt.project == *project);
        let replays: BTreeSet<ReplayId> = calls.clone().map(|claim| claim.attempt.replay).collect();
        assert_eq!((calls.count(), replays.len()), (5, 5));
    }
}

#[tokio::test]
async fn a_long_queue_does_not_keep_other_projects_waiting() {
    let world = World::set_up().await;
    world.queue(world.project, 20).await;
    let other = ProjectId::new(NOW, entropy::for_id());
    world.add_project(other).await;
    world.queue(other, 1).await;
    let claims = world.claim(NOW).await;
    let of = |project| {
        claims
            .iter()
            .filter(|claim| claim.attempt.project == project)
            .count()
    };
    assert_eq!((of(world.project), of(other)), (5, 1));
}

#[tokio::test]
async fn after_five_failures_in_a_row_a_probe_goes_alone_and_its_success_lets_the_rest_go() {
    let world = World::set_up().await;
    world.queue(world.project, 9).await;
    let failed = world.claim(NOW).await;
    answer(&world, &failed, 503, NOW).await;
    let probe = world.claim(NOW).await;
    assert_eq!(probe.len(), 1);
    assert!(world.claim(NOW).await.is_empty(), "the rest waits for the probe");
    answer(&world, &probe, 503, NOW).await;
    let probe = world.claim(NOW).await;
    assert_eq!(probe.len(), 1);
    answer(&world, &probe, 204, NOW).await;
    assert_eq!(world.claim(NOW).await.len(), 2, "what is left of the nine");
}

#[tokio::test]
async fn the_failures_in_a_row_are_shared_by_all_nodes() {
    let world = World::set_up().await;
    world.queue(world.project, 8).await;
    let failed = world.claim(NOW).await;
    answer(&world, &failed, 500, NOW).await;
    let other = world.second_node().await;
    assert_eq!(claim_on(&other, NOW).await.len(), 1);
    assert!(world.claim(NOW).await.is_empty());
}

#[tokio::test]
async fn a_retry_is_claimed_when_it_is_due_and_bears_the_next_number() {
    let world = World::set_up().await;
    world.queue(world.project, 1).await;
    let first = world.claim(NOW).await;
    assert_eq!(first[0].attempt.number, 1);
    answer(&world, &first, 500, NOW).await;
    assert!(world.claim(NOW.plus_millis(50 * SECOND)).await.is_empty());
    let second = world.claim(NOW.plus_millis(67 * SECOND)).await;
    assert_eq!(second[0].attempt.number, 2);
    assert_eq!(second[0].body, first[0].body);
    assert_ne!(second[0].nonce, first[0].nonce);
}

#[tokio::test]
async fn calls_of_an_ended_lease_do_not_count_as_under_way() {
    let world = World::set_up().await;
    world.queue(world.project, 6).await;
    assert_eq!(world.claim(NOW).await.len(), 5);
    let over = NOW.plus(LEASE);
    assert_eq!(world.claim(over).await.len(), 1);
}

#[tokio::test]
async fn a_claim_passes_over_a_case_that_somebody_is_changing() {
    let world = World::set_up().await;
    let queued = world.queue(world.project, 1).await;
    if world.store.dialect() == Dialect::Sqlite {
        return; // its writers take turns
    }
    let tx = world.store.begin().await.unwrap();
    let keys = BTreeSet::from([(world.project, queued[0].0)]);
    world.store.lock_cases(&tx, &keys).await.unwrap();
    assert!(world.claim(NOW).await.is_empty());
    tx.rollback().await.unwrap();
    assert_eq!(world.claim(NOW).await.len(), 1);
}

#[tokio::test]
async fn a_call_that_is_handed_back_leaves_no_trace_and_does_not_revive_what_has_ended() {
    let world = World::set_up().await;
    world.queue(world.project, 2).await;
    let claims = world.claim(NOW).await;
    let success = sendpromptly_core::replay::Effect::Success;
    world.report(claims[1].attempt.event, success, None, NOW).await;
    let later = NOW.plus_millis(60 * SECOND);
    for claim in &claims {
        world.store.hand_back(&claim.attempt, later).await.unwrap();
    }
    let attempts = Sql::new("SELECT count(*) AS n FROM attempts");
    assert_eq!(world.number(attempts).await, 0);
    for (claim, due) in claims.iter().zip([Some(later), None]) {
        let stored = world.case(claim.attempt.event).await;
        let replay = &stored.case.replays[0];
        assert_eq!(
            (stored.lease, replay.attempts, replay.next_attempt_at),
            (None, 0, due)
        );
    }
    let again = world.claim(later).await;
    assert_eq!((again.len(), again[0].attempt.number), (1, 1));
    // Its lease is another one by now.
    world.store.hand_back(&claims[0].attempt, NOW).await.unwrap();
    assert!(world.case(again[0].attempt.event).await.lease.is_some());
}
