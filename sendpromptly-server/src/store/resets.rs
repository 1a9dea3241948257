//! What mailed links change of a user: a new password, a new address.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::{Action, Actor, Draft, Origin};
use sendpromptly_core::id::UserId;
use sendpromptly_core::time::Timestamp;

use super::retry::retried;
use super::rows::{self, Sql};
use super::{Store, StoreError, known_devices, links, second_factors, sessions};
use crate::account::link::{Link, LinkKind};

/// A user, as far as a mail needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addressee {
    /// The user.
    pub id: UserId,
    /// The user's address.
    pub email: String,
}

impl Store {
    /// The user of this address, in the form that is unique.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn addressee(&self, email_key: &str) -> Result<Option<Addressee>, StoreError> {
        let query = Sql::new("SELECT id, email FROM users WHERE email_key = {}");
        let row = query.bind(email_key).one(&self.reader).await?;
        row.as_ref().map(addressee).transpose()
    }

    /// The user with this id.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn addressee_by_id(&self, id: UserId) -> Result<Option<Addressee>, StoreError> {
        let query = Sql::new("SELECT id, email FROM users WHERE id = {}");
        let row = query.bind(id.as_bytes()).one(&self.reader).await?;
        row.as_ref().map(addressee).transpose()
    }

    /// Takes a reset link, and gives its user another password. All sessions end, other reset links are void, and
    /// `notice` is sent. Gives whether the link was good.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn reset_password(
        &self,
        link: &Link,
        password_hash: &str,
        notice: Sql,
        address: std::net::IpAddr,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| self.try_reset_password(link, password_hash, notice.clone(), address, now)).await
    }

    async fn try_reset_password(
        &self,
        link: &Link,
        password_hash: &str,
        notice: Sql,
        address: std::net::IpAddr,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        let Some(subject) = self.take_link(&tx, link, now).await? else {
            return Ok(false);
        };
        let user = UserId::from_bytes(subject.id);
        // Whoever signs in just now holds this row until the session is there, and then it ends with the others.
        self.lock_user(&tx, user).await?;
        let update = Sql::new("UPDATE users SET password_hash = {} WHERE id = {}");
        let mut writes = vec![
            update.bind(password_hash).bind(user.as_bytes()),
            sessions::end_others(user, None),
            known_devices::forget_others(user, None),
            second_factors::forget_proposals(user),
            notice,
        ];
        // In a statement of its own: the link that was taken is among the rows it looks at.
        links::void(LinkKind::Reset, user.as_bytes(), now)
            .run(&tx)
            .await?;
        writes.push(links::void(LinkKind::ChangeEmail, user.as_bytes(), now));
        let origin = Origin {
            actor: Actor::User(user),
            address: Some(address),
        };
        let draft = Draft::new(&origin, Action::PasswordReset, user, &[]);
        let drafts = self.drafts_of_user(&tx, user, now, vec![draft]).await?;
        self.write_audited(&tx, writes, &drafts).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn lock_user(&self, tx: &DatabaseTransaction, user: UserId) -> Result<(), StoreError> {
        let lock = self.dialect.for_update_of("u");
        let query = Sql::new(format!("SELECT u.id FROM users u WHERE u.id = {{}}{lock}"));
        query.bind(user.as_bytes()).one(tx).await?;
        Ok(())
    }

    /// Takes a link that confirms a user's new address, and puts it in the old one's place, which is told by
    /// `notice`. Other sessions than those of the link's browser stay: the address signs nobody in. Gives whether
    /// the link was good and the address free.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn change_email(
        &self,
        link: &Link,
        email_key: &str,
        notice: Sql,
        address: std::net::IpAddr,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| self.try_change_email(link, email_key, notice.clone(), address, now)).await
    }

    async fn try_change_email(
        &self,
        link: &Link,
        email_key: &str,
        notice: Sql,
        address: std::net::IpAddr,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        let Some(subject) = self.take_link(&tx, link, now).await? else {
            return Ok(false);
        };
        let (user, email) = (UserId::from_bytes(subject.id), subject.email.unwrap_or_default());
        let update = Sql::new("UPDATE users SET email = {}, email_key = {} WHERE id = {}");
        let update = update.bind(email.as_str()).bind(email_key).bind(user.as_bytes());
        // What was mailed to the old address is no longer good.
        let writes = vec![update, links::void(LinkKind::Reset, user.as_bytes(), now), notice];
        let origin = Origin {
            actor: Actor::User(user),
            address: Some(address),
        };
        let draft = Draft::new(&origin, Action::EmailChanged, user, &[("email", &email)]);
        let drafts = self.drafts_of_user(&tx, user, now, vec![draft]).await?;
        match self.write_audited(&tx, writes, &drafts).await {
            Err(StoreError::Taken(_)) => return Ok(false),
            written => written?,
        }
        tx.commit().await?;
        Ok(true)
    }
}

fn addressee(row: &sea_orm::QueryResult) -> Result<Addressee, StoreError> {
    Ok(Addressee {
        id: UserId::from_bytes(rows::id(row, "id")?),
        email: rows::get(row, "email")?,
    })
}
