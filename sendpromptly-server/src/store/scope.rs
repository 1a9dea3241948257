//! Whose data a query may see, as a type: a query that takes an [`OrganizationScope`] cannot be asked on behalf of
//! somebody who does not belong to the organization.

use sendpromptly_core::access::Role;
use sendpromptly_core::billing::Plan;
use sendpromptly_core::id::{OrganizationId, ProjectId, UserId};
use sendpromptly_core::time::Timestamp;

use super::billing::{self, PLAN};
use super::rows::{self, Sql};
use super::{Store, StoreError};

/// An organization that the asker belongs to. Only this module makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OrganizationScope(OrganizationId);

impl OrganizationScope {
    /// The organization.
    #[must_use]
    pub const fn id(self) -> OrganizationId {
        self.0
    }

    /// The scope of an operator at the machine, who may see every organization.
    #[must_use]
    pub const fn of_the_command_line(organization: OrganizationId) -> Self {
        Self(organization)
    }

    /// The 16 bytes that a store holds.
    pub(super) const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

/// A user's place in an organization.
#[derive(Debug, Clone)]
pub struct Membership {
    /// The organization.
    pub scope: OrganizationScope,
    /// Its name.
    pub name: String,
    /// What the user may do there.
    pub role: Role,
    /// Whether the organization lets in only members with a second factor.
    pub requires_second_factor: bool,
    /// When the organization will be deleted, where an owner has ordered that.
    pub deletion_due_at: Option<Timestamp>,
    /// What the organization may do.
    pub plan: Plan,
}

impl Store {
    /// A user's place in an organization; `None` where the user does not belong to it, or there is none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn membership(
        &self,
        user: UserId,
        organization: OrganizationId,
    ) -> Result<Option<Membership>, StoreError> {
        let query = Sql::new(format!(
            "SELECT o.id, o.name, o.requires_second_factor, o.deletion_due_at, m.role, {PLAN}
             FROM members m JOIN organizations o ON o.id = m.organization_id
             WHERE m.organization_id = {{}} AND m.user_id = {{}}"
        ));
        let query = query.bind(organization.as_bytes()).bind(user.as_bytes());
        let row = query.one(&self.reader).await?;
        row.as_ref().map(membership).transpose()
    }

    /// A user's places, by the names of the organizations.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn memberships(&self, user: UserId) -> Result<Vec<Membership>, StoreError> {
        let query = Sql::new(format!(
            "SELECT o.id, o.name, o.requires_second_factor, o.deletion_due_at, m.role, {PLAN}
             FROM members m JOIN organizations o ON o.id = m.organization_id
             WHERE m.user_id = {{}} ORDER BY o.name, o.id"
        ));
        let found = query.bind(user.as_bytes()).all(&self.reader).await?;
        found.iter().map(membership).collect()
    }

    /// Whose the row of a table is that belongs to a project, for an operator at the machine, who may see every one.
    pub(super) async fn project_of(
        &self,
        table: &'static str,
        id: &[u8; 16],
    ) -> Result<Option<(OrganizationScope, ProjectId)>, StoreError> {
        let query = Sql::new(format!(
            "SELECT p.organization_id, p.id FROM {table} t JOIN projects p ON p.id = t.project_id
             WHERE t.id = {{}} AND p.deleted_at IS NULL"
        ));
        let row = query.bind(id).one(&self.reader).await?;
        row.map(|row| {
            let organization = OrganizationId::from_bytes(rows::id(&row, "organization_id")?);
            let project = ProjectId::from_bytes(rows::id(&row, "id")?);
            Ok((OrganizationScope(organization), project))
        })
        .transpose()
    }
}

fn membership(row: &sea_orm::QueryResult) -> Result<Membership, StoreError> {
    Ok(Membership {
        scope: OrganizationScope(OrganizationId::from_bytes(rows::id(row, "id")?)),
        name: rows::get(row, "name")?,
        role: rows::word(row, "role")?,
        requires_second_factor: rows::get::<i64>(row, "requires_second_factor")? != 0,
        deletion_due_at: rows::optional_time(row, "deletion_due_at")?,
        plan: billing::plan(row)?,
    })
}
