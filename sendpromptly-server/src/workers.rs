//! The work behind the API: finding what is overdue, making the calls that are due, dropping what is old.
//!
//! Each worker is a loop of rounds that a supervisor watches over. Several nodes may run the same workers on
//! one database: what one has locked or claimed, the others pass over.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sendpromptly_core::replay::RetrySchedule;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;

use crate::alerts::Sender;
use crate::callback::{AddressPolicy, CallbackClient};
use crate::checkpoints::Checkpoints;
use crate::mail::{Post, Transport};
use crate::metrics::Metrics;
use crate::retention::Keeper;
use crate::store::Store;
use crate::stripe::client::StripeClient;
use crate::vault::Vault;

mod alert;
mod answers;
mod beat;
mod checkpoint;
mod clock;
mod count;
mod deliver;
mod mail;
mod master_keys;
mod overdue;
mod record;
mod refused;
mod retain;
mod rounds;
mod sign_ins;
mod standing;
mod stripe;
mod supervisor;
mod sweep;
#[cfg(test)]
mod tests;
mod watch;

use alert::{Alert, UnderWay};
use answers::Answers;
use beat::{Pulse, Stage};
use checkpoint::Checkpoint;
use clock::{Clock, Skew};
use count::Count;
pub(crate) use deliver::SLOTS;
use deliver::{Calls, Deliver};
use mail::SendMail;
use master_keys::MasterKeys;
use overdue::Pass;
use record::{Inbox, Recorder};
use retain::Retain;
use rounds::Rounds;
use sign_ins::SignIns;
use stripe::ReadStripe;
use supervisor::{Supervisor, is_in_trouble};
use sweep::Sweep;
use watch::Watch;

/// Records how attempts ended, for tests elsewhere.
#[cfg(test)]
pub(crate) async fn record_ends(store: &Store, ends: &[crate::store::attempts::AttemptEnd]) {
    record::commit(store, ends, &RetrySchedule::default())
        .await
        .unwrap();
}

/// Counts what happened up to a time, for tests elsewhere.
#[cfg(test)]
pub(crate) async fn count_all(store: &Store, now: sendpromptly_core::time::Timestamp) {
    count::count_all(store, now).await;
}

/// How long calls under way may go on at a stop.
const CALLS_GET: Duration = Duration::from_secs(8);

/// How long what they came to may then take to be committed.
const RECORD: Duration = Duration::from_millis(700);

/// What the workers need.
#[derive(Debug)]
pub struct WorkerContext {
    /// The store.
    pub store: Store,
    /// Signs calls, and seals what is answered.
    pub vault: Vault,
    /// Makes the calls.
    pub client: CallbackClient,
    /// Which addresses may be called.
    pub policy: AddressPolicy,
    /// Signs the audit log's checkpoints.
    pub checkpoints: Arc<Checkpoints>,
    /// When attempts are made.
    pub schedule: RetrySchedule,
    /// Hands out the mail that waits.
    pub post: Post,
    /// How mail leaves.
    pub transport: Transport,
    /// Sends alerts.
    pub alerts: Sender,
    /// Asks Stripe what became of subscriptions, where it may be asked.
    pub stripe: Option<StripeClient>,
    /// What they count.
    pub metrics: Arc<Metrics>,
    /// How long a missing payment may be made up for; `None` where nobody pays.
    pub grace: Option<Duration>,
    /// How often to look for what is due.
    pub sweep_interval: Duration,
}

/// How the workers are.
#[derive(Debug, Clone)]
pub struct Health {
    pulses: Vec<(&'static str, Arc<Pulse>)>,
    skew: Skew,
}

impl Health {
    /// What keeps this node from being ready: workers that have stalled, died or
    /// failed for long, and a clock that is wrong. Not the one that feeds metrics only: a balancer has no use for it.
    #[must_use]
    pub fn stalled(&self) -> Vec<&'static str> {
        let needed = self.pulses.iter().filter(|(name, _)| *name != Watch::NAME);
        let stalled = needed.filter(|(_, pulse)| is_in_trouble(pulse));
        let mut names: Vec<_> = stalled.map(|(name, _)| *name).collect();
        if self.skew.is_too_great() && !names.contains(&Clock::NAME) {
            names.push(Clock::NAME);
        }
        names
    }

    /// Of each worker, how long ago it gave its last sign of life and whether it is in trouble.
    pub fn of_each(&self) -> impl Iterator<Item = (&'static str, Duration, bool)> {
        let pulses = self.pulses.iter();
        pulses.map(|(name, pulse)| (*name, pulse.age(), is_in_trouble(pulse)))
    }
}

