//! Tells people of incidents: hands news on to the project's destinations, and sends the messages that are due. Each is
//! sent by a task of its own, and nothing of it holds up the round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sendpromptly_core::alert::{self, Refusal};
use sendpromptly_core::time::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::listen::Listener;
use self::room::Place;
use super::beat::Stage;
use super::rounds::{Left, Rounds};
use crate::alerts::{SendFailure, Sender, Target};
use crate::metrics::AlertMetrics;
use crate::platform::clock;
use crate::store::alert_queue::{AlertEnd, ClaimedAlert};
use crate::store::{Dialect, Store, StoreError};
use crate::vault::{Purpose, Vault};

mod listen;
mod room;

pub(super) use room::UnderWay;

/// How often is looked for news, and for messages that are due.
const EVERY: Duration = Duration::from_secs(2);

/// The rest between two batches of news, or of those that are noted or forgotten: receipts get the store in between.
const BETWEEN: Duration = Duration::from_millis(25);

/// Messages that are claimed in a round: the worker gives a sign of life after each.
const CLAIMS: usize = 64;

/// How often is looked for news that everybody was told.
const FORGET_EVERY: Duration = Duration::from_secs(60);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Alert {
    outbound: Arc<Outbound>,
    listener: Listener,
    hand_on: Turns,
    note: Turns,
    forget: Turns,
}

/// What messages are sent with.
#[derive(Debug)]
struct Outbound {
    store: Store,
    vault: Vault,
    sender: Sender,
    metrics: AlertMetrics,
    under_way: UnderWay,
    stage: watch::Receiver<Stage>,
    /// Whether the claims of the process before were handed back, where no other process can have any.
    took_over: AtomicBool,
}

/// Batches of one kind of work: the next follows soon where there is more to do, else after a rest.
#[derive(Debug, Clone)]
struct Turns {
    next: Instant,
    rest: Duration,
}

impl Turns {
    const fn new(first: Instant, rest: Duration) -> Self {
        Self { next: first, rest }
    }

    /// Does a batch, which tells whether there is more, unless it is too early for one.
    async fn take(
        &mut self,
        batch: impl Future<Output = Result<bool, StoreError>>,
    ) -> Result<(), StoreError> {
        if Instant::now() < self.next {
            return Ok(());
        }
        let more = batch.await?;
        self.next = Instant::now() + if more { BETWEEN } else { self.rest };
        Ok(())
    }
}

impl Rounds for Alert {
    const NAME: &'static str = "alert";

    /// Until the next batch where there is more to hand on, to note or to forget.
    fn interval(&self) -> Duration {
        let next = self.hand_on.next.min(self.note.next).min(self.forget.next);
        next.saturating_duration_since(Instant::now()).min(EVERY)
    }

    fn wake(&self) -> Arc<Notify> {
        self.outbound.under_way.wake.clone()
    }

    /// Does some of each kind of work, whatever becomes of the others. The first failure is told once all had their turn.
    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        let store = &self.outbound.store;
        self.outbound.take_over(now).await?;
        let handed_on = self.hand_on.take(store.hand_on_alerts(now)).await;
        let sent = self.outbound.clone().send_what_is_due(now).await;
        let noted = self.note.take(store.note_told_alerts()).await;
        let forgotten = self.forget.take(store.forget_told_news()).await;
        let listened = self.listener.listen(store, now).await;
        let left = handed_on.and(sent)?;
        noted.and(forgotten).and(listened)?;
        Ok(left)
    }
}

impl Alert {
    pub(super) fn new(
        store: Store,
        vault: Vault,
        sender: Sender,
        metrics: AlertMetrics,
        stage: watch::Receiver<Stage>,
        grace: Option<Duration>,
    ) -> Self {
        let outbound = Outbound {
            store,
            vault,
            sender,
            metrics,
            under_way: UnderWay::default(),
            stage,
            took_over: AtomicBool::new(false),
        };
        let begin = Instant::now();
        Self {
            outbound: Arc::new(outbound),
            listener: Listener::new(clock::now(), grace),
            hand_on: Turns::new(begin, EVERY),
            note: Turns::new(begin, EVERY),
            forget: Turns::new(begin + FORGET_EVERY, FORGET_EVERY),
        }
    }

