//! Sends the mail that waits in the outbox: one after another, each tried for a day.

use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::hex;
use sendpromptly_core::mail;
use sendpromptly_core::time::Timestamp;
use tokio::sync::Notify;

use super::rounds::{Left, Rounds};
use crate::mail::{Post, SendError, Transport};
use crate::platform::clock;
use crate::store::outbox::ClaimedMail;
use crate::store::{Store, StoreError};

/// How often the outbox is looked into without being asked: for mails of other nodes, and those that wait.
const EVERY: Duration = Duration::from_secs(2);

/// The worker.
#[derive(Debug, Clone)]
pub(super) struct SendMail {
    pub(super) store: Store,
    pub(super) post: Post,
    pub(super) transport: Transport,
}

impl Rounds for SendMail {
    const NAME: &'static str = "mail";

    fn interval(&self) -> Duration {
        EVERY
    }

    fn wake(&self) -> Arc<Notify> {
        self.post.bell()
    }

    async fn round(&mut self, now: Timestamp) -> Result<Left, StoreError> {
        let Some(claimed) = self.store.claim_mail(now).await? else {
            return Ok(Left::Nothing);
        };
        let sent = self.send(&claimed, now).await;
        self.settle(&claimed, sent, clock::now().max(now)).await?;
        Ok(Left::More)
    }
}

impl SendMail {
    async fn send(&self, claimed: &ClaimedMail, now: Timestamp) -> Result<(), SendError> {
        match self.post.open(&claimed.id, &claimed.sealed).await {
            Ok(Some(letter)) => self.transport.send(&letter, &claimed.id, now).await,
            Ok(None) => Err(SendError::Letter("its text")),
            Err(error) => Err(SendError::Failed(format!("it cannot be opened: {error}"))),
        }
    }

    /// Forgets a mail that has gone or is given up, and lets another one wait.
    async fn settle(
        &self,
        claimed: &ClaimedMail,
        sent: Result<(), SendError>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, tries) = (hex::encode(&claimed.id), claimed.tries);
        let error = match sent {
            Ok(()) => return self.store.forget_mail(claimed).await,
            Err(error) => error,
        };
        let next = match error {
            SendError::Failed(_) => mail::next_try(claimed.created_at, tries, now),
            SendError::Mailbox(_) | SendError::Letter(_) => None,
        };
        match next {
            Some(next) => {
                tracing::warn!(mail = id, tries, %error, "a mail was not sent and waits");
                self.store.postpone_mail(claimed, next).await
            }
            None => {
                tracing::error!(mail = id, tries, %error, "a mail was given up");
                self.store.forget_mail(claimed).await
            }
        }
    }
}
