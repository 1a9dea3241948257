//! API keys, of which only hashes are stored.

use sendpromptly_core::credential::KeyHash;
use sendpromptly_core::id::{KeyId, OrganizationId, ProjectId};

use super::rows::{self, Sql};
use super::{Store, StoreError};

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
}

impl Store {
    /// What the key with this hash opens; `None` for an unknown or a revoked one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn find_key(&self, hash: &KeyHash) -> Result<Option<KeyHolder>, StoreError> {
        let query = Sql::new(
            "SELECT k.id, k.project_id, p.organization_id, p.timeout_minutes
             FROM api_keys k JOIN projects p ON p.id = k.project_id
             WHERE k.hash = {} AND k.revoked_at IS NULL AND k.scope = 'ingest'",
        );
        let Some(row) = query.bind(hash.as_bytes()).one(&self.reader).await? else {
            return Ok(None);
        };
        Ok(Some(KeyHolder {
            key_id: KeyId::from_bytes(rows::id(&row, "id")?),
            project: ProjectId::from_bytes(rows::id(&row, "project_id")?),
            organization: OrganizationId::from_bytes(rows::id(&row, "organization_id")?),
            timeout_minutes: rows::count(&row, "timeout_minutes")?,
        }))
    }
}
