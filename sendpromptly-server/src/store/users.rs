//! Users: who signs in, known by their e-mail address.

use std::fmt;

use sendpromptly_core::audit::Draft;
use sendpromptly_core::id::UserId;
use sendpromptly_core::time::Timestamp;

use super::audit::Drafts;
use super::own_sessions::Leaving;
use super::rows::{self, Sql};
use super::{Store, StoreError};

/// A user in the making.
#[derive(Clone)]
pub struct NewUser {
    /// The user's id.
    pub id: UserId,
    /// The e-mail address as it was given.
    pub email: String,
    /// The form of it that is unique: addresses that differ in case are one.
    pub email_key: String,
    /// The hash of the password, in PHC form.
    pub password_hash: String,
    /// When the user was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for NewUser {
    /// The id alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// A user, as far as signing in needs to know.
#[derive(Clone)]
pub struct StoredUser {
    /// The user's id.
    pub id: UserId,
    /// The e-mail address as it was given.
    pub email: String,
    /// The hash of the password, in PHC form.
    pub password_hash: String,
    /// Whether signing in takes a second factor as well.
    pub has_second_factor: bool,
}

impl fmt::Debug for StoredUser {
    /// The id alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredUser")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

const SELECT: &str = "SELECT u.id, u.email, u.password_hash, f.confirmed_at
     FROM users u LEFT JOIN second_factors f ON f.user_id = u.id";

impl Store {
    /// The user with this e-mail address, in the form that is unique.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn user_by_email(&self, email_key: &str) -> Result<Option<StoredUser>, StoreError> {
        let query = Sql::new(format!("{SELECT} WHERE u.email_key = {{}}"));
        let row = query.bind(email_key).one(&self.reader).await?;
        row.as_ref().map(stored_user).transpose()
    }

    /// The user with this id.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn user(&self, id: UserId) -> Result<Option<StoredUser>, StoreError> {
        let query = Sql::new(format!("{SELECT} WHERE u.id = {{}}"));
        let row = query.bind(id.as_bytes()).one(&self.reader).await?;
        row.as_ref().map(stored_user).transpose()
    }

    /// Makes these writes of a sign-in, and tells of it, unless the user's password was changed or a second
    /// factor set up since it was read. Gives whether it did. The session that the browser had before ends with it.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn admit(
        &self,
        user: &StoredUser,
        before: Option<&Leaving<'_>>,
        writes: &[Sql],
        drafts: &[Draft],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let lock = self.dialect.for_update_of("u");
        let query = Sql::new(format!("{SELECT} WHERE u.id = {{}}{lock}"));
        let tx = self.begin().await?;
        let row = query.bind(user.id.as_bytes()).one(&tx).await?;
        let still = row.as_ref().map(stored_user).transpose()?;
        let same = still.is_some_and(|still| {
            still.password_hash == user.password_hash && still.has_second_factor == user.has_second_factor
        });
        if same {
            let mut told = match before {
                Some(before) => self.end_left(&tx, before, now).await?,
                None => Drafts::new(),
            };
            let arrival = self.drafts_of_user(&tx, user.id, now, drafts.to_vec()).await?;
            for (organization, drafts) in arrival {
                told.entry(organization).or_default().extend(drafts);
            }
            self.write_audited(&tx, writes.to_vec(), &told).await?;
            tx.commit().await?;
        }
        Ok(same)
    }

    /// Puts a stronger hash of the same password in the place of this one, unless the password was changed
    /// meanwhile.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn strengthen_password(&self, user: &StoredUser, hash: &str) -> Result<(), StoreError> {
        let update = Sql::new("UPDATE users SET password_hash = {} WHERE id = {} AND password_hash = {}");
        let update = update
            .bind(hash)
            .bind(user.id.as_bytes())
            .bind(user.password_hash.as_str());
        self.commit_together(vec![update]).await
    }
}

fn stored_user(row: &sea_orm::QueryResult) -> Result<StoredUser, StoreError> {
    Ok(StoredUser {
        id: UserId::from_bytes(rows::id(row, "id")?),
        email: rows::get(row, "email")?,
        password_hash: rows::get(row, "password_hash")?,
        has_second_factor: rows::optional_time(row, "confirmed_at")?.is_some(),
    })
}

/// Stores a user. An e-mail address that is taken fails the statement.
pub(super) fn insert(user: &NewUser) -> Sql {
    Sql::new(
        "INSERT INTO users (id, email, email_key, password_hash, created_at) VALUES ({}, {}, {}, {}, {})",
    )
    .bind(user.id.as_bytes())
    .bind(user.email.as_str())
    .bind(user.email_key.as_str())
    .bind(user.password_hash.as_str())
    .bind(user.created_at)
}
