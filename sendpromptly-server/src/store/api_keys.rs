//! API keys, of which only hashes are stored.

use sea_orm::QueryResult;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::billing::Plan;
use sendpromptly_core::credential::KeyHash;
use sendpromptly_core::id::{KeyId, OrganizationId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::billing::{self, PLAN};
use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::snapshots::Era;
use super::{Store, StoreError, audit};

/// An API key in the making.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// Its one project.
    pub project: ProjectId,
    /// What it is looked up by.
    pub hash: KeyHash,
    /// Four characters by which its owner can tell it from others.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An API key as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// Its id.
    pub id: KeyId,
    /// Four characters by which its owner can tell it from others.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last seen to travel in clear, give or take an hour.
    pub exposed_at: Option<Timestamp>,
}

/// How long one entry stands for all further exposures of a key: a sender in a loop must not flood the log.
const ONE_EXPOSURE_MILLIS: i64 = 60 * 60 * 1_000;

/// What an API key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key's id.
    pub key_id: KeyId,
    /// Its one project.
    pub project: ProjectId,
    /// The project's organization.
    pub organization: OrganizationId,
    /// The project's timeout, in minutes.
    pub timeout_minutes: u32,
    /// The era of the project's snapshots, where it keeps payloads.
    pub snapshots: Option<Era>,
    /// What the organization may do.
    pub plan: Plan,
}

impl Store {
    /// What the key with this hash opens; `None` for an unknown or a revoked one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn find_key(&self, hash: &KeyHash) -> Result<Option<KeyHolder>, StoreError> {
        let query = Sql::new(format!(
            "SELECT k.id, k.project_id, p.organization_id, p.timeout_minutes, p.keep_snapshots, p.snapshot_era, {PLAN}
             FROM api_keys k JOIN projects p ON p.id = k.project_id JOIN organizations o ON o.id = p.organization_id
             WHERE k.hash = {{}} AND k.revoked_at IS NULL AND k.scope = 'ingest' AND p.deleted_at IS NULL"
        ));
        let Some(row) = query.bind(hash.as_bytes()).one(&self.reader).await? else {
            return Ok(None);
        };
        let keeps_snapshots = rows::flag(&row, "keep_snapshots")?;
        Ok(Some(KeyHolder {
            key_id: KeyId::from_bytes(rows::id(&row, "id")?),
            project: ProjectId::from_bytes(rows::id(&row, "project_id")?),
            organization: OrganizationId::from_bytes(rows::id(&row, "organization_id")?),
            timeout_minutes: rows::count(&row, "timeout_minutes")?,
            snapshots: keeps_snapshots.then(|| Era::read(&row)).transpose()?,
            plan: billing::plan(&row)?,
        }))
    }

    /// Stores a further key of a project; `false` where there is no such project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn create_key(
        &self,
        scope: OrganizationScope,
        key: &NewKey,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        if self.project(scope, key.project).await?.is_none() {
            return Ok(false);
        }
        let drafts = audit::drafts_of(scope.id(), key.created_at, vec![created(key, origin)]);
        self.commit_audited(&[insert(key)], &drafts).await?;
        Ok(true)
    }

    /// The keys of a project in the order in which they were made, revoked ones among them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn keys(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
    ) -> Result<Vec<ListedKey>, StoreError> {
        let query = Sql::new(
            "SELECT k.id, k.hint, k.created_at, k.revoked_at, k.exposed_at
             FROM api_keys k JOIN projects p ON p.id = k.project_id
             WHERE k.project_id = {} AND p.organization_id = {} AND p.deleted_at IS NULL ORDER BY k.id",
        );
        let query = query.bind(project.as_bytes()).bind(scope.as_bytes());
        let found = query.all(&self.reader).await?;
        found.iter().map(listed).collect()
    }

    /// The project of a key, for an operator at the machine, who may see every project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn project_of_key(
        &self,
        id: KeyId,
    ) -> Result<Option<(OrganizationScope, ProjectId)>, StoreError> {
        self.project_of("api_keys", id.as_bytes()).await
    }

    /// Revokes a key and gives since when it is; `None` where there is none. A second time changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn revoke_key(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        id: KeyId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        retried(|| self.try_revoke_key(scope, project, id, origin, now)).await
    }

    async fn try_revoke_key(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        id: KeyId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let tx = self.begin().await?;
        let lock = self.dialect.for_update_of("k");
        let query = Sql::new(format!(
            "SELECT k.revoked_at, k.hint FROM api_keys k JOIN projects p ON p.id = k.project_id
             WHERE k.id = {{}} AND k.project_id = {{}} AND p.organization_id = {{}} AND p.deleted_at IS NULL{lock}"
        ));
        let query = query
            .bind(id.as_bytes())
            .bind(project.as_bytes())
            .bind(scope.as_bytes());
        let Some(row) = query.one(&tx).await? else {
            return Ok(None);
        };
        if let Some(revoked_at) = rows::optional_time(&row, "revoked_at")? {
            tx.rollback().await?;
            return Ok(Some(revoked_at));
        }
        let (project, hint): (_, String) = (project.to_string(), rows::get(&row, "hint")?);
        let details = [("project", project.as_str()), ("hint", hint.as_str())];
        let draft = Draft::new(origin, Action::ApiKeyRevoked, id, &details);
        let revoke = Sql::new("UPDATE api_keys SET revoked_at = {} WHERE id = {}")
            .bind(now)
            .bind(id.as_bytes());
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.write_audited(&tx, vec![revoke], &drafts).await?;
        tx.commit().await?;
        Ok(Some(now))
    }

    /// Records that a live key travelled in clear, and tells its organization; `false` where that was done within
    /// the hour, by any node, or the key was revoked meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_exposed_key(
        &self,
        key: &KeyHolder,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| async {
            // Most often there is nothing to do, and then nobody has to wait for the one writer.
            let due = Sql::new(format!("SELECT hint FROM api_keys {EXPOSURE_DUE}"));
            let Some(row) = exposure_due(due, key, now).one(&self.reader).await? else {
                return Ok(false);
            };
            let tx = self.begin().await?;
            let note = Sql::new(format!("UPDATE api_keys SET exposed_at = {{}} {EXPOSURE_DUE}")).bind(now);
            if exposure_due(note, key, now).run(&tx).await? == 0 {
                tx.rollback().await?;
                return Ok(false);
            }
            let (project, hint): (_, String) = (key.project.to_string(), rows::get(&row, "hint")?);
            let details = [("project", project.as_str()), ("hint", hint.as_str())];
            let draft = Draft::new(origin, Action::ApiKeyExposed, key.key_id, &details);
            let drafts = audit::drafts_of(key.organization, now, vec![draft]);
            self.write_audited(&tx, Vec::new(), &drafts).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }
}