/// The running workers.
#[derive(Debug)]
pub struct Workers {
    supervisor: Supervisor,
    slots: Arc<Semaphore>,
    alerts: UnderWay,
    skew: Skew,
    wake: Arc<Notify>,
}

impl Workers {
    /// Starts every worker.
    #[must_use]
    pub fn start(context: WorkerContext) -> Self {
        let slots = Arc::new(Semaphore::new(SLOTS));
        let (wake, skew) = (Arc::new(Notify::new()), Skew::default());
        let schedule = Arc::new(context.schedule);
        let (ends, queue) = mpsc::channel(SLOTS);
        let (store, interval) = (context.store, context.sweep_interval);
        let recorder = Recorder {
            store: store.clone(),
            schedule: schedule.clone(),
            inbox: Inbox::new(queue),
            wake: wake.clone(),
        };
        let calls = Arc::new(Calls {
            store: store.clone(),
            vault: context.vault.clone(),
            client: context.client,
            policy: context.policy,
            schedule: schedule.clone(),
            interval,
            slots: slots.clone(),
            ends,
            metrics: context.metrics.calls.clone(),
            wake: wake.clone(),
            took_over: AtomicBool::new(false),
        });
        let mut supervisor = Supervisor::new();
        let stage = supervisor.stage();
        let alert = Alert::new(
            store.clone(),
            context.vault.clone(),
            context.alerts,
            context.metrics.alerts.clone(),
            stage.clone(),
            context.grace,
        );
        let alerts = alert.under_way();
        supervisor.start(record::NAME, move |beat| record::run(recorder.clone(), beat));
        supervisor.start_rounds(Deliver::new(calls, stage));
        supervisor.start_rounds(Sweep {
            store: store.clone(),
            schedule,
            interval,
            pass: Pass::first(),
        });
        supervisor.start_rounds(Answers {
            store: store.clone(),
            interval,
            pass: Pass::first(),
        });
        let keeper = Keeper::new(store.clone(), context.checkpoints.clone());
        supervisor.start_rounds(Retain::new(keeper, context.metrics.retention.clone()));
        supervisor.start_rounds(MasterKeys::new(context.vault));
        supervisor.start_rounds(SignIns { store: store.clone() });
        supervisor.start_rounds(Count { store: store.clone() });
        supervisor.start_rounds(SendMail {
            store: store.clone(),
            post: context.post,
            transport: context.transport,
        });
        supervisor.start_rounds(alert);
        if let Some(client) = context.stripe {
            let metrics = context.metrics.stripe.clone();
            supervisor.start_rounds(ReadStripe::new(store.clone(), client, metrics));
        }
        supervisor.start_rounds(Watch::new(store.clone(), context.metrics.clone()));
        supervisor.start_rounds(Clock {
            store: store.clone(),
            skew: skew.clone(),
        });
        supervisor.start_rounds(Checkpoint {
            store,
            checkpoints: context.checkpoints,
        });
        Self {
            supervisor,
            slots,
            alerts,
            skew,
            wake,
        }
    }

    /// How they are, now and later.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            pulses: self.supervisor.pulses(),
            skew: self.skew.clone(),
        }
    }

    /// Has the workers look for calls at once, for one was ordered.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Stops them: nothing new is begun; calls and alerts under way get 8 s, and those that are not over then are
    /// recorded as cut off, which hands their leases back.
    pub async fn stop(self) {
        self.stop_within(CALLS_GET).await;
    }

    async fn stop_within(self, calls_get: Duration) {
        self.supervisor.enter(Stage::Stopping);
        let begin = Instant::now();
        if !self.all_calls_are_over(begin + calls_get).await {
            self.supervisor.enter(Stage::CutOff);
            if !self.all_calls_are_over(begin + calls_get + RECORD).await {
                tracing::warn!("how some calls ended could not be recorded; they count as cut off");
            }
        }
        self.supervisor.enter(Stage::Over);
        self.supervisor.finish(Instant::now() + RECORD / 2).await;
    }

    /// Waits until every slot is free and no alert is under way. So it is when the end of each is committed.
    async fn all_calls_are_over(&self, deadline: Instant) -> bool {
        let slots = u32::try_from(SLOTS).unwrap_or(u32::MAX);
        let over = async { tokio::join!(self.slots.acquire_many(slots), self.alerts.none()) };
        tokio::time::timeout_at(deadline, over).await.is_ok()
    }
}
