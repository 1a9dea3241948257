//! How the end of a call moves its replay on, or does not.

use sendpromptly_core::id::ReplayId;
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::replay::{AttemptOutcome, Effect, MAX_RETRY_AFTER, ReplayState};
use sendpromptly_core::time::Timestamp;

use super::*;
use crate::store::attempts::LEASE;
use crate::store::claims::Claim;
use crate::store::rows::Sql;
use crate::testing::{NOW, World};

const fn answered(status: u16, effect: Option<Effect>) -> AttemptOutcome {
    AttemptOutcome::Answered {
        status,
        retry_after: None,
        effect,
    }
}

fn end(claim: &Claim, outcome: AttemptOutcome, at: Timestamp) -> AttemptEnd {
    AttemptEnd {
        outcome,
        word: "answered",
        duration: Some(Duration::from_millis(12)),
        ..AttemptEnd::cut_off(claim.attempt, at)
    }
}

async fn record(world: &World, ends: &[AttemptEnd]) {
    commit(&world.store, ends, &RetrySchedule::default())
        .await
        .unwrap();
}

/// A replay with its first attempt under way.
async fn calling() -> (World, Claim) {
    let world = World::set_up().await;
    world.queue(world.project, 1).await;
    let claim = world.claim(NOW).await.pop().unwrap();
    (world, claim)
}

async fn states(world: &World, claim: &Claim) -> (ReplayState, IncidentState) {
    let case = world.case(claim.attempt.event).await.case;
    (case.replays.last().unwrap().state, case.incident.unwrap().state)
}

#[tokio::test]
async fn a_2xx_is_delivered_and_its_time_to_answer_counts_from_it() {
    let (world, claim) = calling().await;
    let at = NOW.plus(Duration::from_secs(3));
    record(&world, &[end(&claim, answered(204, None), at)]).await;
    let stored = world.case(claim.attempt.event).await;
    let replay = &stored.case.replays[0];
    assert_eq!(replay.state, ReplayState::Delivered);
    assert_eq!(replay.answer_due_at, Some(at.plus_minutes(30)));
    assert_eq!((replay.last_status, stored.lease), (Some(204), None));
    let duration = Sql::new("SELECT duration_ms AS n FROM attempts");
    assert_eq!(world.number(duration).await, 12);
}

#[tokio::test]
async fn the_lease_is_the_one_of_the_replay_under_way_whatever_the_order_of_the_ids() {
    let (world, first) = calling().await;
    record(&world, &[end(&first, answered(404, None), NOW)]).await;
    let incident = world.case(first.attempt.event).await.case.incident.unwrap().id;
    world.reprocess(incident, None).await.unwrap();
    let second = world.claim(NOW).await.pop().unwrap();
    // Its id, as if it came before the one that has ended.
    for table in ["attempts SET replay_id", "replays SET id"] {
        let (_, column) = table.rsplit_once(' ').unwrap();
        let earlier = Sql::new(format!("UPDATE {table} = {{}} WHERE {column} = {{}}"));
        world
            .write(earlier.bind([0; 16]).bind(second.attempt.replay.as_bytes()))
            .await;
    }
    let mut attempt = second.attempt;
    attempt.replay = ReplayId::from_bytes([0; 16]);
    let stored = world.case(attempt.event).await;
    assert_eq!(stored.lease, Some(attempt.lease));
    record(&world, &[AttemptEnd::cut_off(attempt, NOW)]).await;
    assert_eq!(world.claim(NOW).await.len(), 1);
}

#[tokio::test]
async fn a_4xx_halts_and_opens_the_incident_again() {
    let (world, claim) = calling().await;
    record(&world, &[end(&claim, answered(404, None), NOW)]).await;
    assert_eq!(
        states(&world, &claim).await,
        (ReplayState::Halted, IncidentState::Open)
    );
}

#[tokio::test]
async fn retry_after_lengthens_the_wait() {
    let (world, claim) = calling().await;
    let outcome = AttemptOutcome::Answered {
        status: 503,
        retry_after: Some(Duration::MAX),
        effect: None,
    };
    record(&world, &[end(&claim, outcome, NOW)]).await;
    let case = world.case(claim.attempt.event).await.case;
    assert_eq!(case.replays[0].next_attempt_at, Some(NOW.plus(MAX_RETRY_AFTER)));
}

#[tokio::test]
async fn the_result_that_a_2xx_bears_is_stored_and_resolves() {
    let (world, claim) = calling().await;
    record(&world, &[end(&claim, answered(200, Some(Effect::Success)), NOW)]).await;
    assert_eq!(
        states(&world, &claim).await,
        (ReplayState::Succeeded, IncidentState::Resolved)
    );
    let results = Sql::new("SELECT count(*) AS n FROM results WHERE effect = 'success' AND replay_id = {}");
    let results = results.bind(claim.attempt.replay.as_bytes());
    assert_eq!(world.number(results).await, 1);
}

