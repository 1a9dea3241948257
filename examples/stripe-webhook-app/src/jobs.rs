//! Work that was accepted, and the worker that does it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::Notify;

use crate::outbox::{Message, Outbox};
use crate::stripe_event::{Effect, Payment};

/// How long to wait when the database cannot be used.
const PAUSE: Duration = Duration::from_secs(1);

/// The accepted work. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Jobs {
    pool: SqlitePool,
    outbox: Outbox,
    accepted: Arc<Notify>,
}

/// Why a payment's effect cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum WorkError {
    #[error("there is no account {0}")]
    UnknownAccount(String),
}

impl WorkError {
    const fn code(&self) -> &'static str {
        match self {
            Self::UnknownAccount(_) => "unknown_account",
        }
    }
}

impl Jobs {
    /// The work in this database, which tells of itself through this outbox.
    #[must_use]
    pub fn new(pool: SqlitePool, outbox: Outbox) -> Self {
        Self {
            pool,
            outbox,
            accepted: Arc::default(),
        }
    }

    /// Accepts a payment's work: the job and its receipt in one transaction. A payment that was accepted before
    /// changes nothing.
    ///
    /// # Errors
    /// [`sqlx::Error`] where the database cannot be written; then neither is stored.
    pub async fn accept(&self, payment: &Payment, event: &[u8]) -> sqlx::Result<()> {
        let mut tx = self.pool.begin().await?;
        let job = sqlx::query("INSERT INTO jobs (event_id, event) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(&payment.event_id)
            .bind(String::from_utf8_lossy(event))
            .execute(&mut *tx)
            .await?;
        if job.rows_affected() == 0 {
            return Ok(());
        }
        self.outbox.put(&mut tx, &Message::receipt(payment)).await?;
        tx.commit().await?;
        self.accepted.notify_one();
        self.outbox.wake();
        Ok(())
    }

    /// Works for as long as the process lives.
    pub async fn run(self) {
        loop {
            match self.work_once().await {
                Ok(true) => {}
                Ok(false) => self.accepted.notified().await,
                Err(error) => {
                    tracing::error!(%error, "a job could not be done; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Does one job, if there is one: its effect, its result and its mark in one transaction, so that it is
    /// applied once however often the process is killed.
    ///
    /// # Errors
    /// [`sqlx::Error`] where the database cannot be used; the job is still to do.
    pub async fn work_once(&self) -> sqlx::Result<bool> {
        let mut tx = self.pool.begin().await?;
        let job: Option<(String, String)> =
            sqlx::query_as("SELECT event_id, event FROM jobs WHERE NOT done ORDER BY event_id LIMIT 1")
                .fetch_optional(&mut *tx)
                .await?;
        let Some((event_id, event)) = job else {
            return Ok(false);
        };
        // Only what was read as a payment has been accepted.
        if let Ok(Some(payment)) = Payment::read(event.as_bytes()) {
            let message = match apply(&mut tx, &payment).await? {
                Ok(()) => Message::success(&payment),
                Err(error) => {
                    tracing::error!(event_id, %error, "paid, but not applied");
                    Message::failure(&payment, error.code(), &error.to_string())
                }
            };
            self.outbox.put(&mut tx, &message).await?;
        }
        sqlx::query("UPDATE jobs SET done = 1 WHERE event_id = ?")
            .bind(&event_id)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(true)
    }
}

/// The business effect.
async fn apply(tx: &mut SqliteConnection, payment: &Payment) -> sqlx::Result<Result<(), WorkError>> {
    let change = match payment.effect {
        Effect::AccessUnlock => sqlx::query("UPDATE accounts SET has_access = 1 WHERE id = ?"),
        Effect::CreditGrant(credits) => {
            sqlx::query("UPDATE accounts SET credits = credits + ? WHERE id = ?").bind(credits)
        }
    };
    let changed = change.bind(&payment.account).execute(tx).await?;
    Ok(match changed.rows_affected() {
        0 => Err(WorkError::UnknownAccount(payment.account.clone())),
        _ => Ok(()),
    })
}
