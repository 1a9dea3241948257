//! Changes of a project's settings, and what the audit log tells of them.

use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;

use super::Project;
use crate::store::retry::retried;
use crate::store::rows::Sql;
use crate::store::scope::OrganizationScope;
use crate::store::snapshots::passes as snapshots;
use crate::store::{Store, StoreError, audit};

/// What to change of a project; `None` leaves it.
#[derive(Clone, Default)]
pub struct ProjectChange {
    /// A new name.
    pub name: Option<String>,
    /// What becomes of the repair URL.
    pub repair_url: UrlChange,
    /// A new timeout, in minutes.
    pub timeout_minutes: Option<u32>,
    /// How often at most time-outs are reprocessed without being asked from now on.
    pub reprocess_timeouts: Option<u32>,
    /// Whether the heads of answers are kept from now on.
    pub keep_answers: Option<bool>,
    /// What becomes of the payloads of receipts.
    pub snapshots: SnapshotChange,
    /// Whether callbacks of replays that are ordered from now on bear the payload.
    pub send_payload: Option<bool>,
    /// For how many days events are kept from now on.
    pub events_kept_days: Option<u32>,
}

/// What becomes of the payloads of a project's receipts. They are deleted only where no more are kept: what comes
/// in the seconds that it takes to be known everywhere would be gone or not, as it happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SnapshotChange {
    /// As before.
    #[default]
    Leave,
    /// They are kept from now on.
    On,
    /// No more are kept from now on. What is kept stays until its time is over.
    Off,
    /// No more are kept, and those that are kept are gone at once.
    OffAndDelete,
}

/// What becomes of a project's repair URL.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum UrlChange {
    /// It stays.
    #[default]
    Keep,
    /// Nobody is called any more.
    Remove,
    /// It is this one from now on.
    Set {
        /// The URL, which may hold a secret.
        url: String,
        /// What of it an audit entry may show.
        origin: String,
    },
}

impl Store {
    /// Changes a project, and gives it as it is then; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn change_project(
        &self,
        scope: OrganizationScope,
        id: ProjectId,
        change: &ProjectChange,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Project>, StoreError> {
        retried(|| self.try_change_project(scope, id, change, origin, now)).await
    }

    async fn try_change_project(
        &self,
        scope: OrganizationScope,
        id: ProjectId,
        change: &ProjectChange,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Project>, StoreError> {
        let tx = self.begin().await?;
        let Some(before) = self.lock_project(&tx, scope, id).await? else {
            return Ok(None);
        };
        let after = before.with(change);
        if after == before {
            tx.rollback().await?;
            return Ok(Some(after));
        }
        let details = before.differences(&after, change);
        let details: Vec<_> = details
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let mut drafts = Vec::new();
        if !details.is_empty() {
            drafts.push(Draft::new(origin, Action::ProjectChanged, id, &details));
        }
        let deletes = after.snapshot_era != before.snapshot_era;
        let mut deleted_at = None;
        if deletes {
            deleted_at = Some(snapshots::deleted_up_to(&tx, id, now).await?);
        }
        let mut writes = vec![update(&after, deleted_at)];
        if deletes {
            drafts.push(Draft::new(origin, Action::SnapshotsDeleted, id, &[]));
            writes.push(snapshots::destroy_keys(id));
        }
        let drafts = audit::drafts_of(after.organization, now, drafts);
        self.write_audited(&tx, writes, &drafts).await?;
        tx.commit().await?;
        Ok(Some(after))
    }
}

impl Project {
    fn with(&self, change: &ProjectChange) -> Self {
        let mut after = self.clone();
        if let Some(name) = &change.name {
            after.name.clone_from(name);
        }
        match &change.repair_url {
            UrlChange::Keep => {}
            UrlChange::Remove => after.repair_url = None,
            UrlChange::Set { url, .. } => after.repair_url = Some(url.clone()),
        }
        if let Some(minutes) = change.timeout_minutes {
            after.timeout_minutes = minutes;
        }
        if let Some(times) = change.reprocess_timeouts {
            after.reprocess_timeouts = times;
        }
        if let Some(keep) = change.keep_answers {
            after.keep_answers = keep;
        }
        match change.snapshots {
            SnapshotChange::Leave => {}
            SnapshotChange::On => after.keep_snapshots = true,
            SnapshotChange::Off => after.keep_snapshots = false,
            SnapshotChange::OffAndDelete => {
                after.keep_snapshots = false;
                after.snapshot_era = self.snapshot_era.next();
            }
        }
        if let Some(send) = change.send_payload {
            after.send_payload = send;
        }
        if let Some(days) = change.events_kept_days {
            after.events_kept_days = days;
        }
        after
    }

    /// What an audit entry tells of a change: the new values, of a repair URL its origin only.
    fn differences(&self, after: &Self, change: &ProjectChange) -> Vec<(&'static str, String)> {
        let mut told = Vec::new();
        if self.name != after.name {
            told.push(("name", after.name.clone()));
        }
        if self.repair_url != after.repair_url {
            told.push(("repair_url", change.repair_url.shown().to_owned()));
        }
        if self.timeout_minutes != after.timeout_minutes {
            told.push(("timeout_minutes", after.timeout_minutes.to_string()));
        }
        if self.reprocess_timeouts != after.reprocess_timeouts {
            told.push(("reprocess_timeouts", after.reprocess_timeouts.to_string()));
        }
        if self.keep_answers != after.keep_answers {
            told.push(("keep_answers", after.keep_answers.to_string()));
        }
        if self.keep_snapshots != after.keep_snapshots {
            told.push(("snapshots", after.keep_snapshots.to_string()));
        }
        if self.send_payload != after.send_payload {
            told.push(("send_payload", after.send_payload.to_string()));
        }
        if self.events_kept_days != after.events_kept_days {
            told.push(("events_kept_days", after.events_kept_days.to_string()));
        }
        told
    }
}

impl UrlChange {
    /// What an audit entry may show of it.
    fn shown(&self) -> &str {
        match self {
            Self::Keep => "",
            Self::Remove => "none",
            Self::Set { origin, .. } => origin,
        }
    }
}

/// `deleted_at` is the time at which its snapshots were deleted, if they are now; their rows go bit by bit.
fn update(project: &Project, deleted_at: Option<Timestamp>) -> Sql {
    Sql::new(
        "UPDATE projects SET name = {}, repair_url = NULLIF({}, ''), timeout_minutes = {},
            reprocess_timeouts = {}, keep_answers = {}, keep_snapshots = {}, send_payload = {}, snapshot_era = {},
            snapshots_deleted_at = COALESCE({}, snapshots_deleted_at),
            events_kept_days = {}
         WHERE id = {}",
    )
    .bind(project.name.as_str())
    .bind(project.repair_url.as_deref().unwrap_or_default())
    .bind(project.timeout_minutes)
    .bind(project.reprocess_timeouts)
    .bind(project.keep_answers)
    .bind(project.keep_snapshots)
    .bind(project.send_payload)
    .bind(project.snapshot_era.number())
    .bind(deleted_at)
    .bind(project.events_kept_days)
    .bind(project.id.as_bytes())
}

impl std::fmt::Debug for UrlChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UrlChange(..)")
    }
}

impl std::fmt::Debug for ProjectChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProjectChange(..)")
    }
}
