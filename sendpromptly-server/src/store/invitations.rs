//! Invitations into an organization: made, sent again, taken back and accepted, each under the organization's
//! lock. One is open for an address at a time.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::access::Role;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::{OrganizationId, UserId};
use sendpromptly_core::membership::{self, Refusal};
use sendpromptly_core::time::Timestamp;

use super::links::{self, NewLink};
use super::mail_rates::Counted;
use super::old_rows::OldRows;
use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::users::{self, NewUser};
use super::{Store, StoreError, audit, sessions};
use crate::account::link::{Link, LinkKind};

/// For how long an invitation that ran out can still be sent again: 30 days.
const KEPT_AFTER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The invitations that ran out so long ago that they are kept no longer.
#[must_use]
pub fn old_invitations(now: Timestamp) -> OldRows {
    let by = now.minus(KEPT_AFTER);
    OldRows::up_to("invitations", "expires_at", by)
}

/// An open invitation.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Its id.
    pub id: [u8; 16],
    /// The organization.
    pub organization: OrganizationId,
    /// The organization's name.
    pub organization_name: String,
    /// Who is invited.
    pub email: String,
    /// The form of the address that is unique.
    pub email_key: String,
    /// As what.
    pub role: Role,
    /// The address of the member who invites.
    pub invited_by: String,
    /// From when on it is no longer good.
    pub expires_at: Timestamp,
}

/// An invitation in the making, or one that is sent again.
#[derive(Debug)]
pub struct Invite<'a> {
    /// The organization.
    pub scope: OrganizationScope,
    /// The member who invites.
    pub by: UserId,
    /// The invitation's id.
    pub id: [u8; 16],
    /// Who is invited.
    pub email: &'a str,
    /// The form of the address that is unique.
    pub email_key: &'a str,
    /// As what.
    pub role: Role,
    /// The link that accepts it.
    pub link: NewLink,
    /// The mail with the link.
    pub mail: Sql,
    /// Who asks, and from where.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

/// How inviting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invited {
    /// The mail is on its way.
    Done,
    /// The role does not allow it.
    Refused(Refusal),
    /// The address is a member's already.
    IsMember,
    /// An invitation for the address is open already.
    IsInvited,
    /// Too many mails in this hour.
    TooMany,
    /// There is no such invitation any more.
    Gone,
}

/// Who accepts an invitation.
#[derive(Debug)]
pub enum Guest<'a> {
    /// A user who is signed in, with this address.
    User(UserId, &'a str),
    /// Somebody new.
    New(&'a NewUser),
}

/// How accepting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The guest is a member of this organization now.
    Done(OrganizationId),
    /// The link was used, or the invitation taken back.
    Gone,
    /// It is for somebody else.
    OtherAddress,
    /// The address has a user by now, who must sign in.
    HasUser,
}

const COLUMNS: &str =
    "i.id, i.organization_id, o.name, i.email, i.email_key, i.role, u.email AS invited_by, i.expires_at
     FROM invitations i JOIN organizations o ON o.id = i.organization_id JOIN users u ON u.id = i.invited_by";

