//! Deleting a user: what is theirs goes at once, and an id is left where others' history names them.

use std::collections::BTreeSet;

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::access::Role;
use sendpromptly_core::audit::{Action, Draft, INSTANCE, Origin, addresses_in};
use sendpromptly_core::id::{OrganizationId, UserId};
use sendpromptly_core::membership::Standing;
use sendpromptly_core::time::Timestamp;

use super::audit::Drafts;
use super::erasures::NewErasure;
use super::retry::retried;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError, data_keys};

#[cfg(test)]
mod tests;

const IDS: &[Column] = &[Column::new("id", Kind::Id)];

/// How the deletion of a user ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserDeletion {
    /// The user is gone. What the audit log tells of the user's addresses waits to be erased.
    Done,
    /// These organizations, by name, have no other owner.
    LastOwner(Vec<String>),
    /// There is no such user.
    NoUser,
}

/// A user's place in an organization, read under the organization's lock.
struct Place {
    organization: OrganizationId,
    name: String,
    standing: Standing,
}

/// What is theirs alone, by the column that names them; last what the rows before refer to.
const THEIRS: &[(&str, &str)] = &[
    ("second_factor_proposals", "user_id"),
    ("second_factors", "user_id"),
    ("recovery_codes", "user_id"),
    ("sessions", "user_id"),
    ("known_devices", "user_id"),
    ("failed_sign_ins", "account"),
    ("links", "subject_id"),
    ("members", "user_id"),
    ("users", "id"),
];

impl Store {
    /// Deletes a user, unless an organization would be left without an owner. Whatever is the user's goes with one
    /// commit, and each of the user's organizations is told. The instance's log is told too: after a restore it
    /// says whom to delete again.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn delete_user(
        &self,
        user: UserId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<UserDeletion, StoreError> {
        retried(|| self.try_delete_user(user, origin, now)).await
    }

