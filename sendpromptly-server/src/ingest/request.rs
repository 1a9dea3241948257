//! What the API hands to the committers, and what comes back.

use std::net::IpAddr;

use bytes::Bytes;
use sendpromptly_core::audit::{Actor, Origin};
use sendpromptly_core::dedupe::Fingerprint;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::request::{FieldErrors, IdempotencyKey, Receipt, ResultReport};
use sendpromptly_core::time::Timestamp;

use super::payload::Kept;
use crate::platform::entropy;
use crate::store::api_keys::KeyHolder;

/// A receipt or a result that has passed every check which needs no store.
#[derive(Debug)]
pub struct IngestRequest {
    /// Whose it is.
    pub project: KeyHolder,
    /// Where it came from.
    pub origin_address: Option<IpAddr>,
    /// Its Idempotency-Key.
    pub key: IdempotencyKey,
    /// What tells it from another request under the same key.
    pub fingerprint: Fingerprint,
    /// The server's time of acceptance.
    pub received_at: Timestamp,
    /// What it says.
    pub signal: Signal,
}

/// What the app says.
#[derive(Debug)]
pub enum Signal {
    /// The payment event is verified and its work accepted.
    Receipt(NewReceipt),
    /// The effect succeeded or failed.
    Result(ResultReport),
}

/// A receipt, and what it stores where it is the first of its event.
#[derive(Debug)]
pub struct NewReceipt {
    /// The id that the event gets.
    pub event: EventId,
    /// What it says. Its payload is none of the committers' business: it is sealed, or nowhere.
    pub receipt: Receipt,
    /// What is kept of its payload.
    pub payload: Kept,
}

impl NewReceipt {
    /// A receipt of this time, whose payload is not kept.
    #[must_use]
    pub fn new(receipt: Receipt, received_at: Timestamp) -> Self {
        Self {
            event: EventId::new(received_at, entropy::for_id()),
            receipt,
            payload: Kept::Nothing,
        }
    }
}

/// The request is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The body of the 202.
    pub body: Bytes,
    /// Whether it is the answer of an earlier request under the same key.
    pub replayed: bool,
}

/// Why a request is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// Another request was accepted under the same key.
    #[error("this Idempotency-Key was used for another request")]
    Conflict,
    /// The project has no such event.
    #[error("this project has no such event")]
    EventNotFound,
    /// What only the store can tell is wrong.
    #[error("a field is wrong")]
    Invalid(FieldErrors),
    /// The event is known from its provider under this id, for which the payload must be sealed.
    #[error("the payload must be sealed for the event that its provider has announced")]
    Announced(EventId),
    /// The store is down or the queue full; not known to be accepted.
    #[error("the service is unavailable for the moment")]
    Unavailable,
    /// A fault of ours.
    #[error("an internal error")]
    Internal,
}

/// Why a request is not accepted, and the request where it may be sent again in another form.
#[derive(Debug)]
pub struct Declined {
    /// Why.
    pub error: IngestError,
    /// The request, after [`IngestError::Announced`].
    pub request: Option<Box<IngestRequest>>,
}

impl Declined {
    /// Declined for this reason, without the request.
    pub(super) const fn because(error: IngestError) -> Self {
        Self { error, request: None }
    }
}

/// What becomes of one request.
pub(super) type Outcome = Result<Accepted, IngestError>;

impl IngestRequest {
    /// The key inside its project.
    pub(super) fn key_name(&self) -> (ProjectId, [u8; 16]) {
        (self.project.project, self.key.digest())
    }

    /// Who is named in the audit log.
    pub(super) fn origin(&self) -> Origin {
        Origin {
            actor: Actor::Key(self.project.key_id),
            address: self.origin_address,
        }
    }
}
