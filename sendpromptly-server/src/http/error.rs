//! What a client is told when a request is refused, and the one place that turns errors into it.
//!
//! Which error to use where: the rules in `sendpromptly-core` have their own enums and know no HTTP; the
//! store gives [`StoreError`], the committers [`IngestError`]. Only handlers speak [`ApiError`], and `?`
//! turns the others into it below. A variant holds what the client may read. What only the log may read goes
//! to the log where it is known, with the request's id in the span around it.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use sendpromptly_core::id::RequestId;
use sendpromptly_core::request::{BodyError, FieldErrors, IdempotencyKeyError};
use serde::Serialize;

use super::response::{self, Response};
use crate::ingest::IngestError;
use crate::store::StoreError;

/// A refused request, in the words of `docs/api.md`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// No such path.
    #[error("there is nothing at this path")]
    NotFound,
    /// The path exists; these methods are allowed.
    #[error("this path allows {0}")]
    MethodNotAllowed(String),
    /// No, a malformed, an unknown or a revoked key: one answer for all.
    #[error("a valid API key is required: Authorization: Bearer sk_…")]
    Unauthorized,
    /// A credential came over plain HTTP where HTTPS is to be had.
    #[error(
        "use https; the credential of this request has travelled in clear, where others can read it: revoke it and \
         make a new one"
    )]
    HttpsRequired,
    /// Over the project's rate, or too many failures from one address.
    #[error("too many requests; try again later")]
    RateLimited(Duration),
    /// A provider's signature is not there or does not hold, or nothing is taken from it: one answer for all.
    #[error("the provider's signature does not hold, or this endpoint is not set up")]
    NotBelieved,
    /// `Accept` is not there.
    #[error("the Accept header is required, such as Accept: application/json")]
    MissingAccept,
    /// `Accept` does not allow JSON.
    #[error("the answer is JSON; Accept must allow application/json")]
    NotAcceptable,
    /// The body is not JSON, or is encoded.
    #[error("the body must be application/json, without Content-Encoding")]
    UnsupportedMediaType,
    /// `Idempotency-Key` is not there.
    #[error("the Idempotency-Key header is required")]
    MissingIdempotencyKey,
    /// `Idempotency-Key` is no key.
    #[error("Idempotency-Key must be one header of 1 to 255 visible ASCII characters")]
    InvalidIdempotencyKey,
    /// The organization's trial or subscription is over.
    #[error("the organization's trial or subscription does not allow monitoring")]
    SubscriptionRequired,
    /// A webhook that its provider has not signed, or not for this server, or too long ago.
    #[error("the webhook's signature does not fit its body and this endpoint's secret, or it is too old")]
    InvalidSignature,
    /// The body is over the limit.
    #[error("the body must be at most 65536 bytes")]
    PayloadTooLarge,
    /// A webhook's body is over its limit.
    #[error("the body must be at most 262144 bytes")]
    WebhookTooLarge,
    /// A provider's event is over its limit.
    #[error("a provider's event must be at most 524288 bytes")]
    EventTooLarge,
    /// The body has too many fields.
    #[error("the body must have at most 32 top-level fields")]
    TooManyFields,
    /// Fields are wrong.
    #[error("one or more fields are wrong")]
    Invalid(FieldErrors),
    /// Another request was accepted under the key.
    #[error("this Idempotency-Key was used for another request; a new request needs a new key")]
    IdempotencyConflict,
    /// A result for an event that this project does not have.
    #[error("this project has no such event; send its receipt first")]
    EventNotFound,
    /// The body came too slowly.
    #[error("the request took too long to arrive")]
    RequestTimeout,
    /// HTTP/1.1 without one `Host`.
    #[error("the request must have one Host header")]
    BadHost,
    /// HTTP itself was broken in the body.
    #[error("the body could not be read")]
    BadRequest,
    /// The store is down or the queue full.
    #[error("not accepted for the moment; send it again with the same Idempotency-Key")]
    Unavailable,
    /// Bodies of which nothing is known yet fill the room that there is for them.
    #[error("not accepted for the moment; send it again with the same Idempotency-Key")]
    NoRoom,
    /// A fault of ours.
    #[error("an internal error")]
    Internal,
}

