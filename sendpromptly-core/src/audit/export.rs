//! Entries and checkpoints as lines of JSON, with every field that a verifier needs.

use serde::{Deserialize, Serialize};

use super::{Checkpoint, Details, Entry, SignedCheckpoint};
use crate::hex;
use crate::time::Timestamp;

/// A line of an export or of a checkpoint file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportLine {
    /// An entry.
    Entry(Entry),
    /// A checkpoint.
    Checkpoint(SignedCheckpoint),
}

/// A line that is neither an entry nor a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a line of an audit export: {0}")]
pub struct ExportError(String);

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Wire {
    Entry {
        organization_id: String,
        seq: u64,
        audit_id: String,
        at: String,
        actor: String,
        action: String,
        target: String,
        commitment: String,
        prev: String,
        hash: String,
        salt: Option<String>,
        details: Option<String>,
    },
    Checkpoint {
        organization_id: String,
        kind: String,
        seq: u64,
        head: String,
        at: String,
        signature: String,
    },
}

impl ExportLine {
    /// The line, without a line break.
    #[must_use]
    pub fn to_json(&self) -> String {
        let wire = match self {
            Self::Entry(entry) => Wire::Entry {
                organization_id: entry.organization.to_string(),
                seq: entry.seq,
                audit_id: entry.id.to_string(),
                at: entry.at.to_string(),
                actor: entry.actor.clone(),
                action: entry.action.clone(),
                target: entry.target.clone(),
                commitment: hex::encode(&entry.commitment),
                prev: hex::encode(&entry.prev),
                hash: hex::encode(&entry.hash),
                salt: entry.details.as_ref().map(|details| hex::encode(&details.salt)),
                details: entry.details.as_ref().map(|details| details.text.clone()),
            },
            Self::Checkpoint(signed) => Wire::Checkpoint {
                organization_id: signed.checkpoint.organization.to_string(),
                kind: signed.checkpoint.kind.to_string(),
                seq: signed.checkpoint.seq,
                head: hex::encode(&signed.checkpoint.head),
                at: signed.checkpoint.at.to_string(),
                signature: hex::encode(&signed.signature),
            },
        };
        serde_json::to_string(&wire).unwrap_or_default() // strings and numbers always serialize
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`ExportError`] where it is neither an entry nor a checkpoint, or a field has not its form.
    pub fn parse(line: &str) -> Result<Self, ExportError> {
        let wire: Wire = serde_json::from_str(line).map_err(|error| ExportError(error.to_string()))?;
        Ok(match wire {
            Wire::Entry {
                organization_id,
                seq,
                audit_id,
                at,
                actor,
                action,
                target,
                commitment,
                prev,
                hash,
                salt,
                details,
            } => Self::Entry(Entry {
                organization: read(&organization_id, "organization_id")?,
                seq,
                id: read(&audit_id, "audit_id")?,
                at: time(&at)?,
                actor,
                action,
                target,
                commitment: bytes(&commitment, "commitment")?,
                prev: bytes(&prev, "prev")?,
                hash: bytes(&hash, "hash")?,
                details: match (salt, details) {
                    (Some(salt), Some(text)) => Some(Details {
                        salt: bytes(&salt, "salt")?,
                        text,
                    }),
                    (None, None) => None,
                    _ => return Err(ExportError("salt and details are erased together".to_owned())),
                },
            }),
            Wire::Checkpoint {
                organization_id,
                kind,
                seq,
                head,
                at,
                signature,
            } => {
                let checkpoint = Checkpoint {
                    organization: read(&organization_id, "organization_id")?,
                    kind: read(&kind, "kind")?,
                    seq,
                    head: bytes(&head, "head")?,
                    at: time(&at)?,
                };
                Self::Checkpoint(SignedCheckpoint {
                    checkpoint,
                    signature: bytes(&signature, "signature")?,
                })
            }
        })
    }
}

fn read<T: std::str::FromStr>(text: &str, field: &str) -> Result<T, ExportError> {
    text.parse()
        .map_err(|_| ExportError(format!("{field} has not its form")))
}

fn time(text: &str) -> Result<Timestamp, ExportError> {
    Timestamp::parse(text).map_err(|_| ExportError("at has not its form".to_owned()))
}

fn bytes<const N: usize>(digits: &str, field: &str) -> Result<[u8; N], ExportError> {
    hex::decode(digits).ok_or_else(|| ExportError(format!("{field} must be {} hex digits", N * 2)))
}
