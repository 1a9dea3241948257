//! Payloads of receipts, sealed before they wait for the store.
//!
//! A payload takes its room in memory before it waits for a key. One that cannot be sealed, or not in time, still lets
//! its receipt go to the store: it may be the repeat of one that was accepted, which is answered as that one was.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use sendpromptly_core::id::{EventId, ProjectId};

use super::App;
use crate::ingest::{IngestRequest, Kept, SealedPayload, Signal};
use crate::vault::{Purpose, VaultError};

/// How long a receipt waits until its payload is sealed. The key may have to come from the store, and its master key
/// from a command that takes its time.
const PATIENCE: Duration = Duration::from_secs(5);

impl App {
    /// Seals a receipt's payload where its project keeps payloads, and drops it where not.
    pub(super) async fn seal_payload(&self, request: &mut IngestRequest) {
        let (holder, now) = (request.project, request.received_at);
        let Signal::Receipt(receipt) = &mut request.signal else {
            return;
        };
        let payload = receipt.receipt.payload.take();
        let (Some(payload), Some(era)) = (payload, holder.snapshots) else {
            return;
        };
        let Some(room) = self.ingest.room_for(payload.expose().len()) else {
            receipt.payload = not_sealed(holder.project, "too many wait already");
            return;
        };
        let (vault, event, provider) = (self.vault.clone(), receipt.event, receipt.receipt.provider);
        let purpose = Purpose::Snapshot(holder.project, era);
        let sealing = async move {
            let payload = (payload.expose(), provider);
            let sealed = vault.seal_packed(purpose, event.as_bytes(), payload, now);
            let sealed = sealed.await?;
            Ok(SealedPayload { era, sealed, room })
        };
        receipt.payload = in_time(holder.project, sealing).await;
    }

    /// Seals a receipt's payload anew, for the event that its provider has announced in the meantime or long before.
    pub(super) async fn seal_payload_for(&self, event: EventId, request: &mut IngestRequest) {
        let (project, now) = (request.project.project, request.received_at);
        let Signal::Receipt(receipt) = &mut request.signal else {
            return;
        };
        let before = std::mem::replace(&mut receipt.event, event);
        let payload = match std::mem::replace(&mut receipt.payload, Kept::Unsealed) {
            Kept::Sealed(payload) => payload,
            other => {
                receipt.payload = other;
                return;
            }
        };
        let vault = self.vault.clone();
        let purpose = Purpose::Snapshot(project, payload.era);
        let sealing = async move {
            let packed = vault
                .open_sealed(purpose, before.as_bytes(), &payload.sealed)
                .await?;
            let sealed = vault.seal(purpose, event.as_bytes(), &packed, now).await?;
            Ok(SealedPayload { sealed, ..payload })
        };
        receipt.payload = in_time(project, sealing).await;
    }
}

/// Seals at once where the key is at hand, as it nearly always is. Whoever waits for one no longer leaves it at work, in
/// its room: the key that it asks for will be there for the next one.
async fn in_time(
    project: ProjectId,
    sealing: impl Future<Output = Result<SealedPayload, VaultError>> + Send + 'static,
) -> Kept {
    let mut sealing = Box::pin(sealing);
    let sealed = match poll_fn(|context| Poll::Ready(sealing.as_mut().poll(context))).await {
        Poll::Ready(sealed) => sealed,
        Poll::Pending => match tokio::time::timeout(PATIENCE, tokio::spawn(sealing)).await {
            Ok(Ok(sealed)) => sealed,
            Ok(Err(error)) => return not_sealed(project, &error.to_string()),
            Err(_) => return not_sealed(project, "its key did not come in time"),
        },
    };
    sealed.map_or_else(|error| not_sealed(project, &error.to_string()), Kept::Sealed)
}

fn not_sealed(project: ProjectId, why: &str) -> Kept {
    tracing::error!(%project, error = why, "a payload cannot be sealed, so its receipt is refused unless it is a repeat");
    Kept::Unsealed
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sendpromptly_core::time::Timestamp;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::platform::entropy;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_key_gives_up_in_time_and_the_sealing_keeps_its_room() {
        let project = ProjectId::new(Timestamp::from_millis(0), entropy::for_id());
        let room = Arc::new(Semaphore::new(1));
        let (held, key) = (
            room.clone().try_acquire_owned().unwrap(),
            Arc::new(Semaphore::new(0)),
        );
        let (asked, done) = (key.clone(), room.clone());
        let sealing = async move {
            let _held = held;
            let _ = asked.acquire().await;
            Err(VaultError::KeyIsGone)
        };
        assert!(matches!(in_time(project, sealing).await, Kept::Unsealed));
        assert_eq!(room.available_permits(), 0, "it waits on");
        key.add_permits(1);
        assert!(done.acquire().await.is_ok(), "it was not cut off");
    }
}
