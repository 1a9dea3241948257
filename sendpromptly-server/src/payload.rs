//! The payload that is kept of an event, opened: for whoever may see it, and to go along with a callback.

use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::store::{Store, StoreError};
use crate::vault::{Purpose, Vault, VaultError};

/// The JSON text of an event's payload; `None` where it is not kept, not any more, or does not open for good.
///
/// # Errors
/// [`VaultError`] where it cannot be had now.
pub async fn open(
    store: &Store,
    vault: &Vault,
    (project, event): (ProjectId, EventId),
    now: Timestamp,
) -> Result<Option<Zeroizing<String>>, VaultError> {
    let Some(stored) = store.kept_payload(project, event, now).await? else {
        return Ok(None);
    };
    let purpose = Purpose::Snapshot(project, stored.era);
    let opened = vault.open_sealed(purpose, event.as_bytes(), &stored.sealed).await;
    match opened {
        Ok(plain) => text(&plain).map(Some),
        Err(error) if error.is_final() => {
            tracing::warn!(%project, %event, %error, "a payload that is kept does not open");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What was sealed is text, for it was part of a receipt's body.
fn text(plain: &[u8]) -> Result<Zeroizing<String>, VaultError> {
    let text = std::str::from_utf8(plain);
    let text = text.map_err(|_| StoreError::Corrupt("a payload is UTF-8".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}
