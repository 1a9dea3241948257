//! What a project has agreed on with a provider that sends its events to us: secrets, sealed, two while they rotate,
//! and what the events mean.

use sea_orm::QueryResult;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::billing::Plan;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::intake::Mapping;
use sendpromptly_core::project::Overlap;
use sendpromptly_core::time::Timestamp;

use super::billing::{self, PLAN};
use super::old_rows::OldRows;
use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::signing_secrets::{ListedSecret, Rotation};
use super::{Store, StoreError, audit};

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// A provider's secret as it is stored.
#[derive(Debug, Clone)]
pub struct ProviderSecret {
    /// Its row's id.
    pub id: [u8; 16],
    /// The project to which the provider sends.
    pub project: ProjectId,
    /// The provider.
    pub provider: Provider,
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// When it was set.
    pub created_at: Timestamp,
    /// When it ends; `None` for the newest.
    pub expires_at: Option<Timestamp>,
}

/// What is needed to take events of a provider for a project.
#[derive(Debug, Clone)]
pub struct ProviderIntake {
    /// The project's timeout, in minutes.
    pub timeout_minutes: u32,
    /// What is known of the organization's subscription.
    pub plan: Plan,
    /// The secrets, newest first, ended ones among them.
    pub secrets: Vec<ProviderSecret>,
    /// What its events mean.
    pub mapping: Mapping,
}

/// The same as it is shown.
#[derive(Debug, Clone)]
pub struct ListedIntake {
    /// The secrets that are live now, newest first.
    pub secrets: Vec<ListedSecret>,
    /// What its events mean.
    pub mapping: Mapping,
}

