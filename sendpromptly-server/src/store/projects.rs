//! Projects: the payment flows that are monitored, and their settings.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::{OrganizationId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::api_keys::{self, NewKey};
use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::signing_secrets::{self, SealedSecret};
use super::snapshots::{Era, passes as snapshots};
use super::{Store, StoreError, audit};

/// A project as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Its name.
    pub name: String,
    /// Whether it watches real money.
    pub mode: Mode,
    /// Where its callbacks go, as it was checked when it was saved. It may hold a secret.
    pub repair_url: Option<String>,
    /// How long an event waits for its result, in minutes.
    pub timeout_minutes: u32,
    /// How often at most a time-out is reprocessed without being asked.
    pub reprocess_timeouts: u32,
    /// Whether the heads of its repair endpoint's answers are kept.
    pub keep_answers: bool,
    /// Whether the payloads of its receipts are kept.
    pub keep_snapshots: bool,
    /// Whether a callback bears the payload that is kept of its event.
    pub send_payload: bool,
    /// How often what was kept has been deleted.
    pub snapshot_era: Era,
    /// For how many days its events are kept.
    pub events_kept_days: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

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

pub(super) const COLUMNS: &str =
    "p.id, p.organization_id, p.name, p.mode, p.repair_url, p.timeout_minutes, p.reprocess_timeouts,
    p.keep_answers, p.keep_snapshots, p.send_payload, p.snapshot_era, p.events_kept_days, p.created_at";

/// The ids of deleted projects that are not removed yet: few, and found by an index of their own.
pub(super) const DELETED: &str = "SELECT d.id FROM projects d WHERE d.deleted_at IS NOT NULL";

impl Store {
    /// The organization's project with this id.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn project(
        &self,
        scope: OrganizationScope,
        id: ProjectId,
    ) -> Result<Option<Project>, StoreError> {
        let found = select(scope, id, "").one(&self.reader).await?;
        found.as_ref().map(project_of).transpose()
    }

    /// The same, locked until the transaction ends.
    pub(super) async fn lock_project(
        &self,
        tx: &DatabaseTransaction,
        scope: OrganizationScope,
        id: ProjectId,
    ) -> Result<Option<Project>, StoreError> {
        let lock = self.dialect.for_update_of("p").to_string();
        let found = select(scope, id, &lock).one(tx).await?;
        found.as_ref().map(project_of).transpose()
    }

    /// The organization of a project, for an operator at the machine, who may see every project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn scope_of_project(&self, id: ProjectId) -> Result<Option<OrganizationScope>, StoreError> {
        let query =
            Sql::new("SELECT p.organization_id FROM projects p WHERE p.id = {} AND p.deleted_at IS NULL");
        let row = query.bind(id.as_bytes()).one(&self.reader).await?;
        row.map(|row| {
            let organization = OrganizationId::from_bytes(rows::id(&row, "organization_id")?);
            Ok(OrganizationScope::of_the_command_line(organization))
        })
        .transpose()
    }

    /// Stores a project with its first API key and signing secret.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn create_project(
        &self,
        new: &Project,
        key: &NewKey,
        secret: &SealedSecret,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let drafts = vec![
            Draft::new(
                origin,
                Action::ProjectCreated,
                new.id,
                &[("name", &new.name), ("mode", new.mode.as_str())],
            ),
            api_keys::created(key, origin),
        ];
        let drafts = audit::drafts_of(new.organization, new.created_at, drafts);
        let writes = [
            insert(new),
            api_keys::insert(key),
            signing_secrets::insert(secret),
        ];
        self.commit_audited(&writes, &drafts).await
    }

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

impl Store {
    /// Notes in the audit log that a test callback is sent to a project's repair URL, of which `shown` may be
    /// told.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_trial(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        shown: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let draft = Draft::new(origin, Action::ProjectTested, project, &[("repair_url", shown)]);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.commit_audited(&[], &drafts).await
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

fn select(scope: OrganizationScope, id: ProjectId, lock: &str) -> Sql {
    let query = Sql::new(format!(
        "SELECT {COLUMNS} FROM projects p
         WHERE p.id = {{}} AND p.organization_id = {{}} AND p.deleted_at IS NULL{lock}"
    ));
    query.bind(id.as_bytes()).bind(scope.as_bytes())
}

fn insert(project: &Project) -> Sql {
    Sql::new(
        "INSERT INTO projects (id, organization_id, name, mode, repair_url, timeout_minutes,
            reprocess_timeouts, keep_answers, events_kept_days, created_at)
         VALUES ({}, {}, {}, {}, NULLIF({}, ''), {}, {}, {}, {}, {})",
    )
    .bind(project.id.as_bytes())
    .bind(project.organization.as_bytes())
    .bind(project.name.as_str())
    .bind(project.mode.as_str())
    .bind(project.repair_url.as_deref().unwrap_or_default())
    .bind(project.timeout_minutes)
    .bind(project.reprocess_timeouts)
    .bind(project.keep_answers)
    .bind(project.events_kept_days)
    .bind(project.created_at)
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

pub(super) fn project_of(row: &QueryResult) -> Result<Project, StoreError> {
    Ok(Project {
        id: ProjectId::from_bytes(rows::id(row, "id")?),
        organization: OrganizationId::from_bytes(rows::id(row, "organization_id")?),
        name: rows::get(row, "name")?,
        mode: rows::word(row, "mode")?,
        repair_url: rows::get(row, "repair_url")?,
        timeout_minutes: rows::count(row, "timeout_minutes")?,
        reprocess_timeouts: rows::count(row, "reprocess_timeouts")?,
        keep_answers: rows::flag(row, "keep_answers")?,
        keep_snapshots: rows::flag(row, "keep_snapshots")?,
        send_payload: rows::flag(row, "send_payload")?,
        snapshot_era: Era::read(row)?,
        events_kept_days: rows::count(row, "events_kept_days")?,
        created_at: rows::time(row, "created_at")?,
    })
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
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