    async fn try_delete_user(
        &self,
        user: UserId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<UserDeletion, StoreError> {
        let mut addresses = self.earlier_addresses(user).await?;
        let tx = self.begin().await?;
        let locked = self.lock_organizations_of(&tx, user).await?;
        let lock = self.dialect.for_update_of("u");
        let query = Sql::new(format!("SELECT u.email_key FROM users u WHERE u.id = {{}}{lock}"));
        let Some(row) = query.bind(user.as_bytes()).one(&tx).await? else {
            return Ok(UserDeletion::NoUser);
        };
        let email_key: String = rows::get(&row, "email_key")?;
        let places = places_of(&tx, user).await?;
        if places.iter().any(|place| !locked.contains(&place.organization)) {
            return Err(StoreError::Again(
                "the user has become a member elsewhere meanwhile".to_owned(),
            ));
        }
        let alone = places.iter().filter(|place| place.standing.leave().is_err());
        let alone: Vec<_> = alone.map(|place| place.name.clone()).collect();
        if !alone.is_empty() {
            return Ok(UserDeletion::LastOwner(alone));
        }
        let mut drafts = told_of(&places, user, origin, now);
        void_invitations(&tx, user, &email_key, origin, now, &mut drafts).await?;
        remove(&tx, user, &email_key).await?;
        addresses.insert(email_key);
        let erasure = NewErasure {
            user,
            addresses: &addresses,
            created_at: now,
        };
        self.write_audited(&tx, vec![erasure.insert()], &drafts).await?;
        tx.commit().await?;
        Ok(UserDeletion::Done)
    }

    /// Addresses that the user had before, as far as the audit log tells of them.
    async fn earlier_addresses(&self, user: UserId) -> Result<BTreeSet<String>, StoreError> {
        let by_target = self.dialect.by_index("audit_entries_by_target");
        let query = Sql::new(format!(
            "SELECT d.details FROM audit_heads h
             CROSS JOIN audit_entries e{by_target}
             JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
             WHERE e.organization_id = h.organization_id AND e.target = {{}} AND e.action IN ({{}}, {{}})"
        ));
        let found = query
            .bind(user.to_string())
            .bind(Action::UserCreated.as_str())
            .bind(Action::EmailChanged.as_str())
            .all(&self.reader)
            .await?;
        let mut addresses = BTreeSet::new();
        for row in &found {
            addresses.extend(addresses_in(&rows::get::<String>(row, "details")?));
        }
        Ok(addresses)
    }

    /// Holds everybody else who changes the members of the user's organizations. They are locked in the order of
    /// their ids, and before the user, as others do.
    async fn lock_organizations_of(
        &self,
        tx: &DatabaseTransaction,
        user: UserId,
    ) -> Result<BTreeSet<OrganizationId>, StoreError> {
        let lock = self.dialect.for_update_of("o");
        let query = Sql::new(format!(
            "SELECT o.id FROM organizations o WHERE o.id IN (SELECT organization_id FROM members WHERE user_id = {{}})
             ORDER BY o.id{lock}"
        ));
        let found = query.bind(user.as_bytes()).all(tx).await?;
        let id = |row| Ok(OrganizationId::from_bytes(rows::id(row, "id")?));
        found.iter().map(id).collect()
    }
}

async fn places_of(tx: &DatabaseTransaction, user: UserId) -> Result<Vec<Place>, StoreError> {
    let query = Sql::new(
        "SELECT m.organization_id, o.name, m.role,
            (SELECT count(*) FROM members n WHERE n.organization_id = m.organization_id AND n.role = 'owner') AS owners
         FROM members m JOIN organizations o ON o.id = m.organization_id WHERE m.user_id = {} ORDER BY o.name, o.id",
    );
    let found = query.bind(user.as_bytes()).all(tx).await?;
    found.iter().map(place_of).collect()
}

fn place_of(row: &QueryResult) -> Result<Place, StoreError> {
    let role: Role = rows::word(row, "role")?;
    Ok(Place {
        organization: OrganizationId::from_bytes(rows::id(row, "organization_id")?),
        name: rows::get(row, "name")?,
        standing: Standing {
            actor: role,
            member: role,
            owners: rows::count(row, "owners")?,
        },
    })
}

/// One entry for each of the user's organizations, and one for the instance.
fn told_of(places: &[Place], user: UserId, origin: &Origin, now: Timestamp) -> Drafts {
    let draft = Draft::new(origin, Action::UserDeleted, user, &[]);
    let told = places.iter().map(|place| place.organization);
    let told = told.chain(std::iter::once(INSTANCE));
    told.map(|organization| (organization, vec![(now, draft.clone())]))
        .collect()
}

/// Voids what the user has offered to others, and what others have offered to the user's address.
async fn void_invitations(
    tx: &DatabaseTransaction,
    user: UserId,
    email_key: &str,
    origin: &Origin,
    now: Timestamp,
    drafts: &mut Drafts,
) -> Result<(), StoreError> {
    let delete = Sql::new(
        "DELETE FROM invitations WHERE invited_by = {} OR email_key = {} RETURNING id, organization_id, email",
    );
    let voided = delete.bind(user.as_bytes()).bind(email_key).all(tx).await?;
    let mut ids = Rows::new(IDS);
    for row in &voided {
        ids.push([rows::id(row, "id")?.into()]);
        let organization = OrganizationId::from_bytes(rows::id(row, "organization_id")?);
        let email: String = rows::get(row, "email")?;
        let details = [("email", email.as_str())];
        let draft = Draft::new(origin, Action::InvitationRevoked, organization, &details);
        drafts.entry(organization).or_default().push((now, draft));
    }
    let links = "DELETE FROM links WHERE subject_id IN (SELECT r.id FROM {rows})";
    rows::write_together(tx, [Sql::over(links, ids)]).await
}

async fn remove(tx: &DatabaseTransaction, user: UserId, email_key: &str) -> Result<(), StoreError> {
    let sign_ups = Sql::new("DELETE FROM sign_ups WHERE email_key = {}").bind(email_key);
    sign_ups.run(tx).await?;
    data_keys::destroy("user", user.as_bytes()).run(tx).await?;
    for (table, column) in THEIRS {
        let delete = Sql::new(format!("DELETE FROM {table} WHERE {column} = {{}}"));
        delete.bind(user.as_bytes()).run(tx).await?;
    }
    Ok(())
}
