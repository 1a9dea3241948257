//! Commits how calls ended: whatever waits goes into one transaction, as receipts do.
//!
//! The lease decides. An end that comes while its attempt holds the replay moves the replay on, with its
//! incident and the audit entries. One that comes later is put on its own row, for the replay has gone on
//! without it; only a 2xx still counts, for the endpoint has taken the repair.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::replay::pace::Streak;
use sendpromptly_core::replay::{Jitter, OutcomeClass, RetryContext, RetrySchedule};
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, mpsc};

use super::beat::{Beat, Stage};
use super::deliver::Deliver;
use super::rounds::{Next, Rounds, Trouble};
use super::standing::Standing;
use crate::platform::entropy;
use crate::store::attempts::{self, AttemptEnd};
use crate::store::cases::{CaseChanges, StoredCase};
use crate::store::results::{self, NewResult};
use crate::store::{Store, StoreError, claims};

#[cfg(test)]
mod tests;

/// Names the worker.
pub(super) const NAME: &str = "record";

/// Ends in one transaction.
pub(super) const BATCH: usize = 64;

/// Tries of a batch that others get in the way of, before its ends go one by one.
const TRIES: u32 = 5;

/// While nothing comes, the worker beats this often.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// A call that has ended, with the slot that it frees once that is committed.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) end: AttemptEnd,
    pub(super) _slot: OwnedSemaphorePermit,
}

/// Ends on their way into the store. What a run of the worker has taken stays here until it is committed, so
/// a run that dies loses none.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: mpsc::Receiver<Ended>,
    batch: Vec<Ended>,
}

impl Inbox {
    pub(super) fn new(queue: mpsc::Receiver<Ended>) -> Arc<Mutex<Self>> {
        let batch = Vec::with_capacity(BATCH);
        Arc::new(Mutex::new(Self { queue, batch }))
    }
}

/// What the worker needs.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    pub(super) store: Store,
    pub(super) schedule: Arc<RetrySchedule>,
    pub(super) inbox: Arc<Mutex<Inbox>>,
    /// Woken when slots are free again.
    pub(super) wake: Arc<Notify>,
}

pub(super) async fn run(recorder: Recorder, mut beat: Beat) {
    let mut inbox = recorder.inbox.lock().await;
    let Inbox { queue, batch } = &mut *inbox;
    let mut trouble = Trouble::new(NAME);
    loop {
        beat.beat();
        if batch.is_empty() {
            tokio::select! {
                _ = queue.recv_many(batch, BATCH) => {}
                _ = beat.stage.wait_for(|stage| *stage >= Stage::Over) => return,
                () = tokio::time::sleep(BEAT_EVERY) => {}
            }
            continue;
        }
        let done = recorder.record(batch).await;
        beat.tell(done.is_ok());
        match trouble.after(done) {
            Next::GoOn(()) => {
                batch.clear();
                recorder.wake.notify_one();
            }
            Next::Rest(pause) => tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = beat.stage.wait_for(|stage| *stage >= Stage::Over) => return,
            },
        }
    }
}

impl Recorder {
    /// Commits a batch. An end that the store refuses is dropped; its lease then tells.
    async fn record(&self, batch: &[Ended]) -> Result<(), StoreError> {
        let ends: Vec<AttemptEnd> = batch.iter().map(|ended| ended.end.clone()).collect();
        commit_each(&self.store, &ends, &self.schedule).await?;
        Ok(())
    }
}

/// Commits these ends, together or else one by one: one that the store refuses does not hold up the others.
/// Gives how many are refused.
pub(super) async fn commit_each(
    store: &Store,
    ends: &[AttemptEnd],
    schedule: &RetrySchedule,
) -> Result<usize, StoreError> {
    match try_hard(store, ends, schedule).await {
        Err(error) if !error.is_passing() => {}
        done => return done.map(|()| 0),
    }
    let mut refused = 0;
    for end in ends {
        match try_hard(store, std::slice::from_ref(end), schedule).await {
            Err(error) if !error.is_passing() => {
                let (project, replay) = (end.attempt.project, end.attempt.replay);
                tracing::error!(%project, %replay, %error, "how a call ended could not be recorded");
                refused += 1;
            }
            done => done?,
        }
    }
    Ok(refused)
}

async fn try_hard(store: &Store, ends: &[AttemptEnd], schedule: &RetrySchedule) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        match commit(store, ends, schedule).await {
            Err(StoreError::Again(_) | StoreError::Taken(_)) if tries < TRIES => tries += 1,
            done => return done,
        }
    }
}

/// Commits how these attempts ended, with what follows for their replays and incidents.
pub(super) async fn commit(
    store: &Store,
    ends: &[AttemptEnd],
    schedule: &RetrySchedule,
) -> Result<(), StoreError> {
    let keys: BTreeSet<_> = ends
        .iter()
        .map(|end| (end.attempt.project, end.attempt.event))
        .collect();
    let Some(now) = ends.iter().map(|end| end.ended_at).max() else {
        return Ok(());
    };
    let origin = Origin::system(Deliver::NAME);
    let tx = store.begin().await?;
    let cases = store.lock_cases(&tx, &keys).await?;
    let mut desk = Desk {
        schedule,
        origin: &origin,
        standing: Standing::look_up(store, &tx, &cases, (schedule, &origin), now).await?,
        changes: CaseChanges::default(),
        streaks: BTreeMap::new(),
        results: Vec::new(),
    };
    for end in ends {
        if let Some(stored) = cases.get(&(end.attempt.project, end.attempt.event)) {
            desk.take(stored, end);
        }
    }
    let more = vec![
        attempts::end(ends),
        claims::count_failures(&desk.streaks),
        results::insert(desk.results),
        desk.standing.into_sql(),
    ];
    store.write_cases(&tx, &desk.changes.into_vec(), more).await?;
    Ok(tx.commit().await?)
}

/// Where ends are decided on one after another.
struct Desk<'a> {
    schedule: &'a RetrySchedule,
    origin: &'a Origin,
    standing: Standing<'a>,
    changes: CaseChanges,
    streaks: BTreeMap<ProjectId, Streak>,
    results: Vec<NewResult<'a>>,
}

impl Desk<'_> {
    fn take(&mut self, stored: &StoredCase, end: &AttemptEnd) {
        let (attempt, outcome) = (end.attempt, end.outcome);
        let in_time = stored.lease == Some(attempt.lease);
        if !in_time && outcome.class() != OutcomeClass::Delivered {
            return;
        }
        self.streaks.entry(attempt.project).or_default().take(outcome);
        let retry = RetryContext {
            schedule: self.schedule,
            jitter: Jitter::from_entropy(entropy::bytes()),
            ended_at: end.ended_at,
            answer_minutes: attempt.answer_minutes,
        };
        let case = self.changes.current(stored);
        let decision = case
            .clone()
            .end_attempt(attempt.replay, outcome, &retry, self.origin);
        if decision.case == case {
            return;
        }
        if let Some(effect) = outcome.reported_effect() {
            self.results.push(NewResult {
                project: attempt.project,
                event: attempt.event,
                effect,
                error_code: None,
                error_message: None,
                replay: Some(attempt.replay),
                received_at: end.ended_at,
            });
        }
        self.standing.take(
            &mut self.changes,
            stored,
            attempt.organization,
            decision,
            end.ended_at,
        );
    }
}
