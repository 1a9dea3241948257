//! An incident: what is opened when a result is `failed` or does not come in time.

use std::str::FromStr;

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

impl IncidentState {
    /// Whether nobody has to look, and nothing is under way.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Resolved | Self::Dismissed)
    }
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

/// A note on an incident: 1 to 4,000 Unicode characters, not blank, no control character but line breaks and
/// tabs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteText(String);

/// Why a text is no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a note must be 1 to {} characters, and not blank", NoteText::MAX)]
pub struct NoteTextError;

impl NoteText {
    /// The most Unicode characters of a note.
    pub const MAX: usize = 4_000;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NoteText {
    type Err = NoteTextError;

    /// Browsers send a line break as two characters; it is kept, and counted, as one.
    fn from_str(text: &str) -> Result<Self, NoteTextError> {
        let text = text.replace("\r\n", "\n");
        let allowed = |c: char| !c.is_control() || c == '\n' || c == '\t';
        if text.trim().is_empty() || !text.chars().all(allowed) || text.chars().count() > Self::MAX {
            return Err(NoteTextError);
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_a_text_of_some_lines_that_says_something() {
        assert_eq!("one\r\ntwo".parse::<NoteText>().unwrap().as_str(), "one\ntwo");
        for right in [
            "a\tb",
            &"ü".repeat(4_000),
            &"\r\n".repeat(1_999).replacen("\r", "x\r", 1),
        ] {
            assert!(right.parse::<NoteText>().is_ok(), "{right:?}");
        }
        for wrong in ["", " \n ", "a\u{0}", "a\u{1b}[0m", &"ü".repeat(4_001)] {
            assert_eq!(wrong.parse::<NoteText>(), Err(NoteTextError), "{wrong:?}");
        }
    }
}
