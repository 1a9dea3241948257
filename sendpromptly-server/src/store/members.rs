//! Members: their roles, and how they leave. Every change is decided under a lock of the organization, so two at
//! once, on two nodes, are one after the other.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::access::Role;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::UserId;
use sendpromptly_core::membership::{Refusal, Standing};
use sendpromptly_core::time::Timestamp;

use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError, audit, sessions};

#[cfg(test)]
mod tests;

/// A member as the list shows one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// The address.
    pub email: String,
    /// The role.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
    /// Whether the member has a second factor.
    pub has_second_factor: bool,
    /// When the member used the console last, as far as a session or a browser tells of it.
    pub seen_at: Option<Timestamp>,
}

/// Some members, by their addresses.
#[derive(Debug, Clone)]
pub struct MemberPage {
    /// The members.
    pub members: Vec<Member>,
    /// The last of them, where more follow.
    pub more_after: Option<UserId>,
}

/// How a change of members ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is done.
    Done,
    /// A rule refuses it.
    Refused(Refusal),
    /// There is no such member.
    NoMember,
}

/// Who changes something of whom.
#[derive(Debug)]
pub struct Deed<'a> {
    /// The organization.
    pub scope: OrganizationScope,
    /// The member who does it.
    pub by: UserId,
    /// The member whom it is about.
    pub member: UserId,
    /// Who asks, and from where.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

impl Store {
    /// The members of an organization, by their addresses, so many of them: the first ones, or those who follow
    /// this member.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn members(
        &self,
        scope: OrganizationScope,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<MemberPage, StoreError> {
        // Whoever is not a member any more has no place in the list; it then begins anew.
        let query = Sql::new(format!(
            "{SELECT} AND u.email_key > COALESCE(
                (SELECT a.email_key FROM members n JOIN users a ON a.id = n.user_id
                 WHERE n.organization_id = {{}} AND n.user_id = {{}}), '')
             ORDER BY u.email_key LIMIT {}",
            limit + 1
        ));
        let organization = scope.as_bytes();
        let after = after.map_or([0; 16], |user| *user.as_bytes());
        let query = query.bind(organization).bind(organization).bind(after);
        let found = query.all(&self.reader).await?;
        let members: Vec<_> = found.iter().take(limit).map(member).collect::<Result<_, _>>()?;
        let last = members.last().map(|member| member.user);
        Ok(MemberPage {
            more_after: last.filter(|_| found.len() > limit),
            members,
        })
    }

    /// A member of an organization.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn member(&self, scope: OrganizationScope, user: UserId) -> Result<Option<Member>, StoreError> {
        let query = Sql::new(format!("{SELECT} AND m.user_id = {{}}"));
        let query = query.bind(scope.as_bytes()).bind(user.as_bytes());
        let row = query.one(&self.reader).await?;
        row.as_ref().map(member).transpose()
    }

    /// Gives a member another role. The member's sessions get new tokens, and what somebody who was lowered has
    /// offered to others is void.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn change_role(&self, deed: &Deed<'_>, to: Role) -> Result<Change, StoreError> {
        retried(|| self.try_change_role(deed, to)).await
    }

    async fn try_change_role(&self, deed: &Deed<'_>, to: Role) -> Result<Change, StoreError> {
        let tx = self.begin().await?;
        let Some(standing) = self.lock_standing(&tx, deed).await? else {
            return Ok(Change::NoMember);
        };
        if let Err(refusal) = standing.change_to(to) {
            return Ok(Change::Refused(refusal));
        }
        if to == standing.member {
            return Ok(Change::Done);
        }
        let update = Sql::new("UPDATE members SET role = {} WHERE organization_id = {} AND user_id = {}");
        let update = update.bind(to.as_str());
        let writes = vec![
            update.bind(deed.scope.as_bytes()).bind(deed.member.as_bytes()),
            sessions::rotate_all(deed.member),
        ];
        let more = [("from", standing.member.as_str()), ("to", to.as_str())];
        let mut drafts = vec![Draft::new(
            deed.origin,
            Action::MemberRoleChanged,
            deed.member,
            &more,
        )];
        if to < standing.member {
            drafts.extend(void_invitations(&tx, deed).await?);
        }
        self.write_deed(tx, deed, writes, drafts).await
    }

    /// Removes a member, who loses access at once.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn remove_member(&self, deed: &Deed<'_>) -> Result<Change, StoreError> {
        retried(|| self.end_membership(deed, Action::MemberRemoved, Standing::remove)).await
    }

    /// Lets a member leave.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn leave(&self, deed: &Deed<'_>) -> Result<Change, StoreError> {
        retried(|| self.end_membership(deed, Action::MemberLeft, Standing::leave)).await
    }

    async fn end_membership(
        &self,
        deed: &Deed<'_>,
        action: Action,
        rule: fn(Standing) -> Result<(), Refusal>,
    ) -> Result<Change, StoreError> {
        let tx = self.begin().await?;
        let Some(standing) = self.lock_standing(&tx, deed).await? else {
            return Ok(Change::NoMember);
        };
        if let Err(refusal) = rule(standing) {
            return Ok(Change::Refused(refusal));
        }
        let delete = Sql::new("DELETE FROM members WHERE organization_id = {} AND user_id = {}");
        let writes = vec![
            delete.bind(deed.scope.as_bytes()).bind(deed.member.as_bytes()),
            sessions::rotate_all(deed.member),
        ];
        let more = [("role", standing.member.as_str())];
        let mut drafts = vec![Draft::new(deed.origin, action, deed.member, &more)];
        drafts.extend(void_invitations(&tx, deed).await?);
        self.write_deed(tx, deed, writes, drafts).await
    }

    async fn write_deed(
        &self,
        tx: DatabaseTransaction,
        deed: &Deed<'_>,
        writes: Vec<Sql>,
        drafts: Vec<Draft>,
    ) -> Result<Change, StoreError> {
        let drafts = audit::drafts_of(deed.scope.id(), deed.now, drafts);
        self.write_audited(&tx, writes, &drafts).await?;
        tx.commit().await?;
        Ok(Change::Done)
    }

    /// What is stored of both, under the organization's lock. `None`: the one whom it is about is no member. The
    /// one who asks may have ceased to be one meanwhile, and then may do what a viewer may.
    async fn lock_standing(
        &self,
        tx: &DatabaseTransaction,
        deed: &Deed<'_>,
    ) -> Result<Option<Standing>, StoreError> {
        self.lock_organization(tx, deed.scope).await?;
        let query = Sql::new(
            "SELECT (SELECT role FROM members WHERE organization_id = {} AND user_id = {}) AS actor,
                    (SELECT role FROM members WHERE organization_id = {} AND user_id = {}) AS member,
                    (SELECT count(*) FROM members WHERE organization_id = {} AND role = 'owner') AS owners",
        );
        let organization = deed.scope.as_bytes();
        let row = query
            .bind(organization)
            .bind(deed.by.as_bytes())
            .bind(organization)
            .bind(deed.member.as_bytes())
            .bind(organization)
            .one(tx)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let Some(member) = rows::optional_word(&row, "member")? else {
            return Ok(None);
        };
        Ok(Some(Standing {
            actor: rows::optional_word(&row, "actor")?.unwrap_or(Role::Viewer),
            member,
            owners: rows::count(&row, "owners")?,
        }))
    }

    /// Holds everybody else who changes the members of this organization until the transaction ends.
    pub(super) async fn lock_organization(
        &self,
        tx: &DatabaseTransaction,
        scope: OrganizationScope,
    ) -> Result<(), StoreError> {
        let lock = self.dialect.for_update_of("o");
        let query = Sql::new(format!(
            "SELECT o.id FROM organizations o WHERE o.id = {{}}{lock}"
        ));
        query.bind(scope.as_bytes()).one(tx).await?;
        Ok(())
    }
}

