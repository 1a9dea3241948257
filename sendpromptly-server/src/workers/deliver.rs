//! Makes the calls that are due: claims them, signs them, sends them, and hands on how each ended.
//!
//! A call holds one of a bounded number of slots from its claim until its end is committed. So memory is
//! bounded, and where the store is down nothing new is begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::replay::RetrySchedule;
use sendpromptly_core::time::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::beat::Stage;
use super::record::{self, Ended};
use super::refused::{LOOK_AFTER_REFUSAL, RefusedProjects};
use super::rounds::{Left, Rounds};
use crate::callback::{AddressPolicy, CallbackClient};
use crate::metrics::CallMetrics;
use crate::platform::clock;
use crate::store::attempts::{AttemptEnd, LEASE};
use crate::store::claims::Claim;
use crate::store::{Dialect, Store, StoreError};
use crate::vault::Vault;

mod call;

/// Calls under way in this process at once.
pub(crate) const SLOTS: usize = 256;

/// Projects that one claim looks at.
const PROJECTS: u32 = 64;

/// How often to look for calls whose node died.
const LOOK_FOR_DEAD: Duration = Duration::from_secs(1);

/// Calls of dead nodes that are cut off in one transaction.
const DEAD_BATCH: u32 = 64;

/// How long a call waits whose payload could not be read.
const UNTIL_NEXT_TRY: Duration = Duration::from_secs(60);

/// How often it is tried to put back a call that was not made.
const HAND_BACKS: u32 = 5;

const FIRST_PROJECT: ProjectId = ProjectId::from_bytes([0; 16]);

/// What calls need.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) client: CallbackClient,
    pub(super) policy: AddressPolicy,
    pub(super) schedule: Arc<RetrySchedule>,
    pub(super) interval: Duration,
    pub(super) slots: Arc<Semaphore>,
    pub(super) ends: mpsc::Sender<Ended>,
    /// Wakes the worker: calls have ended, or were ordered.
    pub(super) wake: Arc<Notify>,
    pub(super) metrics: CallMetrics,
    /// Whether the calls of the process before were cut off, where no other process can have any.
    pub(super) took_over: AtomicBool,
}

/// The worker. Its rounds go from project to project, each from where the one before stopped.
#[derive(Debug, Clone)]
pub(super) struct Deliver {
    calls: Arc<Calls>,
    stage: watch::Receiver<Stage>,
    after: ProjectId,
    /// Whether this pass over the projects has claimed a call.
    claimed: bool,
    look_for_dead: Instant,
    refused: RefusedProjects,
}

impl Rounds for Deliver {
    const NAME: &'static str = "deliver";

    fn interval(&self) -> Duration {
        self.calls.interval
    }

    fn wake(&self) -> Arc<Notify> {
        self.calls.wake.clone()
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        self.cut_off_dead_calls(now).await?;
        if self.calls.slots.available_permits() == 0 {
            return Ok(Left::Nothing); // the end of a call wakes
        }
        if self.after == FIRST_PROJECT {
            self.refused.begin_pass();
        }
        let store = &self.calls.store;
        let projects = store.projects_to_call(self.after, now, PROJECTS).await?;
        let last = projects
            .last()
            .copied()
            .filter(|_| projects.len() == PROJECTS as usize);
        self.after = last.unwrap_or(FIRST_PROJECT);
        self.claimed |= self.call(projects, now).await? > 0;
        // A pass that has claimed nothing rests: what is due has no room, and the end of a call wakes.
        let more = last.is_some() || std::mem::take(&mut self.claimed);
        Ok(if more { Left::More } else { Left::Nothing })
    }
}

impl Deliver {
    pub(super) fn new(calls: Arc<Calls>, stage: watch::Receiver<Stage>) -> Self {
        Self {
            calls,
            stage,
            after: FIRST_PROJECT,
            claimed: false,
            look_for_dead: Instant::now(),
            refused: RefusedProjects::default(),
        }
    }

    /// Claims calls of these projects and sends them on their way; gives how many.
    async fn call(&mut self, mut projects: Vec<ProjectId>, now: Timestamp) -> Result<usize, StoreError> {
        projects.retain(|project| !self.refused.contain(*project));
        let keyring = self.keyring(projects, now).await;
        if keyring.is_empty() {
            return Ok(0);
        }
        let Some(mut slots) = self.take_slots() else {
            return Ok(0);
        };
        let projects: Vec<ProjectId> = keyring.iter().map(|(project, _)| *project).collect();
        let claims = self.claim(&projects, slots.num_permits()).await?;
        let claimed = claims.len();
        for claim in claims {
            let project = claim.attempt.project;
            let secrets = keyring.iter().find(|(known, _)| *known == project);
            // Each claimed project has its secrets, and no more is claimed than there are slots.
            if let (Some((_, secrets)), Some(slot)) = (secrets, slots.split(1)) {
                tokio::spawn(see_through(
                    self.calls.clone(),
                    claim,
                    secrets.clone(),
                    slot,
                    self.stage.clone(),
                ));
            }
        }
        Ok(claimed)
    }

