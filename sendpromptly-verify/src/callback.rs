//! The body of a callback.

use core::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::replay::ReplayId;
use crate::signature::TEST_EFFECT;
use crate::verifier::Verified;

/// What a callback asks to repair. Fields that a later version adds are passed over, and words of a later
/// version, such as a new `effect_type`, are given as they come.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Callback {
    /// The order to repair: what is applied once.
    pub replay_id: ReplayId,
    /// The incident (`inc_…`).
    pub incident_id: String,
    /// The event (`evt_…`).
    pub event_id: String,
    /// The project (`prj_…`).
    pub project_id: String,
    /// `test` or `live`.
    pub mode: String,
    /// Whose event it is: `stripe` or `shopify`.
    pub provider: String,
    /// The provider's id of the event.
    pub provider_event_id: String,
    /// The provider's type of the event.
    pub event_type: String,
    /// The business effect to apply: `access_unlock`, `credit_grant`, …; `test` where there is none.
    pub effect_type: String,
    /// The app's own reference, as its receipt gave it.
    pub internal_reference: String,
    /// When the event happened: RFC 3339, in UTC.
    pub occurred_at: String,
    /// The payload that came with the event's receipt, where the project keeps payloads and sends them along.
    pub payload: Option<Payload>,
}

/// A payload, as the JSON text that the receipt bore. It may hold what must not reach a log, so it does not print.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Payload(Box<RawValue>);

impl Payload {
    /// The JSON text, which is of an object. Read it with the types that the receipt was made from.
    #[must_use]
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Payload {
    /// To the letter.
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.as_json().len())
    }
}

impl Callback {
    /// Whether a person only tries the repair URL: there is no such event, and nothing must be applied. Answer
    /// with a 2xx. [`Endpoint::admit`](crate::Endpoint::admit) and what builds on it do so by themselves.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.effect_type == TEST_EFFECT
    }
}

/// The body of a genuine callback can't be read. It repeats nothing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a callback in JSON: see line {line}, column {column}")]
pub struct CallbackError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1; 0 is the end of the line before.
    pub column: usize,
}

impl Verified<'_> {
    /// Reads the body. Ask [`Callback::is_test`] before anything is applied.
    ///
    /// # Errors
    /// [`CallbackError`] where it is not JSON or lacks a field.
    pub fn callback(&self) -> Result<Callback, CallbackError> {
        serde_json::from_slice(self.body()).map_err(|error| CallbackError {
            line: error.line(),
            column: error.column(),
        })
    }
}
