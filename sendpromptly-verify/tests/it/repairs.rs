//! A repair is applied once, and a doubt is seen.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;

use sendpromptly_verify::Answer;
use sendpromptly_verify::replay::{
    Claimed, MemoryClaim, MemoryReplays, Outcome, Repair, ReplayId, ReplayStore, Resolution, StoreError,
};

const DAY: i64 = 86_400;
const NOW: i64 = 1_769_851_800;

fn id(number: u8) -> ReplayId {
    ReplayId::from_bytes([number; 16])
}

fn begin(replays: &MemoryReplays) -> Result<Repair<'_, MemoryReplays>, Answer> {
    Repair::begin(replays, id(1), NOW)
}

fn fresh(replays: &MemoryReplays, id: ReplayId, now: i64) -> MemoryClaim {
    match replays.claim(id, now).unwrap() {
        Claimed::Fresh(claim) => claim,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_applied_repair_is_answered_2xx_and_not_applied_again() {
    let replays = MemoryReplays::default();
    let answer = begin(&replays).unwrap().finish(Outcome::Applied);
    assert_eq!((answer.status(), answer.result()), (200, Some("success")));
    let again = begin(&replays).unwrap_err();
    assert!(matches!(again, Answer::AlreadyApplied));
    assert_eq!((again.status(), again.result()), (200, Some("success")));
    assert_eq!(again.retry_after(), None);
}

#[test]
fn a_repair_under_way_is_answered_503() {
    let replays = MemoryReplays::default();
    let _under_way = begin(&replays).unwrap();
    let answer = begin(&replays).unwrap_err();
    assert!(matches!(answer, Answer::Running));
    assert_eq!((answer.status(), answer.retry_after()), (503, Some("60")));
}

#[test]
fn a_repair_that_was_certainly_not_applied_is_free_again() {
    let replays = MemoryReplays::default();
    let failed = begin(&replays).unwrap().finish(Outcome::Failed);
    assert_eq!((failed.status(), failed.result()), (200, Some("failed")));
    let later = begin(&replays).unwrap().finish(Outcome::NotApplied);
    assert_eq!((later.status(), later.result()), (503, None));
    assert!(begin(&replays).is_ok());
}

#[test]
fn an_outcome_that_nobody_knows_is_a_doubt() {
    let replays = MemoryReplays::default();
    let answer = begin(&replays).unwrap().finish(Outcome::InDoubt);
    assert_eq!((answer.status(), answer.retry_after()), (503, Some("600")));
    let again = Repair::begin(&replays, id(1), NOW + DAY).unwrap_err();
    assert!(matches!(again, Answer::InDoubt { since: NOW }));
}

#[test]
fn a_panic_in_the_effect_is_a_doubt() {
    let replays = MemoryReplays::default();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _repair = begin(&replays).unwrap();
        panic!("the effect");
    }));
    assert!(panicked.is_err());
    assert_eq!(replays.in_doubt(), [(id(1), NOW)]);
    assert!(matches!(begin(&replays), Err(Answer::InDoubt { since: NOW })));
}

#[test]
fn a_repair_that_is_dropped_is_a_doubt() {
    let replays = MemoryReplays::default();
    drop(begin(&replays).unwrap());
    assert!(matches!(begin(&replays), Err(Answer::InDoubt { .. })));
}

#[test]
fn a_person_ends_a_doubt() {
    for (resolution, applied) in [(Resolution::Applied, true), (Resolution::NotApplied, false)] {
        let replays = MemoryReplays::default();
        drop(begin(&replays).unwrap());
        assert!(replays.resolve(id(1), resolution).unwrap());
        assert!(
            !replays.resolve(id(1), resolution).unwrap(),
            "it is no doubt any more"
        );
        let claimed = replays.claim(id(1), NOW).unwrap();
        assert_eq!(matches!(claimed, Claimed::Applied), applied);
        assert_eq!(matches!(claimed, Claimed::Fresh(_)), !applied);
        assert!(replays.in_doubt().is_empty());
    }
}

#[test]
fn what_is_no_doubt_is_not_resolved() {
    let replays = MemoryReplays::default();
    assert!(!replays.resolve(id(1), Resolution::Applied).unwrap());
    let claim = fresh(&replays, id(1), NOW);
    assert!(!replays.resolve(id(1), Resolution::NotApplied).unwrap());
    assert!(replays.confirm(claim).is_ok());
}

