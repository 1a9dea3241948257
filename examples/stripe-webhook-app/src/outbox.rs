//! The outbox: messages to SendPromptly wait in the app's own database until they have been accepted.
//!
//! A message is written in the same transaction as what it tells of. So there is never one without the other,
//! whenever the process is killed; and each is sent, under the same `Idempotency-Key`, until a 202 says that the
//! other side has it.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::Notify;

use crate::stripe_event::Payment;

/// What is told of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    event_id: String,
    kind: &'static str,
    body: Value,
}

impl Message {
    /// The payment is verified, and its work durably accepted.
    #[must_use]
    pub fn receipt(payment: &Payment) -> Self {
        let body = json!({
            "provider": "stripe",
            "provider_event_id": payment.event_id,
            "event_type": payment.event_type,
            "effect_type": payment.effect.effect_type(),
            "internal_reference": payment.account,
            "occurred_at": rfc3339(payment.occurred_at),
        });
        Self::new(payment, "receipt", body)
    }

    /// The effect has been applied.
    #[must_use]
    pub fn success(payment: &Payment) -> Self {
        let body = json!({
            "provider": "stripe",
            "provider_event_id": payment.event_id,
            "status": "success",
        });
        Self::new(payment, "result", body)
    }

    /// The effect cannot be applied.
    #[must_use]
    pub fn failure(payment: &Payment, code: &str, why: &str) -> Self {
        let body = json!({
            "provider": "stripe",
            "provider_event_id": payment.event_id,
            "status": "failed",
            "error_code": code,
            "error_message": why,
        });
        Self::new(payment, "result", body)
    }

    fn new(payment: &Payment, kind: &'static str, body: Value) -> Self {
        Self {
            event_id: payment.event_id.clone(),
            kind,
            body,
        }
    }
}

/// The time of these Unix seconds; the epoch, where no calendar holds it.
fn rfc3339(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// A message that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the order of writing.
    pub id: i64,
    /// Where it goes.
    pub path: String,
    /// The same on every attempt, and after a restart.
    pub idempotency_key: String,
    /// The JSON text, the same bytes on every attempt.
    pub body: String,
    /// How often it has been sent in vain.
    pub attempts: u32,
}

/// The messages that wait. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbox {
    pool: SqlitePool,
    written: Arc<Notify>,
}

impl Outbox {
    /// The outbox in this database.
    #[must_use]
    pub fn new(pool: SqlitePool) -> Self {
        Self {
            pool,
            written: Arc::default(),
        }
    }

    /// Writes a message in the transaction of what it tells of; it is due at once.
    ///
    /// # Errors
    /// [`sqlx::Error`] where the database cannot be written.
    pub async fn put(&self, tx: &mut SqliteConnection, message: &Message) -> sqlx::Result<()> {
        let Message { event_id, kind, body } = message;
        sqlx::query(
            "INSERT INTO outbox (event_id, path, idempotency_key, body, due_at) VALUES (?, ?, ?, ?, 0)",
        )
        .bind(event_id)
        .bind(format!("/api/v1/{kind}"))
        .bind(format!("{event_id}/{kind}"))
        .bind(body.to_string())
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Tells the sender, after the commit, that there is something to send.
    pub fn wake(&self) {
        self.written.notify_one();
    }

    pub(crate) async fn written(&self) {
        self.written.notified().await;
    }

    /// Messages that are due, the earliest first. Of one event only the first: a result never overtakes its
    /// receipt.
    pub(crate) async fn due(&self, now: i64) -> sqlx::Result<Vec<Waiting>> {
        let rows: Vec<(i64, String, String, String, u32)> = sqlx::query_as(
            "SELECT id, path, idempotency_key, body, attempts FROM outbox AS o
             WHERE refused IS NULL AND due_at <= ?
               AND NOT EXISTS (SELECT 1 FROM outbox AS e WHERE e.event_id = o.event_id AND e.id < o.id)
             ORDER BY due_at, id LIMIT 32",
        )
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        let waiting = |(id, path, idempotency_key, body, attempts)| Waiting {
            id,
            path,
            idempotency_key,
            body,
            attempts,
        };
        Ok(rows.into_iter().map(waiting).collect())
    }

    /// When the next message is due, in Unix milliseconds.
    pub(crate) async fn next_due_at(&self) -> sqlx::Result<Option<i64>> {
        sqlx::query_scalar(
            "SELECT min(due_at) FROM outbox AS o WHERE refused IS NULL
               AND NOT EXISTS (SELECT 1 FROM outbox AS e WHERE e.event_id = o.event_id AND e.id < o.id)",
        )
        .fetch_one(&self.pool)
        .await
    }

    /// The other side has it.
    pub(crate) async fn sent(&self, id: i64) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM outbox WHERE id = ?")
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// It has been sent in vain, and goes again at this time.
    pub(crate) async fn again(&self, id: i64, due_at: i64) -> sqlx::Result<()> {
        sqlx::query("UPDATE outbox SET attempts = attempts + 1, due_at = ? WHERE id = ?")
            .bind(due_at)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// It can never be accepted as it stands. It is kept, with the reason, for a person to look at.
    pub(crate) async fn refused(&self, id: i64, why: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE outbox SET attempts = attempts + 1, refused = ? WHERE id = ?")
            .bind(why)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// How many messages were refused and are still here.
    ///
    /// # Errors
    /// [`sqlx::Error`] where the database cannot be read.
    pub async fn count_refused(&self) -> sqlx::Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE refused IS NOT NULL")
            .fetch_one(&self.pool)
            .await
    }
}