    /// The messages under way.
    pub(super) fn under_way(&self) -> UnderWay {
        self.outbound.under_way.clone()
    }
}

impl Outbound {
    /// Hands back what the process before had under way when it ended.
    async fn take_over(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.store.dialect() != Dialect::Sqlite || self.took_over.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.store.hand_back_alerts(now).await?;
        self.took_over.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Sends what is due, so many messages at most.
    async fn send_what_is_due(self: Arc<Self>, now: Timestamp) -> Result<Left, StoreError> {
        for _ in 0..CLAIMS {
            if *self.stage.borrow() != Stage::Running {
                return Ok(Left::Nothing);
            }
            // The lease counts from here: what came between may have taken long.
            let (room, now) = (self.under_way.room(), clock::now().max(now));
            match self.store.claim_alert(&room, now).await {
                Ok(Some(claimed)) => {
                    let place = self.under_way.take(claimed.project, claimed.channel);
                    tokio::spawn(self.clone().see_through(claimed, place));
                }
                Ok(None) => return Ok(Left::Nothing),
                Err(StoreError::Corrupt(why)) => {
                    tracing::error!(%why, "an alert cannot be made; the others go on");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Left::More)
    }

    /// Sends a message and records what became of it.
    async fn see_through(self: Arc<Self>, claimed: ClaimedAlert, _place: Place) {
        let (project, destination, tries) = (claimed.project, claimed.destination, claimed.tries);
        let mut stage = self.stage.clone();
        let sent = tokio::select! {
            biased;
            sent = self.send(&claimed) => Some(sent),
            _ = stage.wait_for(|stage| *stage >= Stage::CutOff) => None,
        };
        let now = clock::now();
        let end = sent.map_or(AlertEnd::HandedBack, |sent| end_of(sent, &claimed, now));
        match &end {
            AlertEnd::Sent => {}
            AlertEnd::Waits(why, _) => {
                tracing::warn!(%project, %destination, tries, %why, "an alert was not taken and waits");
            }
            AlertEnd::GivenUp(why) => {
                tracing::error!(%project, %destination, tries, %why, "an alert was given up");
            }
            AlertEnd::HandedBack => {
                tracing::warn!(%project, %destination, tries, "the stop cut an alert off; it goes again");
            }
        }
        self.metrics.ended(&end);
        if let Err(error) = self.store.end_alert(&claimed, &end, now).await {
            tracing::warn!(%project, %destination, %error, "how an alert ended was not recorded; it goes again");
        }
    }

    async fn send(&self, claimed: &ClaimedAlert) -> Result<(), SendFailure> {
        if alert::is_spent(claimed.begun) {
            return Err(SendFailure::Final(
                "the server ended each time it was sent".to_owned(),
            ));
        }
        let purpose = Purpose::Alert(claimed.project);
        let row = claimed.destination.as_bytes();
        let plain = match self.vault.open_sealed(purpose, row, &claimed.sealed).await {
            Ok(plain) => plain,
            Err(error) if error.is_final() => return Err(SendFailure::Final(error.to_string())),
            Err(error) => return Err(SendFailure::Passing(error.to_string(), None)),
        };
        let target = Target::from_bytes(claimed.channel, &plain, &self.sender.policy);
        let target = target.map_err(|refused| SendFailure::Final(refused.to_string()))?;
        let (message, tries) = (&claimed.message, claimed.tries);
        self.sender.send(&target, message, tries, clock::now()).await
    }
}

/// What follows from a try.
fn end_of(sent: Result<(), SendFailure>, claimed: &ClaimedAlert, now: Timestamp) -> AlertEnd {
    let (words, why) = match sent {
        Ok(()) => return AlertEnd::Sent,
        Err(SendFailure::Final(words)) => return AlertEnd::GivenUp(words),
        Err(SendFailure::Refused(words)) => (words, Refusal::Refused),
        Err(SendFailure::Passing(words, asked)) => (words, Refusal::Passing(asked)),
    };
    match alert::next_try(claimed.message.made_at, why, now) {
        Some(again) => AlertEnd::Waits(words, again),
        None => AlertEnd::GivenUp(words),
    }
}

#[cfg(test)]
mod tests;