#[test]
fn a_claim_that_was_resolved_is_lost_to_its_late_holder() {
    let replays = MemoryReplays::default();
    let late = fresh(&replays, id(1), NOW);
    replays.doubt(late.clone());
    replays.resolve(id(1), Resolution::NotApplied).unwrap();
    let second = fresh(&replays, id(1), NOW);
    for lost in [replays.confirm(late.clone()), replays.release(late.clone())] {
        assert!(matches!(lost, Err(StoreError::ClaimLost)));
    }
    replays.doubt(late);
    assert!(replays.in_doubt().is_empty(), "the second claim still runs");
    assert!(replays.confirm(second).is_ok());
}

#[test]
fn applied_repairs_are_kept_for_seven_days_at_least_and_forgotten_then() {
    let replays = MemoryReplays::new(1);
    replays.confirm(fresh(&replays, id(1), NOW)).unwrap();
    assert!(matches!(
        replays.claim(id(1), NOW + 7 * DAY),
        Ok(Claimed::Applied)
    ));
    assert!(matches!(
        replays.claim(id(2), NOW + 7 * DAY),
        Err(StoreError::Full)
    ));
    assert!(matches!(
        replays.claim(id(2), NOW + 9 * DAY),
        Ok(Claimed::Fresh(_))
    ));
}

#[test]
fn a_full_store_refuses_and_evicts_none() {
    let replays = MemoryReplays::new(2);
    replays.doubt(fresh(&replays, id(1), NOW));
    let _running = fresh(&replays, id(2), NOW);
    let later = NOW + 365 * DAY;
    let refused = Repair::begin(&replays, id(3), later).unwrap_err();
    assert!(matches!(refused, Answer::StoreFailed(StoreError::Full)));
    assert_eq!((refused.status(), refused.retry_after()), (503, Some("60")));
    assert!(matches!(
        replays.claim(id(1), later),
        Ok(Claimed::InDoubt { since: NOW })
    ));
    assert!(matches!(replays.claim(id(2), later), Ok(Claimed::Running)));
}

#[test]
fn one_of_a_thousand_at_once_has_the_claim() {
    let (replays, start) = (MemoryReplays::default(), Barrier::new(1_000));
    let claims: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..1_000)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    replays.claim(id(1), NOW).unwrap()
                })
            })
            .collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let fresh = claims
        .iter()
        .filter(|claim| matches!(claim, Claimed::Fresh(_)))
        .count();
    let running = claims
        .iter()
        .filter(|claim| matches!(claim, Claimed::Running))
        .count();
    assert_eq!((fresh, running), (1, 999));
}

/// A store that can claim, and then is gone.
struct Failing(MemoryReplays);

impl ReplayStore for Failing {
    type Claim = MemoryClaim;

    fn claim(&self, id: ReplayId, now: i64) -> Result<Claimed<MemoryClaim>, StoreError> {
        self.0.claim(id, now)
    }

    fn confirm(&self, _: MemoryClaim) -> Result<(), StoreError> {
        Err(StoreError::Failed("the connection is gone".into()))
    }

    fn release(&self, claim: MemoryClaim) -> Result<(), StoreError> {
        self.confirm(claim)
    }

    fn doubt(&self, claim: MemoryClaim) {
        self.0.doubt(claim);
    }

    fn resolve(&self, id: ReplayId, resolution: Resolution) -> Result<bool, StoreError> {
        self.0.resolve(id, resolution)
    }
}

#[test]
fn an_effect_that_can_not_be_recorded_is_not_answered_2xx() {
    for outcome in [Outcome::Applied, Outcome::Failed, Outcome::NotApplied] {
        let store = Failing(MemoryReplays::default());
        let answer = Repair::begin(&store, id(1), NOW).unwrap().finish(outcome);
        assert_eq!((answer.status(), answer.result()), (503, None));
        assert_eq!(
            answer.to_string(),
            "the store of replays failed: the connection is gone"
        );
        assert!(
            Repair::begin(&store, id(1), NOW).is_err(),
            "it is not applied a second time"
        );
    }
}
