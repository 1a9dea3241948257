//! An export: every entry of a chain as a line of JSON, and a signed checkpoint of its end.

use sendpromptly_core::audit::{Action, Draft, Entry, ExportLine, Head, Origin, SignedCheckpoint};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use crate::checkpoints::Checkpoints;
use crate::store::audit_chain::Chain;
use crate::store::takeout::Takeout;
use crate::store::{Store, StoreError, audit};

/// Entries read at once.
const BATCH: u32 = 500;

/// An export under way. It holds one batch of entries at a time.
#[derive(Debug)]
pub struct Export<'a> {
    source: Source<'a>,
    /// The chain may grow meanwhile: what is exported ends here.
    head: Head,
    /// The last lines: where the log was pruned, and where the export ends. Gone when they were given.
    checkpoints: Vec<SignedCheckpoint>,
    after: u64,
}

/// Whose chain is exported, and as of when.
#[derive(Debug)]
enum Source<'a> {
    /// As it is whenever it is read.
    Store(Store, OrganizationId),
    /// As it was when the takeout was begun.
    Takeout(&'a Takeout),
}

impl Source<'_> {
    fn chain(&self) -> Chain<'_> {
        match self {
            Self::Store(store, organization) => store.chain(*organization),
            Self::Takeout(takeout) => takeout.chain(),
        }
    }
}

impl<'a> Export<'a> {
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
        Self::of(Source::Store(store.clone(), organization), checkpoints, now).await
    }

    /// Begins an export of the log as it was when a takeout was begun, of which the log tells already.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn of_takeout(
        takeout: &'a Takeout,
        checkpoints: &Checkpoints,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        Self::of(Source::Takeout(takeout), checkpoints, now).await
    }

    async fn of(source: Source<'a>, checkpoints: &Checkpoints, now: Timestamp) -> Result<Self, StoreError> {
        let head = source.chain().head().await?;
        let pruned = source.chain().prune_checkpoint().await?;
        let after = pruned.map_or(0, |signed| signed.checkpoint.seq);
        let end = checkpoints.sign(source.chain().organization(), head, now);
        Ok(Self {
            source,
            head,
            checkpoints: pruned.into_iter().chain([end]).collect(),
            after,
        })
    }

    /// The next lines, each with its line break; `None` after the last. An export whose last line is no checkpoint
    /// is not whole.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        if self.after < self.head.seq {
            let entries = self.source.chain().entries(self.after, BATCH).await?;
            self.must_not_be_pruned(entries.first()).await?;
            self.after = entries.last().map_or(self.head.seq, |last| last.seq);
            let wanted = entries.into_iter().filter(|entry| entry.seq <= self.head.seq);
            return Ok(Some(
                wanted.map(|entry| line(&ExportLine::Entry(entry))).collect(),
            ));
        }
        let last = std::mem::take(&mut self.checkpoints);
        let lines = last
            .into_iter()
            .map(|signed| line(&ExportLine::Checkpoint(signed)));
        Ok(Some(lines.collect()).filter(|lines: &String| !lines.is_empty()))
    }

    /// A pruning while an export is under way may take what comes next.
    async fn must_not_be_pruned(&self, next: Option<&Entry>) -> Result<(), StoreError> {
        if next.is_some_and(|entry| entry.seq == self.after + 1) {
            return Ok(());
        }
        let pruned = self.source.chain().prune_checkpoint().await?;
        if pruned.is_some_and(|signed| signed.checkpoint.seq > self.after) {
            return Err(StoreError::Again(
                "the log's old end was dropped while it was exported; export it again".to_owned(),
            ));
        }
        Ok(())
    }
}

fn line(line: &ExportLine) -> String {
    let mut text = line.to_json();
    text.push('\n');
    text
}