impl Store {
    /// What is needed to take events of a provider; `None` where there is no such project or it has no secret.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn provider_intake(
        &self,
        project: ProjectId,
        provider: Provider,
    ) -> Result<Option<ProviderIntake>, StoreError> {
        let query = Sql::new(format!(
            "SELECT p.timeout_minutes, m.mapping, s.id, s.sealed, s.created_at, s.expires_at, {PLAN}
             FROM projects p JOIN organizations o ON o.id = p.organization_id
             JOIN provider_secrets s ON s.project_id = p.id AND s.provider = {{}}
             LEFT JOIN provider_mappings m ON m.project_id = p.id AND m.provider = s.provider
             WHERE p.id = {{}} AND p.deleted_at IS NULL ORDER BY s.id DESC"
        ));
        let found = query.bind(provider.as_str()).bind(project.as_bytes());
        let found = found.all(&self.reader).await?;
        let Some(first) = found.first() else {
            return Ok(None);
        };
        let secrets = found.iter().map(|row| secret_of(project, provider, row));
        Ok(Some(ProviderIntake {
            timeout_minutes: rows::count(first, "timeout_minutes")?,
            plan: billing::plan(first)?,
            secrets: secrets.collect::<Result<_, _>>()?,
            mapping: mapping_of(provider, first)?,
        }))
    }

    /// What a project has agreed on with a provider, to be shown.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn listed_intake(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        provider: Provider,
        now: Timestamp,
    ) -> Result<Option<ListedIntake>, StoreError> {
        let query = Sql::new(
            "SELECT m.mapping FROM projects p
             LEFT JOIN provider_mappings m ON m.project_id = p.id AND m.provider = {}
             WHERE p.id = {} AND p.organization_id = {} AND p.deleted_at IS NULL",
        );
        let query = query.bind(provider.as_str()).bind(project.as_bytes());
        let Some(row) = query.bind(scope.as_bytes()).one(&self.reader).await? else {
            return Ok(None);
        };
        let secrets = Sql::new(
            "SELECT created_at, expires_at FROM provider_secrets
             WHERE project_id = {} AND provider = {} AND (expires_at IS NULL OR expires_at > {}) ORDER BY id DESC",
        );
        let secrets = secrets.bind(project.as_bytes()).bind(provider.as_str()).bind(now);
        let secrets = secrets.all(&self.reader).await?;
        let listed = |row: &QueryResult| {
            Ok::<_, StoreError>(ListedSecret {
                created_at: rows::time(row, "created_at")?,
                expires_at: rows::optional_time(row, "expires_at")?,
            })
        };
        Ok(Some(ListedIntake {
            secrets: secrets.iter().map(listed).collect::<Result<_, _>>()?,
            mapping: mapping_of(provider, &row)?,
        }))
    }

    /// Stores a provider's new secret. The live ones before it end when the overlap is over.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn set_provider_secret(
        &self,
        scope: OrganizationScope,
        new: &ProviderSecret,
        overlap: Overlap,
        origin: &Origin,
    ) -> Result<Rotation, StoreError> {
        retried(|| self.try_set_provider_secret(scope, new, overlap, origin)).await
    }

    async fn try_set_provider_secret(
        &self,
        scope: OrganizationScope,
        new: &ProviderSecret,
        overlap: Overlap,
        origin: &Origin,
    ) -> Result<Rotation, StoreError> {
        let (now, provider) = (new.created_at, new.provider.as_str());
        let previous_expires_at = now.plus(overlap.length());
        let tx = self.begin().await?;
        if self.lock_project(&tx, scope, new.project).await?.is_none() {
            return Ok(Rotation::NoProject);
        }
        let live = Sql::new(
            "SELECT count(*) AS live FROM provider_secrets
             WHERE project_id = {} AND provider = {} AND (expires_at IS NULL OR expires_at > {})",
        );
        let live = live
            .bind(new.project.as_bytes())
            .bind(provider)
            .bind(now)
            .one(&tx)
            .await?;
        let live = live
            .map(|row| rows::count(&row, "live"))
            .transpose()?
            .unwrap_or(0);
        if !overlap.allows(usize::try_from(live).unwrap_or(usize::MAX)) {
            return Ok(Rotation::TwoLive);
        }
        let end_live = Sql::new(
            "UPDATE provider_secrets SET expires_at = {}
             WHERE project_id = {} AND provider = {} AND (expires_at IS NULL OR expires_at > {})",
        )
        .bind(previous_expires_at)
        .bind(new.project.as_bytes())
        .bind(provider)
        .bind(now);
        let until = previous_expires_at.to_string();
        let details: &[(&str, &str)] = &[("provider", provider), ("previous_expires_at", &until)];
        let draft = Draft::new(origin, Action::IntakeSecretSet, new.project, details);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.write_audited(&tx, vec![end_live, insert(new)], &drafts)
            .await?;
        tx.commit().await?;
        Ok(Rotation::Done { previous_expires_at })
    }

    /// Takes no more events of a provider: its secrets go. `false` where there is no such project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn stop_provider_intake(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        provider: Provider,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let write = || {
            Sql::new("DELETE FROM provider_secrets WHERE project_id = {} AND provider = {}")
                .bind(project.as_bytes())
                .bind(provider.as_str())
        };
        let action = Action::IntakeStopped;
        retried(|| self.try_change_intake(scope, project, provider, write(), action, origin, now)).await
    }

    /// Says what a provider's events mean; `None` for what they mean unless a project says so. `false` where there
    /// is no such project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn map_provider(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        provider: Provider,
        mapping: Option<&Mapping>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let write = || match mapping {
            Some(mapping) => Sql::new(
                "INSERT INTO provider_mappings (project_id, provider, mapping) VALUES ({}, {}, {})
                 ON CONFLICT (project_id, provider) DO UPDATE SET mapping = excluded.mapping",
            )
            .bind(project.as_bytes())
            .bind(provider.as_str())
            .bind(mapping.to_string()),
            None => Sql::new("DELETE FROM provider_mappings WHERE project_id = {} AND provider = {}")
                .bind(project.as_bytes())
                .bind(provider.as_str()),
        };
        let action = Action::IntakeMapped;
        retried(|| self.try_change_intake(scope, project, provider, write(), action, origin, now)).await
    }

    #[allow(clippy::too_many_arguments)] // one transaction, told whole
    async fn try_change_intake(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        provider: Provider,
        write: Sql,
        action: Action,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        if self.lock_project(&tx, scope, project).await?.is_none() {
            return Ok(false);
        }
        let draft = Draft::new(origin, action, project, &[("provider", provider.as_str())]);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.write_audited(&tx, vec![write], &drafts).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The secrets of all projects that have ended, an hour ago or more, as signing secrets go.
#[must_use]
pub fn old_secrets(now: Timestamp) -> OldRows {
    OldRows::up_to("provider_secrets", "expires_at", now.plus_millis(-HOUR_MS))
}

fn insert(secret: &ProviderSecret) -> Sql {
    Sql::new("INSERT INTO provider_secrets (id, project_id, provider, sealed, created_at) VALUES ({}, {}, {}, {}, {})")
        .bind(secret.id)
        .bind(secret.project.as_bytes())
        .bind(secret.provider.as_str())
        .bind(secret.sealed.clone())
        .bind(secret.created_at)
}

fn secret_of(
    project: ProjectId,
    provider: Provider,
    row: &QueryResult,
) -> Result<ProviderSecret, StoreError> {
    Ok(ProviderSecret {
        id: rows::id(row, "id")?,
        project,
        provider,
        sealed: rows::get(row, "sealed")?,
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::optional_time(row, "expires_at")?,
    })
}

/// A mapping that this version cannot read is one that only a later version wrote: it must not be passed over.
fn mapping_of(provider: Provider, row: &QueryResult) -> Result<Mapping, StoreError> {
    let text: Option<String> = rows::get(row, "mapping")?;
    match text {
        None => Ok(Mapping::default_of(provider)),
        Some(text) => text
            .parse()
            .map_err(|error| StoreError::Corrupt(format!("a mapping of {provider} cannot be read: {error}"))),
    }
}
