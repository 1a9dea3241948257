//! Organizations and who belongs to them.

use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use super::rows::{self, Sql};
use super::users::{self, NewUser};
use super::{Store, StoreError, audit};

/// An organization in the making, with its owner.
#[derive(Debug, Clone)]
pub struct NewOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Its owner, who is new as well.
    pub owner: NewUser,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Store {
    /// Stores an organization and its owner.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where a user has this e-mail address already.
    pub async fn create_organization(
        &self,
        new: &NewOrganization,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let organization = Sql::new("INSERT INTO organizations (id, name, created_at) VALUES ({}, {}, {})")
            .bind(new.id.as_bytes())
            .bind(new.name.as_str())
            .bind(new.created_at);
        let member = Sql::new(
            "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({}, {}, 'owner', {})",
        )
        .bind(new.id.as_bytes())
        .bind(new.owner.id.as_bytes())
        .bind(new.created_at);
        let drafts = vec![
            Draft::new(
                origin,
                Action::OrganizationCreated,
                new.id,
                &[("name", &new.name)],
            ),
            Draft::new(
                origin,
                Action::UserCreated,
                new.owner.id,
                &[("email", &new.owner.email), ("role", "owner")],
            ),
        ];
        let drafts = audit::drafts_of(new.id, new.created_at, drafts);
        let writes = [organization, users::insert(&new.owner), member];
        self.commit_audited(&writes, &drafts).await
    }

    /// Whether there is such an organization.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn has_organization(&self, id: OrganizationId) -> Result<bool, StoreError> {
        let query = Sql::new("SELECT 1 AS found FROM organizations WHERE id = {}");
        Ok(query.bind(id.as_bytes()).one(&self.reader).await?.is_some())
    }

    /// The ids of all organizations.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn organization_ids(&self) -> Result<Vec<OrganizationId>, StoreError> {
        let found = Sql::new("SELECT id FROM organizations ORDER BY id")
            .all(&self.reader)
            .await?;
        let id = |row| Ok(OrganizationId::from_bytes(rows::id(row, "id")?));
        found.iter().map(id).collect()
    }
}
