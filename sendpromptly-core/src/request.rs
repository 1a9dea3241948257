//! Requests of the ingest API as they come over the wire: their JSON bodies and their Idempotency-Key.
//!
//! What is wrong is told field by field, all at once. The rules are in `docs/api.md`.

mod fields;
mod idempotency_key;
mod object;
mod receipt;
mod result;
mod shop_domain;

pub use fields::{BodyError, FieldErrors};
pub use idempotency_key::{IdempotencyKey, IdempotencyKeyError};
pub use receipt::{MAX_TIMEOUT_MINUTES, Payload, Receipt};
pub use result::{Candidate, ResultReport, SelectError};
pub(crate) use shop_domain::is_shop_domain;
