//! Organizations and who belongs to them.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::{OrganizationId, UserId};
use sendpromptly_core::project::Name;
use sendpromptly_core::time::Timestamp;

use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::users::{self, NewUser};
use super::{Store, StoreError, audit};

/// A user who owns so many organizations makes no more: what users do is told in the log of each that they belong to.
pub const MOST_OWNED: u32 = 20;

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

/// An organization as an operator at the machine sees it, who may see every one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// How many users are in it.
    pub members: u32,
    /// How many projects it has.
    pub projects: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it is deleted, where that is ordered.
    pub deletion_due_at: Option<Timestamp>,
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
        let organization = insert(new.id, &new.name, new.created_at);
        let member = insert_owner(new.id, new.owner.id, new.created_at);
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

    /// Stores another organization of a user, who owns it. Gives whether it was made, for a user may own no more than
    /// [`MOST_OWNED`].
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn add_organization(
        &self,
        id: OrganizationId,
        name: &Name,
        owner: UserId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let more = [("name", name.as_str())];
        let draft = Draft::new(origin, Action::OrganizationCreated, id, &more);
        let drafts = audit::drafts_of(id, now, vec![draft]);
        retried(|| async {
            let tx = self.begin().await?;
            if self.owned_by(&tx, owner).await? >= MOST_OWNED {
                return Ok(false);
            }
            let writes = vec![insert(id, name.as_str(), now), insert_owner(id, owner, now)];
            self.write_audited(&tx, writes, &drafts).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// How many organizations a user owns. The user is held, so that nobody makes another one meanwhile.
    async fn owned_by(&self, tx: &DatabaseTransaction, user: UserId) -> Result<u32, StoreError> {
        let lock = self.dialect.for_update_of("u");
        let held = Sql::new(format!("SELECT u.id FROM users u WHERE u.id = {{}}{lock}"));
        held.bind(user.as_bytes()).one(tx).await?;
        let owned = Sql::new("SELECT count(*) AS n FROM members WHERE user_id = {} AND role = 'owner'");
        let row = owned.bind(user.as_bytes()).one(tx).await?;
        row.map_or(Ok(0), |row| rows::count(&row, "n"))
    }

    /// Gives an organization another name. The audit log tells of it where the name is another one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn rename_organization(
        &self,
        scope: OrganizationScope,
        name: &Name,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        retried(|| async {
            let update = Sql::new("UPDATE organizations SET name = {} WHERE id = {} AND name <> {}");
            let update = update.bind(name.as_str()).bind(scope.as_bytes());
            let tx = self.begin().await?;
            if update.bind(name.as_str()).run(&tx).await? == 0 {
                return Ok(());
            }
            let more = [("name", name.as_str())];
            let draft = Draft::new(origin, Action::OrganizationChanged, scope.id(), &more);
            let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
            self.write_audited(&tx, Vec::new(), &drafts).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Whether there is such an organization. One whose deletion was carried out is none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn has_organization(&self, id: OrganizationId) -> Result<bool, StoreError> {
        let query = Sql::new("SELECT 1 AS found FROM organizations WHERE id = {} AND deleted_at IS NULL");
        Ok(query.bind(id.as_bytes()).one(&self.reader).await?.is_some())
    }

    /// The organizations in the order in which they were made. Those whose deletion was carried out are none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn organizations(&self) -> Result<Vec<ListedOrganization>, StoreError> {
        let query = Sql::new(
            "SELECT o.id, o.name, o.created_at, o.deletion_due_at,
                (SELECT count(*) FROM members m WHERE m.organization_id = o.id) AS members,
                (SELECT count(*) FROM projects p WHERE p.organization_id = o.id AND p.deleted_at IS NULL) AS projects
             FROM organizations o WHERE o.deleted_at IS NULL ORDER BY o.id",
        );
        query.all(&self.reader).await?.iter().map(listed).collect()
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

fn listed(row: &QueryResult) -> Result<ListedOrganization, StoreError> {
    Ok(ListedOrganization {
        id: OrganizationId::from_bytes(rows::id(row, "id")?),
        name: rows::get(row, "name")?,
        members: rows::count(row, "members")?,
        projects: rows::count(row, "projects")?,
        created_at: rows::time(row, "created_at")?,
        deletion_due_at: rows::optional_time(row, "deletion_due_at")?,
    })
}

/// Stores an organization, as part of a transaction.
pub(super) fn insert(id: OrganizationId, name: &str, now: Timestamp) -> Sql {
    Sql::new("INSERT INTO organizations (id, name, created_at) VALUES ({}, {}, {})")
        .bind(id.as_bytes())
        .bind(name)
        .bind(now)
}

/// Makes a user the owner of a new organization, as part of a transaction.
pub(super) fn insert_owner(id: OrganizationId, owner: UserId, now: Timestamp) -> Sql {
    Sql::new("INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({}, {}, 'owner', {})")
        .bind(id.as_bytes())
        .bind(owner.as_bytes())
        .bind(now)
}

#[cfg(test)]
mod tests;
