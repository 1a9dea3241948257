//! An incident: what is opened when a result is `failed` or does not come in time.

use crate::event::words;
use crate::id::IncidentId;
use crate::time::Timestamp;

words! {
    /// Where an incident stands.
    IncidentState {
        /// Somebody should look.
        Open = "open",
        /// A replay is under way.
        Reprocessing = "reprocessing",
        /// The effect was applied.
        Resolved = "resolved",
        /// A person has put it aside, with a reason. Only a success or a person changes that.
        Dismissed = "dismissed",
    }

    /// Why an incident was opened. It stays as it was first.
    IncidentReason {
        /// The app reported that the effect failed.
        Failed = "failed",
        /// No result came by `timeout_at`.
        Timeout = "timeout",
        /// The provider sent the event, and the app never sent a receipt.
        MissingReceipt = "missing_receipt",
    }
}

/// An incident as it is stored. An event has at most one in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Where it stands.
    pub state: IncidentState,
    /// Why it was first opened.
    pub reason: IncidentReason,
    /// When it was first opened.
    pub opened_at: Timestamp,
    /// When it was resolved; `None` unless the state is [`IncidentState::Resolved`].
    pub resolved_at: Option<Timestamp>,
}

impl Incident {
    /// A new, open incident.
    #[must_use]
    pub const fn open(id: IncidentId, reason: IncidentReason, now: Timestamp) -> Self {
        Self {
            id,
            state: IncidentState::Open,
            reason,
            opened_at: now,
            resolved_at: None,
        }
    }
}
