//! The payload that is kept of an event, opened: for whoever may see it, and to go along with a callback.

use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::store::Store;
use crate::store::snapshots::StoredSnapshot;
use crate::vault::{Purpose, Vault, VaultError};

/// What there is of an event's payload.
pub enum Payload {
    /// Its JSON text.
    Text(Zeroizing<String>),
    /// It is not kept, or not any more.
    Gone,
    /// It is kept and will never open: it was changed, or its data key is gone or damaged.
    Lost(StoredSnapshot),
}

/// The payload of an event.
///
/// # Errors
/// [`VaultError`] where it cannot be had now.
pub async fn open(
    store: &Store,
    vault: &Vault,
    (project, event): (ProjectId, EventId),
    now: Timestamp,
) -> Result<Payload, VaultError> {
    let Some(stored) = store.kept_payload(project, event, now).await? else {
        return Ok(Payload::Gone);
    };
    let purpose = Purpose::Snapshot(project, stored.era);
    let opened = vault.open_packed(purpose, event.as_bytes(), &stored.sealed).await;
    match opened {
        Ok(text) => Ok(Payload::Text(text)),
        Err(error) if error.is_final() || error.is_damage() => {
            tracing::warn!(%project, %event, %error, "a payload that is kept does not open");
            Ok(Payload::Lost(stored))
        }
        Err(error) => Err(error),
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(..)",
            Self::Gone => "Gone",
            Self::Lost(_) => "Lost(..)",
        })
    }
}