impl Store {
    /// The open invitations of an organization, by their addresses, those that have run out among them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn invitations(&self, scope: OrganizationScope) -> Result<Vec<Invitation>, StoreError> {
        let query = Sql::new(format!(
            "SELECT {COLUMNS} WHERE i.organization_id = {{}} ORDER BY i.email_key"
        ));
        let found = query.bind(scope.as_bytes()).all(&self.reader).await?;
        found.iter().map(invitation).collect()
    }

    /// The invitation of an organization with this id.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn invitation_of(
        &self,
        scope: OrganizationScope,
        id: &[u8; 16],
    ) -> Result<Option<Invitation>, StoreError> {
        let query = Sql::new(format!(
            "SELECT {COLUMNS} WHERE i.organization_id = {{}} AND i.id = {{}}"
        ));
        let row = query.bind(scope.as_bytes()).bind(id).one(&self.reader).await?;
        row.as_ref().map(invitation).transpose()
    }

    /// The invitation that a link is about.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn invitation(&self, id: &[u8; 16]) -> Result<Option<Invitation>, StoreError> {
        let query = Sql::new(format!("SELECT {COLUMNS} WHERE i.id = {{}}")).bind(id);
        let row = query.one(&self.reader).await?;
        row.as_ref().map(invitation).transpose()
    }

    /// Invites somebody.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn invite(&self, invite: Invite<'_>) -> Result<Invited, StoreError> {
        retried(|| self.try_invite(&invite)).await
    }

    async fn try_invite(&self, invite: &Invite<'_>) -> Result<Invited, StoreError> {
        let tx = self.begin().await?;
        if let Some(refused) = self.may_invite(&tx, invite).await? {
            return Ok(refused);
        }
        let member = Sql::new(
            "SELECT 1 AS found FROM members m JOIN users u ON u.id = m.user_id
             WHERE m.organization_id = {} AND u.email_key = {}",
        );
        let member = member.bind(invite.scope.as_bytes()).bind(invite.email_key);
        if member.one(&tx).await?.is_some() {
            return Ok(Invited::IsMember);
        }
        let insert = Sql::new(
            "INSERT INTO invitations (id, organization_id, email, email_key, role, invited_by, expires_at, created_at)
             VALUES ({}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (organization_id, email_key) DO NOTHING",
        )
        .bind(invite.id)
        .bind(invite.scope.as_bytes())
        .bind(invite.email)
        .bind(invite.email_key)
        .bind(invite.role.as_str())
        .bind(invite.by.as_bytes())
        .bind(invite.link.link.expires_at)
        .bind(invite.now);
        if insert.run(&tx).await? == 0 {
            return Ok(Invited::IsInvited);
        }
        self.finish_invite(tx, invite).await
    }

    /// Sends an invitation again; links that were sent before are void.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn invite_again(&self, invite: Invite<'_>) -> Result<Invited, StoreError> {
        retried(|| self.try_invite_again(&invite)).await
    }

    async fn try_invite_again(&self, invite: &Invite<'_>) -> Result<Invited, StoreError> {
        let tx = self.begin().await?;
        if let Some(refused) = self.may_invite(&tx, invite).await? {
            return Ok(refused);
        }
        let update = Sql::new(
            "UPDATE invitations SET expires_at = {}, invited_by = {} WHERE id = {} AND organization_id = {}",
        )
        .bind(invite.link.link.expires_at)
        .bind(invite.by.as_bytes())
        .bind(invite.id)
        .bind(invite.scope.as_bytes());
        if update.run(&tx).await? == 0 {
            return Ok(Invited::Gone);
        }
        links::void(LinkKind::Invitation, &invite.id, invite.now)
            .run(&tx)
            .await?;
        self.finish_invite(tx, invite).await
    }

    async fn may_invite(
        &self,
        tx: &DatabaseTransaction,
        invite: &Invite<'_>,
    ) -> Result<Option<Invited>, StoreError> {
        self.lock_organization(tx, invite.scope).await?;
        let role = self.role_in(tx, invite.scope, invite.by).await?;
        let role = role.unwrap_or(Role::Viewer);
        if let Err(refusal) = membership::invite(role, invite.role) {
            return Ok(Some(Invited::Refused(refusal)));
        }
        let counted = [
            Counted::To(LinkKind::Invitation, invite.email_key),
            Counted::By(invite.by),
        ];
        let counted = self.count_mail(tx, &counted, invite.now).await?;
        Ok((!counted).then_some(Invited::TooMany))
    }

    async fn finish_invite(
        &self,
        tx: DatabaseTransaction,
        invite: &Invite<'_>,
    ) -> Result<Invited, StoreError> {
        let organization = invite.scope.id();
        let more = [("email", invite.email), ("role", invite.role.as_str())];
        let draft = Draft::new(invite.origin, Action::InvitationCreated, organization, &more);
        let drafts = audit::drafts_of(organization, invite.now, vec![draft]);
        let writes = vec![links::insert(&invite.link), invite.mail.clone()];
        self.write_audited(&tx, writes, &drafts).await?;
        tx.commit().await?;
        Ok(Invited::Done)
    }

    async fn role_in(
        &self,
        tx: &DatabaseTransaction,
        scope: OrganizationScope,
        user: UserId,
    ) -> Result<Option<Role>, StoreError> {
        let query = Sql::new("SELECT role FROM members WHERE organization_id = {} AND user_id = {}");
        let query = query.bind(scope.as_bytes()).bind(user.as_bytes());
        let row = query.one(tx).await?;
        row.map(|row| rows::word(&row, "role")).transpose()
    }

    /// Takes an invitation back, whose link is then good for nothing. Gives whether it was still open, and the
    /// role high enough.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn revoke_invitation(
        &self,
        scope: OrganizationScope,
        by: UserId,
        id: &[u8; 16],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Invited, StoreError> {
        retried(|| self.try_revoke_invitation(scope, by, id, origin, now)).await
    }

    async fn try_revoke_invitation(
        &self,
        scope: OrganizationScope,
        by: UserId,
        id: &[u8; 16],
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Invited, StoreError> {
        let tx = self.begin().await?;
        self.lock_organization(&tx, scope).await?;
        let role = self.role_in(&tx, scope, by).await?.unwrap_or(Role::Viewer);
        let delete =
            Sql::new("DELETE FROM invitations WHERE organization_id = {} AND id = {} RETURNING email, role");
        let Some(row) = delete.bind(scope.as_bytes()).bind(id).one(&tx).await? else {
            return Ok(Invited::Gone);
        };
        let (email, offered): (String, Role) = (rows::get(&row, "email")?, rows::word(&row, "role")?);
        if let Err(refusal) = membership::invite(role, offered) {
            return Ok(Invited::Refused(refusal));
        }
        let draft = Draft::new(
            origin,
            Action::InvitationRevoked,
            scope.id(),
            &[("email", &email)],
        );
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.write_audited(&tx, vec![links::void(LinkKind::Invitation, id, now)], &drafts)
            .await?;
        tx.commit().await?;
        Ok(Invited::Done)
    }

    /// Takes the link of an invitation, and lets its guest in.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn accept_invitation(
        &self,
        link: &Link,
        invitation: &Invitation,
        guest: Guest<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        retried(|| self.try_accept_invitation(link, invitation, &guest, origin, now)).await
    }

    async fn try_accept_invitation(
        &self,
        link: &Link,
        invitation: &Invitation,
        guest: &Guest<'_>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let (organization, id) = (invitation.organization, invitation.id);
        let scope = OrganizationScope::of_the_command_line(organization);
        let (user, email_key) = match guest {
            Guest::User(user, email_key) => (*user, *email_key),
            Guest::New(new) => (new.id, new.email_key.as_str()),
        };
        let tx = self.begin().await?;
        self.lock_organization(&tx, scope).await?;
        let taken = self.take_link(&tx, link, now).await?;
        let delete = Sql::new("DELETE FROM invitations WHERE id = {} RETURNING email_key, role");
        let row = delete.bind(id).one(&tx).await?;
        let (Some(_), Some(row)) = (taken.filter(|taken| taken.id == id), row) else {
            return Ok(Accepted::Gone);
        };
        if rows::get::<String>(&row, "email_key")? != email_key {
            return Ok(Accepted::OtherAddress);
        }
        let role: Role = rows::word(&row, "role")?;
        let mut drafts = Vec::new();
        let mut writes = Vec::new();
        if let Guest::New(new) = guest {
            writes.push(users::insert(new));
            let more = [("email", new.email.as_str()), ("role", role.as_str())];
            drafts.push(Draft::new(origin, Action::UserCreated, user, &more));
        }
        writes.push(insert_member(organization, user, role, now));
        writes.push(sessions::rotate_all(user));
        let more = [("role", role.as_str())];
        drafts.push(Draft::new(origin, Action::InvitationAccepted, user, &more));
        let drafts = audit::drafts_of(organization, now, drafts);
        match self.write_audited(&tx, writes, &drafts).await {
            Err(StoreError::Taken(_)) => return Ok(Accepted::HasUser),
            written => written?,
        }
        tx.commit().await?;
        Ok(Accepted::Done(organization))
    }
}

/// Makes a user a member; one who is stays as before.
fn insert_member(organization: OrganizationId, user: UserId, role: Role, now: Timestamp) -> Sql {
    Sql::new(
        "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({}, {}, {}, {})
         ON CONFLICT (organization_id, user_id) DO NOTHING",
    )
    .bind(organization.as_bytes())
    .bind(user.as_bytes())
    .bind(role.as_str())
    .bind(now)
}

fn invitation(row: &QueryResult) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        id: rows::id(row, "id")?,
        organization: OrganizationId::from_bytes(rows::id(row, "organization_id")?),
        organization_name: rows::get(row, "name")?,
        email: rows::get(row, "email")?,
        email_key: rows::get(row, "email_key")?,
        role: rows::word(row, "role")?,
        invited_by: rows::get(row, "invited_by")?,
        expires_at: rows::time(row, "expires_at")?,
    })
}
