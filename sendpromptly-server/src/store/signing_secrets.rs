//! Signing secrets, sealed: a project has one, and two while it rotates.

use sea_orm::QueryResult;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::project::Overlap;
use sendpromptly_core::time::{HOUR_MS, Timestamp};

use super::old_rows::OldRows;
use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError, audit};

/// A signing secret as it is stored.
#[derive(Debug, Clone)]
pub struct SealedSecret {
    /// Its row's id.
    pub id: [u8; 16],
    /// Whose callbacks it signs.
    pub project: ProjectId,
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` for the newest.
    pub expires_at: Option<Timestamp>,
}

/// A signing secret as a list shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedSecret {
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` for the newest.
    pub expires_at: Option<Timestamp>,
}

/// How a rotation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The new secret signs; those before it sign until then.
    Done {
        /// When those before it end.
        previous_expires_at: Timestamp,
    },
    /// Two are live already.
    TwoLive,
    /// There is no such project.
    NoProject,
}

impl SealedSecret {
    /// Whether callbacks are signed with it.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl Store {
    /// The signing secrets of a project, newest first, ended ones among them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn signing_secrets(&self, project: ProjectId) -> Result<Vec<SealedSecret>, StoreError> {
        let found = select(project).all(&self.reader).await?;
        found.iter().map(|row| secret_of(project, row)).collect()
    }

    /// The secrets of a project that are live now, newest first: when each was made, and when it ends.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn listed_secrets(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<Vec<ListedSecret>, StoreError> {
        let query = Sql::new(
            "SELECT s.created_at, s.expires_at FROM signing_secrets s JOIN projects p ON p.id = s.project_id
             WHERE s.project_id = {} AND p.organization_id = {} AND p.deleted_at IS NULL
                AND (s.expires_at IS NULL OR s.expires_at > {}) ORDER BY s.id DESC",
        );
        let query = query.bind(project.as_bytes()).bind(scope.as_bytes()).bind(now);
        let found = query.all(&self.reader).await?;
        found.iter().map(listed).collect()
    }

    /// Stores a new secret. The live ones before it end when the overlap is over; ended ones are forgotten.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn rotate_secret(
        &self,
        scope: OrganizationScope,
        new: &SealedSecret,
        overlap: Overlap,
        origin: &Origin,
    ) -> Result<Rotation, StoreError> {
        retried(|| self.try_rotate_secret(scope, new, overlap, origin)).await
    }

    async fn try_rotate_secret(
        &self,
        scope: OrganizationScope,
        new: &SealedSecret,
        overlap: Overlap,
        origin: &Origin,
    ) -> Result<Rotation, StoreError> {
        let now = new.created_at;
        let previous_expires_at = now.plus(overlap.length());
        let tx = self.begin().await?;
        if self.lock_project(&tx, scope, new.project).await?.is_none() {
            return Ok(Rotation::NoProject);
        }
        let stored = select(new.project).all(&tx).await?;
        let stored: Vec<_> = stored
            .iter()
            .map(|row| secret_of(new.project, row))
            .collect::<Result<_, _>>()?;
        let live = stored.iter().filter(|secret| secret.is_live(now)).count();
        if !overlap.allows(live) {
            return Ok(Rotation::TwoLive);
        }
        let end_live = Sql::new(
            "UPDATE signing_secrets SET expires_at = {}
             WHERE project_id = {} AND (expires_at IS NULL OR expires_at > {})",
        )
        .bind(previous_expires_at)
        .bind(new.project.as_bytes())
        .bind(now);
        let forget = Sql::new("DELETE FROM signing_secrets WHERE project_id = {} AND expires_at <= {}")
            .bind(new.project.as_bytes())
            .bind(now);
        let until = previous_expires_at.to_string();
        let draft = Draft::new(
            origin,
            Action::SecretRotated,
            new.project,
            &[("previous_expires_at", &until)],
        );
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        // Forgotten first: what ends now may still sign calls under way elsewhere.
        self.write_audited(&tx, vec![forget, end_live, insert(new)], &drafts)
            .await?;
        tx.commit().await?;
        Ok(Rotation::Done { previous_expires_at })
    }
}

/// The secrets of all projects that have ended, an hour ago or more: no call is under way that was to be signed
/// with one.
#[must_use]
pub fn old_secrets(now: Timestamp) -> OldRows {
    OldRows::up_to("signing_secrets", "expires_at", now.plus_millis(-HOUR_MS))
}

fn select(project: ProjectId) -> Sql {
    Sql::new(
        "SELECT id, sealed, created_at, expires_at FROM signing_secrets WHERE project_id = {} ORDER BY id DESC",
    )
    .bind(project.as_bytes())
}

pub(super) fn insert(secret: &SealedSecret) -> Sql {
    Sql::new("INSERT INTO signing_secrets (id, project_id, sealed, created_at) VALUES ({}, {}, {}, {})")
        .bind(secret.id)
        .bind(secret.project.as_bytes())
        .bind(secret.sealed.clone())
        .bind(secret.created_at)
}

fn listed(row: &QueryResult) -> Result<ListedSecret, StoreError> {
    Ok(ListedSecret {
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::optional_time(row, "expires_at")?,
    })
}

fn secret_of(project: ProjectId, row: &QueryResult) -> Result<SealedSecret, StoreError> {
    Ok(SealedSecret {
        id: rows::id(row, "id")?,
        project,
        sealed: rows::get(row, "sealed")?,
        created_at: rows::time(row, "created_at")?,
        expires_at: rows::optional_time(row, "expires_at")?,
    })
}
