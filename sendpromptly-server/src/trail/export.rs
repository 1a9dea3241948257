//! An export: every entry of a chain as a line of JSON, and a signed checkpoint of its end.

use sendpromptly_core::audit::{Action, Draft, ExportLine, Head, Origin, SignedCheckpoint};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use crate::checkpoints::Checkpoints;
use crate::store::{Store, StoreError, audit};

/// Entries read at once.
const BATCH: u32 = 500;

/// An export under way. It holds one batch of entries at a time.
#[derive(Debug)]
pub struct Export {
    store: Store,
    organization: OrganizationId,
    /// The chain may grow meanwhile: what is exported ends here.
    head: Head,
    /// The last line; gone when it was given.
    checkpoint: Option<SignedCheckpoint>,
    after: u64,
}

impl Export {
    /// Begins an export, and notes in the log that it was made.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn begin(
        store: &Store,
        checkpoints: &Checkpoints,
        organization: OrganizationId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let draft = Draft::new(origin, Action::AuditExported, organization, &[]);
        let drafts = audit::drafts_of(organization, now, vec![draft]);
        store.commit_audited(&[], &drafts).await?;
        let head = store.audit_head(organization).await?;
        Ok(Self {
            store: store.clone(),
            organization,
            head,
            checkpoint: Some(checkpoints.sign(organization, head, now)),
            after: 0,
        })
    }

    /// The next lines, each with its line break; `None` after the last. An export whose last line is no checkpoint
    /// is not whole.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        if self.after < self.head.seq {
            let entries = self
                .store
                .audit_entries(self.organization, self.after, BATCH)
                .await?;
            self.after = entries.last().map_or(self.head.seq, |last| last.seq);
            let wanted = entries.into_iter().filter(|entry| entry.seq <= self.head.seq);
            return Ok(Some(
                wanted.map(|entry| line(&ExportLine::Entry(entry))).collect(),
            ));
        }
        let last = self.checkpoint.take();
        Ok(last.map(|checkpoint| line(&ExportLine::Checkpoint(checkpoint))))
    }
}

fn line(line: &ExportLine) -> String {
    let mut text = line.to_json();
    text.push('\n');
    text
}