/// How long a client should wait when the store is away.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(1);

impl ApiError {
    /// Its status and code.
    #[must_use]
    pub const fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound | Self::EventNotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NotBelieved => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::HttpsRequired => (StatusCode::FORBIDDEN, "https_required"),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::MissingAccept => (StatusCode::NOT_ACCEPTABLE, "missing_accept_header"),
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
            Self::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::MissingIdempotencyKey => (StatusCode::BAD_REQUEST, "missing_idempotency_key"),
            Self::InvalidIdempotencyKey => (StatusCode::BAD_REQUEST, "invalid_idempotency_key"),
            Self::SubscriptionRequired => (StatusCode::PAYMENT_REQUIRED, "subscription_required"),
            Self::InvalidSignature => (StatusCode::BAD_REQUEST, "invalid_signature"),
            Self::PayloadTooLarge | Self::WebhookTooLarge | Self::EventTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large")
            }
            Self::TooManyFields => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_fields"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "validation_error"),
            Self::IdempotencyConflict => (StatusCode::CONFLICT, "idempotency_conflict"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::BadHost | Self::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Unavailable | Self::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error"),
        }
    }

    /// The answer to the client.
    #[must_use]
    pub fn into_response(self, request: RequestId) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            error: Inner<'a>,
            request_id: String,
        }
        #[derive(Serialize)]
        struct Inner<'a> {
            code: &'a str,
            message: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            fields: Option<&'a FieldErrors>,
        }
        let (status, code) = self.status_and_code();
        let fields = if let Self::Invalid(fields) = &self {
            Some(fields)
        } else {
            None
        };
        let error = Inner {
            code,
            message: self.to_string(),
            fields,
        };
        let body = Body {
            error,
            request_id: request.to_string(),
        };
        let mut response = response::json(status, serde_json::to_vec(&body).unwrap_or_default());
        self.add_headers(&mut response);
        response
    }

    fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        match self {
            Self::MethodNotAllowed(allowed) => {
                if let Ok(allowed) = HeaderValue::from_str(allowed) {
                    headers.insert(ALLOW, allowed);
                }
            }
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::RateLimited(wait) => {
                headers.insert(RETRY_AFTER, whole_seconds(*wait));
            }
            Self::Unavailable | Self::NoRoom => {
                headers.insert(RETRY_AFTER, whole_seconds(UNAVAILABLE_FOR));
            }
            // What is left of the body would be taken for the next request.
            Self::RequestTimeout | Self::BadRequest => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
    }
}

/// Seconds rounded up, at least one.
fn whole_seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_millis().div_ceil(1_000).clamp(1, 86_400) as u64)
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_passing() {
            tracing::warn!(%error, "the store is away");
            Self::Unavailable
        } else {
            tracing::error!(%error, "the store refused");
            Self::Internal
        }
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Conflict => Self::IdempotencyConflict,
            IngestError::EventNotFound => Self::EventNotFound,
            IngestError::Invalid(fields) => Self::Invalid(fields),
            IngestError::Announced(_) | IngestError::Unavailable => Self::Unavailable,
            IngestError::Internal => Self::Internal,
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooManyFields => Self::TooManyFields,
            BodyError::Invalid(fields) => Self::Invalid(fields),
        }
    }
}

impl From<IdempotencyKeyError> for ApiError {
    fn from(_: IdempotencyKeyError) -> Self {
        Self::InvalidIdempotencyKey
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_as_none() {
        for (millis, seconds) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2")] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }

    #[test]
    fn an_internal_error_says_nothing_of_the_inside() {
        let cause = StoreError::Internal("relation \"events\" does not exist".to_owned());
        assert_eq!(ApiError::from(cause).to_string(), "an internal error");
    }
}