    /// Claims at most `most` calls of these projects, together or else project by project: one whose calls the store
    /// refuses does not hold up the others, and is left alone for a while.
    async fn claim(&mut self, projects: &[ProjectId], most: usize) -> Result<Vec<Claim>, StoreError> {
        let store = &self.calls.store;
        // The lease counts from here, not from the round's start: what came between may have taken long.
        match store.claim_calls(projects, most, clock::now()).await {
            Err(error) if !error.is_passing() => {}
            done => return done,
        }
        let mut claims = Vec::new();
        for project in projects {
            let (one, room) = (std::slice::from_ref(project), most - claims.len());
            match store.claim_calls(one, room, clock::now()).await {
                Ok(more) => claims.extend(more),
                Err(error) if !error.is_passing() => {
                    tracing::error!(%project, %error, "its calls could not be claimed, so they wait");
                    self.refused.note(*project);
                }
                Err(error) if claims.is_empty() => return Err(error),
                // What is claimed by now must be called.
                Err(_) => break,
            }
        }
        Ok(claims)
    }

    /// Takes the free slots, unless there is none or the stop has begun. They are taken before the stage is
    /// looked at, and held over the claim: a stop waits for every slot, so also for a claim under way.
    fn take_slots(&self) -> Option<OwnedSemaphorePermit> {
        let slots = &self.calls.slots;
        let free = u32::try_from(slots.available_permits()).ok()?;
        let taken = slots.clone().try_acquire_many_owned(free.max(1)).ok()?;
        (*self.stage.borrow() == Stage::Running).then_some(taken)
    }

    /// The secrets of those projects whose calls can be signed now. They are looked up before the claim, so
    /// that no attempt is begun and then not made.
    async fn keyring(
        &self,
        projects: Vec<ProjectId>,
        now: Timestamp,
    ) -> Vec<(ProjectId, Arc<[SigningSecret]>)> {
        let mut keyring = Vec::with_capacity(projects.len());
        for project in projects {
            match self.calls.vault.live_secrets(project, now).await {
                Ok(secrets) if !secrets.is_empty() => keyring.push((project, secrets.into())),
                Ok(_) => tracing::error!(%project, "has no live signing secret, so its calls wait"),
                Err(error) => {
                    tracing::error!(%project, %error, "the signing secret cannot be read, so calls wait");
                }
            }
        }
        keyring
    }

    /// Records as cut off what a node left behind that has died: where several nodes may run, once the lease
    /// is over; else all that is there at the start.
    async fn cut_off_dead_calls(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if Instant::now() < self.look_for_dead {
            return Ok(());
        }
        let calls = &self.calls;
        let alone = calls.store.dialect() == Dialect::Sqlite;
        let begun_by = if alone && !calls.took_over.load(Ordering::Relaxed) {
            Timestamp::from_millis(i64::MAX) // whatever the clock was then
        } else {
            now.minus(LEASE)
        };
        let (mut refused, mut last) = (0, None);
        loop {
            let store = &calls.store;
            let dead = store
                .attempts_begun_by(begun_by, last.as_ref(), DEAD_BATCH)
                .await?;
            let ends: Vec<AttemptEnd> = dead
                .iter()
                .map(|attempt| AttemptEnd::cut_off(*attempt, now))
                .collect();
            if !ends.is_empty() {
                tracing::warn!(calls = ends.len(), "calls were cut off; they go again");
                refused += record::commit_each(store, &ends, &calls.schedule).await?;
            }
            if dead.len() < DEAD_BATCH as usize {
                break;
            }
            // What is refused would be found again and again.
            last = dead.last().copied();
        }
        calls.took_over.store(true, Ordering::Relaxed);
        let pause = if refused > 0 {
            LOOK_AFTER_REFUSAL
        } else {
            LOOK_FOR_DEAD
        };
        self.look_for_dead = Instant::now() + pause;
        Ok(())
    }
}

/// Makes a call and hands on how it ended, also where it is cut off by the stop.
async fn see_through(
    calls: Arc<Calls>,
    claim: Claim,
    secrets: Arc<[SigningSecret]>,
    slot: OwnedSemaphorePermit,
    stage: watch::Receiver<Stage>,
) {
    let under_way = calls.metrics.begin();
    let end = call::make(&calls, &claim, &secrets, stage).await;
    drop(under_way);
    let Some(end) = end else {
        hand_back(&calls, &claim).await;
        return;
    };
    calls.metrics.ended(end.outcome.status(), end.word, end.duration);
    // Nobody takes it any more only when the process is about to end; the lease then tells.
    let _ = calls.ends.send(Ended { end, _slot: slot }).await;
}

/// Undoes the claim of a call of which nothing was sent. It is due again a minute later.
async fn hand_back(calls: &Calls, claim: &Claim) {
    let again = clock::now().plus(UNTIL_NEXT_TRY);
    for tries in 1..=HAND_BACKS {
        match calls.store.hand_back(&claim.attempt, again).await {
            Ok(()) => return,
            Err(error) if tries == HAND_BACKS => {
                // Its lease then tells.
                tracing::error!(project = %claim.attempt.project, %error, "a call that was not made could not be put back");
            }
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}