/// Voids the invitations of somebody who may no longer invite, or not as high, and gives what tells of each.
async fn void_invitations(tx: &DatabaseTransaction, deed: &Deed<'_>) -> Result<Vec<Draft>, StoreError> {
    let delete =
        Sql::new("DELETE FROM invitations WHERE organization_id = {} AND invited_by = {} RETURNING email");
    let delete = delete.bind(deed.scope.as_bytes()).bind(deed.member.as_bytes());
    let voided = delete.all(tx).await?;
    let draft = |row| {
        let email: String = rows::get(row, "email")?;
        let more = [("email", email.as_str())];
        Ok(Draft::new(
            deed.origin,
            Action::InvitationRevoked,
            deed.scope.id(),
            &more,
        ))
    };
    voided.iter().map(draft).collect()
}

/// Members with all that is shown of them; what follows narrows it further.
const SELECT: &str = "SELECT u.id, u.email, m.role, m.created_at, f.confirmed_at,
        (SELECT max(s.seen_at) FROM sessions s WHERE s.user_id = u.id AND s.complete = 1) AS session_seen_at,
        (SELECT max(d.seen_at) FROM known_devices d WHERE d.user_id = u.id) AS device_seen_at
     FROM members m JOIN users u ON u.id = m.user_id
     LEFT JOIN second_factors f ON f.user_id = u.id
     WHERE m.organization_id = {}";

fn member(row: &QueryResult) -> Result<Member, StoreError> {
    let in_a_session = rows::optional_time(row, "session_seen_at")?;
    let in_a_browser = rows::optional_time(row, "device_seen_at")?;
    Ok(Member {
        user: UserId::from_bytes(rows::id(row, "id")?),
        email: rows::get(row, "email")?,
        role: rows::word(row, "role")?,
        since: rows::time(row, "created_at")?,
        has_second_factor: rows::optional_time(row, "confirmed_at")?.is_some(),
        seen_at: in_a_session.max(in_a_browser),
    })
}
