//! Sign-ups that wait for their address to be confirmed. Until then there is no user and no organization, so
//! there is nothing that could be signed in to, and nothing half-made.

use std::fmt;

use sendpromptly_core::audit::{Action, Actor, Draft, Origin};
use sendpromptly_core::id::{OrganizationId, UserId};
use sendpromptly_core::time::Timestamp;

use super::links::{self, NewLink};
use super::mail_rates::Counted;
use super::old_rows::OldRows;
use super::retry::retried;
use super::rows::{self, Sql};
use super::users::{self, NewUser};
use super::{Store, StoreError, audit, organizations};
use crate::account::link::Link;

const A_WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// A sign-up.
#[derive(Clone)]
pub struct SignUp {
    /// Its id.
    pub id: [u8; 16],
    /// The address as it was given.
    pub email: String,
    /// The form of it that is unique.
    pub email_key: String,
    /// The hash of the password, in PHC form.
    pub password_hash: String,
    /// What the organization will be called.
    pub organization_name: String,
    /// When it came.
    pub created_at: Timestamp,
}

impl fmt::Debug for SignUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignUp(..)")
    }
}

/// The ids of what a confirmed sign-up makes.
#[derive(Debug, Clone, Copy)]
pub struct Confirmed {
    /// The user.
    pub user: UserId,
    /// The organization.
    pub organization: OrganizationId,
}

impl Store {
    /// Commits a mail and what it tells of, unless its address or its sender has had too many in this hour:
    /// whether it was committed.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn commit_mail(
        &self,
        counted: &[Counted<'_>],
        writes: Vec<Sql>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        if !self.count_mail(&tx, counted, now).await? {
            return Ok(false);
        }
        rows::write_together(&tx, writes).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// A sign-up that waits.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn sign_up(&self, id: &[u8; 16]) -> Result<Option<SignUp>, StoreError> {
        let row = select(id).one(&self.reader).await?;
        row.as_ref().map(sign_up).transpose()
    }

    /// Takes the link of a sign-up whose password was shown, and makes its user and organization, and these writes
    /// with them. `None`: the link was used or voided, or
    /// the address has a user by now.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn confirm_sign_up(
        &self,
        link: &Link,
        ids: Confirmed,
        with: Vec<Sql>,
        address: std::net::IpAddr,
        now: Timestamp,
    ) -> Result<Option<Confirmed>, StoreError> {
        retried(|| self.try_confirm_sign_up(link, ids, with.clone(), address, now)).await
    }

    async fn try_confirm_sign_up(
        &self,
        link: &Link,
        ids: Confirmed,
        with: Vec<Sql>,
        address: std::net::IpAddr,
        now: Timestamp,
    ) -> Result<Option<Confirmed>, StoreError> {
        let tx = self.begin().await?;
        let Some(subject) = self.take_link(&tx, link, now).await? else {
            return Ok(None);
        };
        let Some(row) = select(&subject.id).one(&tx).await? else {
            return Ok(None);
        };
        let sign_up = sign_up(&row)?;
        let mut writes = vec![
            users::insert(&NewUser {
                id: ids.user,
                email: sign_up.email.clone(),
                email_key: sign_up.email_key.clone(),
                password_hash: sign_up.password_hash.clone(),
                created_at: now,
            }),
            organizations::insert(ids.organization, &sign_up.organization_name, now),
            organizations::insert_owner(ids.organization, ids.user, now),
            Sql::new("DELETE FROM sign_ups WHERE email_key = {}").bind(sign_up.email_key.as_str()),
        ];
        writes.extend(with);
        let origin = Origin {
            actor: Actor::User(ids.user),
            address: Some(address),
        };
        let drafts = vec![
            Draft::new(
                &origin,
                Action::OrganizationCreated,
                ids.organization,
                &[("name", &sign_up.organization_name)],
            ),
            Draft::new(
                &origin,
                Action::UserCreated,
                ids.user,
                &[("email", &sign_up.email), ("role", "owner")],
            ),
        ];
        let drafts = audit::drafts_of(ids.organization, now, drafts);
        match self.write_audited(&tx, writes, &drafts).await {
            Err(StoreError::Taken(_)) => return Ok(None),
            written => written?,
        }
        tx.commit().await?;
        Ok(Some(ids))
    }
}

/// The sign-ups that nobody has confirmed within a week.
#[must_use]
pub fn old_sign_ups(now: Timestamp) -> OldRows {
    OldRows::up_to("sign_ups", "created_at", now.plus_millis(-A_WEEK_MS))
}

/// Stores a sign-up and its link, as parts of a transaction.
#[must_use]
pub fn insert(sign_up: &SignUp, link: &NewLink) -> [Sql; 2] {
    let insert = Sql::new(
        "INSERT INTO sign_ups (id, email, email_key, password_hash, organization_name, created_at)
         VALUES ({}, {}, {}, {}, {}, {})",
    )
    .bind(sign_up.id)
    .bind(sign_up.email.as_str())
    .bind(sign_up.email_key.as_str())
    .bind(sign_up.password_hash.as_str())
    .bind(sign_up.organization_name.as_str())
    .bind(sign_up.created_at);
    [insert, links::insert(link)]
}

fn select(id: &[u8; 16]) -> Sql {
    Sql::new(
        "SELECT id, email, email_key, password_hash, organization_name, created_at FROM sign_ups WHERE id = {}",
    )
    .bind(id)
}

fn sign_up(row: &sea_orm::QueryResult) -> Result<SignUp, StoreError> {
    Ok(SignUp {
        id: rows::id(row, "id")?,
        email: rows::get(row, "email")?,
        email_key: rows::get(row, "email_key")?,
        password_hash: rows::get(row, "password_hash")?,
        organization_name: rows::get(row, "organization_name")?,
        created_at: rows::time(row, "created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::link::LinkKind;
    use crate::platform::entropy;
    use crate::testing::{NOW, World};

    #[tokio::test]
    async fn a_sign_up_is_confirmed_though_a_deadlock_undoes_it_at_first() {
        let world = World::set_up().await;
        let waiting = SignUp {
            id: entropy::bytes(),
            email: "ada@example.com".to_owned(),
            email_key: "ada@example.com".to_owned(),
            password_hash: String::new(),
            organization_name: "Acme".to_owned(),
            created_at: NOW,
        };
        let link = Link {
            kind: LinkKind::SignUp,
            id: entropy::bytes(),
            expires_at: NOW.plus(LinkKind::SignUp.life()),
        };
        let mailed = NewLink {
            link,
            subject: waiting.id,
            email: None,
        };
        let writes = insert(&waiting, &mailed).into();
        world.store.commit_together(writes).await.unwrap();
        let ids = Confirmed {
            user: UserId::new(NOW, entropy::for_id()),
            organization: OrganizationId::new(NOW, entropy::for_id()),
        };
        world.undo_every_other_entry().await;
        let address = [127, 0, 0, 1].into();
        let confirmed = world.store.confirm_sign_up(&link, ids, Vec::new(), address, NOW);
        assert!(confirmed.await.unwrap().is_some());
    }
}
