//! Payloads that are kept, for the tests.

use sendpromptly_core::id::EventId;

use super::World;
use crate::store::rows::Sql;
use crate::store::snapshots::{self, Era, NewSnapshot};
use crate::vault::{Purpose, Vault};

impl World {
    /// Has its project keep payloads, in the era in which it is.
    pub(crate) async fn keep_snapshots(&self) {
        let keep = Sql::new("UPDATE projects SET keep_snapshots = 1 WHERE id = {}");
        self.write(keep.bind(self.project.as_bytes())).await;
    }

    /// Keeps a payload of an event, as the API does: sealed when the event was received.
    pub(crate) async fn keep_payload(&self, vault: &Vault, event: EventId, payload: &str) {
        let era = Sql::new("SELECT snapshot_era AS n FROM projects WHERE id = {}");
        let era = self.number(era.bind(self.project.as_bytes())).await;
        let era = Era::new(u32::try_from(era).unwrap());
        let purpose = Purpose::Snapshot(self.project, era);
        let sealed = vault
            .seal(purpose, event.as_bytes(), payload.as_bytes(), event.made_at())
            .await
            .unwrap();
        let new = NewSnapshot {
            project: self.project,
            event,
            era,
            received_at: event.made_at(),
            sealed: &sealed,
        };
        let insert = snapshots::insert(self.store.dialect(), [new]);
        self.store.commit_together(vec![insert]).await.unwrap();
    }
}
