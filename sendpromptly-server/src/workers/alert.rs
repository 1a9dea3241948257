//! Tells people of incidents: hands news on to the project's destinations, and sends the messages that are due. Each is
//! sent by a task of its own, so that one that hangs holds up no other, and nothing of it holds up the round.

use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::alert;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::rounds::{Left, Rounds};
use crate::alerts::{SendFailure, Sender, Target};
use crate::metrics::AlertMetrics;
use crate::platform::clock;
use crate::store::alert_queue::{AlertEnd, ClaimedAlert};
use crate::store::{Store, StoreError};
use crate::vault::{Purpose, Vault};

/// How often is looked for news, and for messages that are due.
const EVERY: Duration = Duration::from_secs(2);

/// How often is looked for projects that no receipt comes to.
const LISTEN_EVERY: Duration = Duration::from_secs(10);

/// Projects that are looked at together.
const PROJECTS: u32 = 200;

/// Messages that a node sends at once.
const AT_ONCE: usize = 16;

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct Alert {
    store: Store,
    vault: Vault,
    sender: Sender,
    metrics: AlertMetrics,
    slots: Arc<Semaphore>,
    listen_at: Instant,
}

impl Rounds for Alert {
    const NAME: &'static str = "alert";

    fn interval(&self) -> Duration {
        EVERY
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        if Instant::now() >= self.listen_at {
            listen(&self.store, now).await?;
            self.listen_at = Instant::now() + LISTEN_EVERY;
        }
        let more = self.store.hand_on_alerts(now).await?;
        while let Ok(slot) = self.slots.clone().try_acquire_owned() {
            // The lease counts from here: what came between may have taken long.
            let Some(claimed) = self.store.claim_alert(clock::now().max(now)).await? else {
                break;
            };
            tokio::spawn(self.clone().see_through(claimed, slot));
        }
        Ok(if more { Left::More } else { Left::Nothing })
    }
}

impl Alert {
    pub(super) fn new(store: Store, vault: Vault, sender: Sender, metrics: AlertMetrics) -> Self {
        Self {
            store,
            vault,
            sender,
            metrics,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            listen_at: Instant::now(),
        }
    }

    /// Sends a message and records what became of it.
    async fn see_through(self, claimed: ClaimedAlert, _slot: OwnedSemaphorePermit) {
        let project = claimed.content.project;
        let sent = self.send(&claimed).await;
        let now = clock::now();
        let end = end_of(sent, claimed.tries, now);
        let (destination, tries) = (claimed.destination, claimed.tries);
        match &end {
            AlertEnd::Sent => {}
            AlertEnd::Waits(why, _) => {
                tracing::warn!(%project, %destination, tries, %why, "an alert was not taken and waits");
            }
            AlertEnd::GivenUp(why) => {
                tracing::error!(%project, %destination, tries, %why, "an alert was given up");
            }
        }
        self.metrics.ended(&end);
        if let Err(error) = self.store.end_alert(&claimed, &end, now).await {
            tracing::warn!(%project, %destination, %error, "how an alert ended was not recorded; it goes again");
        }
    }

    async fn send(&self, claimed: &ClaimedAlert) -> Result<(), SendFailure> {
        if alert::is_spent(claimed.tries) {
            return Err(SendFailure::Final(
                "the server ended each time it was sent".to_owned(),
            ));
        }
        let purpose = Purpose::Alert(claimed.content.project);
        let row = claimed.destination.as_bytes();
        let plain = match self.vault.open_sealed(purpose, row, &claimed.sealed).await {
            Ok(plain) => plain,
            Err(error) if error.is_final() => return Err(SendFailure::Final(error.to_string())),
            Err(error) => return Err(SendFailure::Passing(error.to_string(), None)),
        };
        let target = Target::from_bytes(claimed.channel, &plain, &self.sender.policy);
        let target = target.map_err(|refused| SendFailure::Final(refused.to_string()))?;
        let (content, tries) = (&claimed.content, claimed.tries);
        self.sender.send(&target, content, tries, clock::now()).await
    }
}

/// What follows from a try.
fn end_of(sent: Result<(), SendFailure>, tries: u32, now: Timestamp) -> AlertEnd {
    match sent {
        Ok(()) => AlertEnd::Sent,
        Err(SendFailure::Final(words)) => AlertEnd::GivenUp(words),
        Err(SendFailure::Passing(words, asked)) => match alert::next_try(tries, asked, now) {
            Some(next) => AlertEnd::Waits(words, next),
            None => AlertEnd::GivenUp(words),
        },
    }
}

/// Looks where no receipt comes, or comes again, and tells of it.
async fn listen(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    let mut after = ProjectId::from_bytes([0; 16]);
    loop {
        let projects = store.listened_to(after, PROJECTS).await?;
        for quiet in &projects {
            if let Some(news) = quiet.silence.news(now) {
                store.tell_of_silence(quiet.project, news, now).await?;
            }
        }
        match projects.last() {
            Some(last) if projects.len() == PROJECTS as usize => after = last.project,
            _ => return Ok(()),
        }
    }
}