const EXPOSURE_DUE: &str =
    "WHERE id = {} AND revoked_at IS NULL AND (exposed_at IS NULL OR exposed_at <= {})";

fn exposure_due(sql: Sql, key: &KeyHolder, now: Timestamp) -> Sql {
    sql.bind(key.key_id.as_bytes())
        .bind(now.plus_millis(-ONE_EXPOSURE_MILLIS))
}

/// What the audit log says of a new key.
pub(super) fn created(key: &NewKey, origin: &Origin) -> Draft {
    let project = key.project.to_string();
    Draft::new(
        origin,
        Action::ApiKeyCreated,
        key.id,
        &[("project", &project), ("hint", &key.hint)],
    )
}

pub(super) fn insert(key: &NewKey) -> Sql {
    Sql::new(
        "INSERT INTO api_keys (id, project_id, hash, hint, scope, created_at) VALUES ({}, {}, {}, {}, 'ingest', {})",
    )
    .bind(key.id.as_bytes())
    .bind(key.project.as_bytes())
    .bind(key.hash.as_bytes())
    .bind(key.hint.as_str())
    .bind(key.created_at)
}

fn listed(row: &QueryResult) -> Result<ListedKey, StoreError> {
    Ok(ListedKey {
        id: KeyId::from_bytes(rows::id(row, "id")?),
        hint: rows::get(row, "hint")?,
        created_at: rows::time(row, "created_at")?,
        revoked_at: rows::optional_time(row, "revoked_at")?,
        exposed_at: rows::optional_time(row, "exposed_at")?,
    })
}

#[cfg(test)]
mod tests;
