//! Receipts and results: the checks, one after another, the first that fails answers. Their order is part of
//! the API, see `docs/api.md`.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use sendpromptly_core::billing::Plan;
use sendpromptly_core::dedupe::{Endpoint, Fingerprint};
use sendpromptly_core::request::{IdempotencyKey, Receipt, ResultReport};
use sendpromptly_core::time::Timestamp;
use tokio::time::Instant;

use super::App;
use crate::http::negotiation::{accepts_json, is_json_body};
use crate::http::response::{self, Response};
use crate::http::{ApiError, body, subject};
use crate::ingest::{Accepted, Declined, IngestError, IngestRequest, NewReceipt, PATIENCE, Signal};
use crate::platform::clock;

/// How long a key counts while the body comes. Beside the four seconds that a look-up counts, this keeps a
/// revoked key from being taken for longer than five.
const TRUSTED: Duration = Duration::from_secs(1);

impl App {
    /// `body` is read only once the headers are right.
    pub(super) async fn ingest(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        client: IpAddr,
        body: impl Future<Output = Result<Bytes, ApiError>>,
    ) -> Result<Response, ApiError> {
        let project = self.authenticator.authenticate(headers, client).await?;
        subject::is(project.project);
        self.rate.count(project.project)?;
        accepts_json(headers)?;
        is_json_body(headers)?;
        let key = idempotency_key(headers)?;
        if endpoint == Endpoint::Receipt {
            self.may_be_monitored(&project.plan)?;
        }
        says_it_fits(headers)?;
        let began = Instant::now();
        let body = body.await?;
        let project = if began.elapsed() > TRUSTED {
            self.authenticator.authenticate(headers, client).await?
        } else {
            project
        };
        let received_at = clock::now();
        let (signal, fingerprint) = read(endpoint, body, received_at)?;
        let request = IngestRequest {
            project,
            origin_address: Some(client),
            key,
            fingerprint,
            received_at,
            signal,
        };
        let accepted = tokio::time::timeout(PATIENCE, self.accept(request))
            .await
            .map_err(|_| ApiError::Unavailable)??;
        let mut response = response::json(StatusCode::ACCEPTED, accepted.body);
        if accepted.replayed {
            const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }

    /// Seals what is to be sealed, and has the request committed.
    async fn accept(&self, mut request: IngestRequest) -> Result<Accepted, IngestError> {
        self.seal_payload(&mut request).await;
        match self.ingest.offer(request).await {
            Err(Declined {
                error: IngestError::Announced(event),
                request: Some(mut request),
            }) => {
                self.seal_payload_for(event, &mut request).await;
                self.ingest.submit(*request).await
            }
            outcome => outcome.map_err(|declined| declined.error),
        }
    }

    /// Whether the organization's trial or subscription allows it. What is known of that came with the key.
    pub(super) fn may_be_monitored(&self, plan: &Plan) -> Result<(), ApiError> {
        let Some(billing) = &self.billing else {
            return Ok(());
        };
        if billing.access(plan, clock::now()).allows() {
            Ok(())
        } else {
            Err(ApiError::SubscriptionRequired)
        }
    }
}

/// Takes the body, so that none waits in memory for the store.
fn read(endpoint: Endpoint, body: Bytes, received_at: Timestamp) -> Result<(Signal, Fingerprint), ApiError> {
    let signal = match endpoint {
        Endpoint::Receipt => {
            Signal::Receipt(NewReceipt::new(Receipt::parse(&body, received_at)?, received_at))
        }
        Endpoint::Result => Signal::Result(ResultReport::parse(&body)?),
    };
    Ok((signal, Fingerprint::of(endpoint, &body)))
}

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let key = values.next().ok_or(ApiError::MissingIdempotencyKey)?;
    if values.next().is_some() {
        return Err(ApiError::InvalidIdempotencyKey);
    }
    Ok(IdempotencyKey::parse(key.as_bytes())?)
}

/// What announces itself as too large is refused before the client sends it.
fn says_it_fits(headers: &HeaderMap) -> Result<(), ApiError> {
    let length = headers
        .get(hyper::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    match length.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(length) if length > body::MAX as u64 => Err(ApiError::PayloadTooLarge),
        _ => Ok(()),
    }
}
