//! A process that dies between claim and confirm, with a store that outlives it.

use std::collections::HashMap;
use std::sync::Mutex;

use sendpromptly_verify::Answer;
use sendpromptly_verify::replay::{Claimed, Outcome, Repair, ReplayId, ReplayStore, Resolution, StoreError};

const NOW: i64 = 1_769_851_800;
const LEASE: i64 = 60;

/// A table of a database, with what a claim by lease needs: a row for each replay, and a number for each claim.
#[derive(Default)]
struct Table {
    rows: Mutex<HashMap<ReplayId, Row>>,
}

struct Row {
    claim: u32,
    since: i64,
    applied: bool,
}

struct Held {
    id: ReplayId,
    claim: u32,
}

impl Table {
    /// Changes the row of a claim that is still held.
    fn change(&self, held: &Held, change: impl FnOnce(&mut Row)) -> Result<(), StoreError> {
        match self.rows.lock().unwrap().get_mut(&held.id) {
            Some(row) if row.claim == held.claim && !row.applied => {
                change(row);
                Ok(())
            }
            _ => Err(StoreError::ClaimLost),
        }
    }
}

impl ReplayStore for Table {
    type Claim = Held;

    fn claim(&self, id: ReplayId, now: i64) -> Result<Claimed<Held>, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let claim = 1 + rows.get(&id).map_or(0, |row| row.claim);
        Ok(match rows.get(&id) {
            Some(row) if row.applied => Claimed::Applied,
            Some(row) if row.since + LEASE > now => Claimed::Running,
            Some(row) if row.since != i64::MIN => Claimed::InDoubt { since: row.since },
            _ => {
                let row = Row {
                    claim,
                    since: now,
                    applied: false,
                };
                rows.insert(id, row);
                Claimed::Fresh(Held { id, claim })
            }
        })
    }

    fn confirm(&self, held: Held) -> Result<(), StoreError> {
        self.change(&held, |row| row.applied = true)
    }

    fn release(&self, held: Held) -> Result<(), StoreError> {
        self.change(&held, |row| row.since = i64::MIN)
    }

    fn doubt(&self, _: Held) {} // its lease ends

    fn resolve(&self, id: ReplayId, resolution: Resolution) -> Result<bool, StoreError> {
        match (self.rows.lock().unwrap().get_mut(&id), resolution) {
            (Some(row), Resolution::Applied) => row.applied = true,
            (Some(row), Resolution::NotApplied) => {
                row.claim += 1;
                row.since = i64::MIN;
            }
            (None, _) => return Ok(false),
        }
        Ok(true)
    }
}

/// A repair whose process is killed: nothing of it runs any more, no destructor either.
fn crash(table: &Table) {
    std::mem::forget(begin(table, NOW).unwrap());
}

fn begin(table: &Table, now: i64) -> Result<Repair<'_, Table>, Answer> {
    Repair::begin(table, ReplayId::from_bytes([1; 16]), now)
}

#[test]
fn a_crash_between_claim_and_confirm_is_seen_and_never_tried_again_by_itself() {
    let table = Table::default();
    crash(&table);
    assert!(matches!(begin(&table, NOW + LEASE - 1), Err(Answer::Running)));
    for later in [LEASE, 3_600, 86_400] {
        let answer = begin(&table, NOW + later).unwrap_err();
        assert!(matches!(answer, Answer::InDoubt { since: NOW }), "{answer}");
        assert_eq!((answer.status(), answer.retry_after()), (503, Some("600")));
    }
}

#[test]
fn a_person_who_finds_that_it_was_applied_ends_the_callbacks() {
    let table = Table::default();
    crash(&table);
    assert!(
        table
            .resolve(ReplayId::from_bytes([1; 16]), Resolution::Applied)
            .unwrap()
    );
    assert!(matches!(begin(&table, NOW + LEASE), Err(Answer::AlreadyApplied)));
}

#[test]
fn a_person_who_finds_that_it_was_not_applied_lets_the_next_callback_apply_it() {
    let table = Table::default();
    crash(&table);
    let not_applied = table.resolve(ReplayId::from_bytes([1; 16]), Resolution::NotApplied);
    assert!(not_applied.unwrap());
    let answer = begin(&table, NOW + LEASE).unwrap().finish(Outcome::Applied);
    assert!(matches!(answer, Answer::Applied));
}

#[test]
fn an_effect_that_was_slower_than_its_lease_may_still_be_confirmed() {
    let table = Table::default();
    let slow = begin(&table, NOW).unwrap();
    assert!(matches!(begin(&table, NOW + LEASE), Err(Answer::InDoubt { .. })));
    assert!(matches!(slow.finish(Outcome::Applied), Answer::Applied));
    assert!(matches!(begin(&table, NOW + LEASE), Err(Answer::AlreadyApplied)));
}

#[test]
fn an_effect_that_was_slower_than_a_persons_patience_has_lost_its_claim() {
    let table = Table::default();
    let slow = begin(&table, NOW).unwrap();
    table
        .resolve(ReplayId::from_bytes([1; 16]), Resolution::NotApplied)
        .unwrap();
    let second = begin(&table, NOW + LEASE).unwrap();
    let answer = slow.finish(Outcome::Applied);
    assert!(matches!(answer, Answer::StoreFailed(StoreError::ClaimLost)));
    assert!(matches!(second.finish(Outcome::Applied), Answer::Applied));
}
