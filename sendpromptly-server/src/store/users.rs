//! Users: who signs in, known by their e-mail address.

use std::fmt;

use sendpromptly_core::id::UserId;
use sendpromptly_core::time::Timestamp;

use super::rows::Sql;

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
