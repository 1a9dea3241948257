//! Projects: the payment flows that are monitored, and their settings.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::{OrganizationId, ProjectId};
use sendpromptly_core::time::Timestamp;
use url::Url;

use super::api_keys::{self, NewKey};
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::signing_secrets::{self, SealedSecret};
use super::snapshots::Era;
use super::{Store, StoreError, audit};

mod change;

pub use change::{ProjectChange, SnapshotChange, UrlChange};

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

impl Project {
    /// Scheme, host and port of its repair URL, which may be shown: the rest may hold a secret.
    #[must_use]
    pub fn repair_origin(&self) -> Option<String> {
        let url = Url::parse(self.repair_url.as_deref()?).ok()?;
        Some(url.origin().ascii_serialization())
    }
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
