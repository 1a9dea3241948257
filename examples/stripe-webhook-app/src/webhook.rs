//! `POST /webhooks/stripe`: believes, stores, answers. The work itself is done afterwards.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use crate::clock::unix_millis;
use crate::jobs::Jobs;
use crate::stripe_event::{NotAnEvent, Payment};
use crate::stripe_signature::{StripeSecret, StripeSignatureError};

/// The routes of the app.
pub fn router(secret: StripeSecret, jobs: Jobs) -> Router {
    Router::new()
        .route("/webhooks/stripe", post(receive))
        .with_state(Arc::new(Webhook { secret, jobs }))
}

struct Webhook {
    secret: StripeSecret,
    jobs: Jobs,
}

/// Why a webhook is not accepted.
#[derive(Debug, thiserror::Error)]
enum WebhookError {
    #[error("{0}")]
    Signature(#[from] StripeSignatureError),
    #[error("{0}")]
    Event(#[from] NotAnEvent),
    #[error("the event could not be stored")]
    Database(#[from] sqlx::Error),
}

/// Stripe sends again whatever is not answered with 2xx, so 200 is said after the commit only.
async fn receive(
    State(webhook): State<Arc<Webhook>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, (StatusCode, String)> {
    match webhook.accept(&headers, &body).await {
        Ok(()) => Ok(StatusCode::OK),
        Err(error) => {
            let status = match &error {
                WebhookError::Database(cause) => {
                    tracing::error!(%cause, "an event could not be stored; Stripe will send it again");
                    StatusCode::INTERNAL_SERVER_ERROR
                }
                _ => StatusCode::BAD_REQUEST,
            };
            Err((status, error.to_string()))
        }
    }
}

impl Webhook {
    async fn accept(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), WebhookError> {
        let signature = headers
            .get("stripe-signature")
            .and_then(|value| value.to_str().ok());
        let now = u64::try_from(unix_millis() / 1000).unwrap_or(0);
        self.secret.verify(signature.unwrap_or_default(), body, now)?;
        if let Some(payment) = Payment::read(body)? {
            self.jobs.accept(&payment, body).await?;
        }
        Ok(())
    }
}