#[tokio::test]
async fn a_success_that_came_during_the_call_stays_and_the_call_is_recorded_on_its_row_only() {
    let (world, claim) = calling().await;
    let replay = Some(claim.attempt.replay);
    world
        .report(claim.attempt.event, Effect::Success, replay, NOW)
        .await;
    record(&world, &[end(&claim, answered(500, None), NOW)]).await;
    assert_eq!(
        states(&world, &claim).await,
        (ReplayState::Succeeded, IncidentState::Resolved)
    );
    assert_eq!(world.attempt_outcome(&claim).await.as_deref(), Some("answered"));
    assert!(
        world
            .claim(NOW.plus(Duration::from_secs(86_400)))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_call_cut_off_goes_again_at_once_under_the_next_number_and_costs_no_step() {
    let (world, claim) = calling().await;
    record(&world, &[AttemptEnd::cut_off(claim.attempt, NOW)]).await;
    assert_eq!(world.attempt_outcome(&claim).await.as_deref(), Some("cut_off"));
    let again = world.claim(NOW).await.pop().unwrap();
    assert_eq!(
        (again.attempt.number, again.attempt.replay),
        (2, claim.attempt.replay)
    );
    assert_eq!(world.case(claim.attempt.event).await.case.replays[0].steps, 0);
}

#[tokio::test]
async fn an_end_after_its_lease_is_put_on_its_row_and_moves_nothing() {
    let (world, late) = calling().await;
    let over = NOW.plus(LEASE);
    record(&world, &[AttemptEnd::cut_off(late.attempt, over)]).await;
    let second = world.claim(over).await.pop().unwrap();
    record(&world, &[end(&late, answered(404, None), over)]).await;
    assert_eq!(
        states(&world, &late).await,
        (ReplayState::Queued, IncidentState::Reprocessing)
    );
    assert_eq!(world.attempt_outcome(&late).await.as_deref(), Some("answered"));
    assert_eq!(
        world.case(late.attempt.event).await.lease,
        Some(second.attempt.lease)
    );
}

#[tokio::test]
async fn a_2xx_after_its_lease_still_counts_and_ends_the_attempt_that_followed() {
    let (world, late) = calling().await;
    let over = NOW.plus(LEASE);
    record(&world, &[AttemptEnd::cut_off(late.attempt, over)]).await;
    let second = world.claim(over).await.pop().unwrap();
    record(&world, &[end(&late, answered(200, None), over)]).await;
    record(&world, &[end(&second, answered(500, None), over)]).await;
    assert_eq!(
        states(&world, &late).await,
        (ReplayState::Delivered, IncidentState::Reprocessing)
    );
}

#[tokio::test]
async fn a_late_success_in_an_answer_resolves_also_when_the_replay_has_ended() {
    let (world, late) = calling().await;
    let over = NOW.plus(LEASE);
    record(&world, &[AttemptEnd::cut_off(late.attempt, over)]).await;
    let second = world.claim(over).await.pop().unwrap();
    record(&world, &[end(&second, answered(404, None), over)]).await;
    record(&world, &[end(&late, answered(200, Some(Effect::Success)), over)]).await;
    assert_eq!(
        states(&world, &late).await,
        (ReplayState::Halted, IncidentState::Resolved)
    );
}

#[tokio::test]
async fn a_result_that_came_before_the_calls_own_2xx_leaves_its_status() {
    let (world, claim) = calling().await;
    let (event, replay) = (claim.attempt.event, claim.attempt.replay);
    world.report(event, Effect::Success, Some(replay), NOW).await;
    record(&world, &[end(&claim, answered(202, None), NOW)]).await;
    let replay = world.case(claim.attempt.event).await.case.replays.pop().unwrap();
    assert_eq!(
        (replay.state, replay.last_status),
        (ReplayState::Succeeded, Some(202))
    );
}

#[tokio::test]
async fn a_cut_off_that_another_node_has_noted_does_not_undo_what_was_recorded() {
    let (world, claim) = calling().await;
    record(&world, &[end(&claim, answered(204, None), NOW)]).await;
    record(&world, &[AttemptEnd::cut_off(claim.attempt, NOW.plus(LEASE))]).await;
    assert_eq!(world.attempt_outcome(&claim).await.as_deref(), Some("answered"));
    assert_eq!(states(&world, &claim).await.0, ReplayState::Delivered);
}

#[tokio::test]
async fn ends_of_many_projects_go_in_one_transaction() {
    let world = World::set_up().await;
    let mut projects = vec![world.project];
    for _ in 0..3 {
        let project = ProjectId::new(NOW, entropy::for_id());
        world.add_project(project).await;
        projects.push(project);
    }
    for project in &projects {
        world.queue(*project, 2).await;
    }
    let claims = world.claim(NOW).await;
    let ends: Vec<_> = claims
        .iter()
        .map(|claim| end(claim, answered(204, None), NOW))
        .collect();
    record(&world, &ends).await;
    let delivered = Sql::new("SELECT count(*) AS n FROM replays WHERE state = 'delivered'");
    assert_eq!(world.number(delivered).await, 8);
    let open = Sql::new("SELECT count(*) AS n FROM attempts WHERE ended_at IS NULL");
    assert_eq!(world.number(open).await, 0);
}
