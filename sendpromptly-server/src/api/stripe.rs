//! `POST /webhooks/stripe`: what Stripe tells of subscriptions. Nothing is read of it before it is verified.

use std::future::Future;

use hyper::StatusCode;
use hyper::header::HeaderMap;
use sendpromptly_core::billing::{self, Event};
use sendpromptly_core::request::FieldErrors;

use super::App;
use super::unverified::Unverified;
use crate::http::ApiError;
use crate::http::response::{self, Response};
use crate::metrics::Taken;
use crate::platform::clock;
use crate::store::billing::Heard;
use crate::stripe::Billing;
use crate::stripe::signature::StripeSignature;

/// The most bytes of an event. Those of an invoice with many lines are larger than what apps send.
pub(super) const MAX: usize = 256 * 1024;

impl App {
    /// `body` is read only once there is what may be a signature to hold it against.
    pub(super) async fn stripe_webhook(
        &self,
        headers: &HeaderMap,
        body: impl Future<Output = Result<Unverified, ApiError>>,
    ) -> Result<Response, ApiError> {
        // Without a secret nothing could be believed, so there is nothing here.
        let billing = self.billing.as_ref().ok_or(ApiError::NotFound)?;
        match self.hear(billing, headers, body).await {
            Ok(taken) => self.webhooks.took(taken),
            Err(error) => {
                self.webhooks.refused(&error);
                return Err(error);
            }
        }
        Ok(response::json(StatusCode::OK, r#"{"received":true}"#))
    }

    async fn hear(
        &self,
        billing: &Billing,
        headers: &HeaderMap,
        body: impl Future<Output = Result<Unverified, ApiError>>,
    ) -> Result<Taken, ApiError> {
        let signature = signature_in(headers).ok_or(ApiError::InvalidSignature)?;
        let signature = StripeSignature::parse(signature).map_err(|_| ApiError::InvalidSignature)?;
        let body = body.await.map_err(|error| match error {
            ApiError::PayloadTooLarge => ApiError::WebhookTooLarge,
            other => other,
        })?;
        let now = clock::now();
        let seconds = u64::try_from(now.as_secs()).unwrap_or(0);
        if let Err(error) = signature.verify(&billing.webhook_secrets, &body, seconds) {
            if let Some(times) = self.forged.count() {
                tracing::warn!(%error, times, "webhooks that are not Stripe's were refused");
            }
            return Err(ApiError::InvalidSignature);
        }
        let event = billing::read_event(&body, billing.mode).map_err(|error| {
            tracing::warn!("an event of Stripe's cannot be read");
            ApiError::Invalid(FieldErrors::one("body", error.to_string()))
        })?;
        let fact = match event {
            Event::Tells(fact) => fact,
            Event::SaysNothing => return Ok(Taken::SaysNothing),
            Event::OfAnotherMode => {
                // Refused, Stripe would send it for days, and in the end switch the endpoint off.
                if let Some(times) = self.of_another_mode.count() {
                    tracing::warn!(
                        times,
                        "webhooks of another mode of Stripe's than the API key's were not heard"
                    );
                }
                return Ok(Taken::OfAnotherMode);
            }
        };
        let heard = self.store.hear_stripe(&fact, now).await?;
        match heard {
            Heard::New => tracing::info!(says = %fact.says, "Stripe has told of a subscription"),
            Heard::Again => tracing::debug!("an event of Stripe's came again"),
        }
        Ok(Taken::Heard(heard))
    }
}

/// The one header of the signature.
fn signature_in(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all("stripe-signature").iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
