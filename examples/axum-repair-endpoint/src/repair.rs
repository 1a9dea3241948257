//! `POST /repair`: a signed callback in, its effect applied exactly once, its result out.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use sendpromptly_verify::replay::StoreError;
use sendpromptly_verify::{Answer, Callback, Endpoint, unix_now};
use sqlx::sqlite::{SqliteConnection, SqlitePool};

/// The routes of the app.
pub fn router(endpoint: Endpoint, pool: SqlitePool) -> Router {
    Router::new()
        .route("/repair", post(repair))
        .with_state(Arc::new(Repairs { endpoint, pool }))
}

struct Repairs {
    endpoint: Endpoint,
    pool: SqlitePool,
}

/// Takes the body as raw bytes: what is signed is what came, not what a parser makes of it.
async fn repair(State(repairs): State<Arc<Repairs>>, headers: HeaderMap, body: Bytes) -> Answer {
    let answer = repairs
        .answer(&headers, &body)
        .await
        .unwrap_or_else(|refused| refused);
    tracing::info!(status = answer.status(), %answer, "a callback was answered");
    answer
}

impl Repairs {
    async fn answer(&self, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Answer> {
        let callback = self.endpoint.admit(headers, body, unix_now())?;
        self.apply_once(&callback)
            .await
            .map_err(|error| Answer::StoreFailed(StoreError::Failed(error.into())))
    }

    /// The `replay_id` and the effect are committed together or not at all. So a crash at any point, a caller
    /// that hangs up, or a commit whose answer is lost leaves nothing in doubt: the next attempt finds out.
    async fn apply_once(&self, callback: &Callback) -> sqlx::Result<Answer> {
        let mut tx = self.pool.begin().await?;
        if !is_new_replay(&mut tx, callback).await? {
            return Ok(Answer::AlreadyApplied);
        }
        // Another order may have repaired it, or the usual work may have come through late.
        if is_new_effect(&mut tx, callback).await? && !apply(&mut tx, callback).await? {
            return Ok(Answer::Failed);
        }
        tx.commit().await?;
        Ok(Answer::Applied)
    }
}

async fn is_new_replay(tx: &mut SqliteConnection, callback: &Callback) -> sqlx::Result<bool> {
    let inserted = sqlx::query("INSERT INTO applied_replays (replay_id) VALUES (?) ON CONFLICT DO NOTHING")
        .bind(callback.replay_id.to_bytes().to_vec())
        .execute(tx)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

async fn is_new_effect(tx: &mut SqliteConnection, callback: &Callback) -> sqlx::Result<bool> {
    let inserted = sqlx::query(
        "INSERT INTO effects (provider_event_id, effect_type) VALUES (?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(&callback.provider_event_id)
    .bind(&callback.effect_type)
    .execute(tx)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// The business effect; `false` where this app cannot apply it.
async fn apply(tx: &mut SqliteConnection, callback: &Callback) -> sqlx::Result<bool> {
    let change = match callback.effect_type.as_str() {
        "access_unlock" => sqlx::query("UPDATE accounts SET has_access = 1 WHERE id = ?1"),
        // How much was bought is looked up: a callback tells which payment it was, not what it was worth.
        "credit_grant" => sqlx::query(
            "UPDATE accounts SET credits = accounts.credits + purchases.credits FROM purchases
             WHERE accounts.id = ?1 AND purchases.provider_event_id = ?2",
        ),
        _ => return Ok(false),
    };
    let changed = change
        .bind(&callback.internal_reference)
        .bind(&callback.provider_event_id)
        .execute(tx)
        .await?;
    Ok(changed.rows_affected() == 1)
}
