//! Checking a password that somebody gives, with the same work whatever comes of it.
//!
//! Each check takes one hash: for an address that nobody has, for a wrong password, for a try that must wait,
//! and for the right one. Only a right one whose stored hash is weak takes a second, to store a stronger.

use std::time::Duration;

use sendpromptly_core::id::UserId;
use sendpromptly_core::throttle::Guessed;
use sendpromptly_core::time::Timestamp;
use zeroize::Zeroizing;

use super::guesses::{Account, GuessError, Guesses, Place, Try};
use super::hasher::{HashError, Hasher};
use super::password::Match;
use crate::store::users::StoredUser;
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

/// Checks passwords.
#[derive(Debug, Clone)]
pub struct Passwords {
    store: Store,
    hasher: Hasher,
    guesses: Guesses,
}

/// What has come of a check.
#[derive(Debug)]
pub enum Checked {
    /// It is the user's password. [`Try::succeeded`] is yet to be written.
    Right(StoredUser, Try),
    /// It is not, or nothing may be tried now: nobody outside is told which.
    Refused(Refusal),
}

/// A password that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Whose password it was to be.
    pub account: Account,
    /// How long the next try must wait.
    pub wait: Duration,
}

/// Why a password could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// It could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Passwords {
    /// Checks passwords of this store's users.
    #[must_use]
    pub const fn new(store: Store, hasher: Hasher, guesses: Guesses) -> Self {
        Self {
            store,
            hasher,
            guesses,
        }
    }

    /// Checks what somebody gives to sign in. `email_key` is the form of the address that is unique.
    ///
    /// # Errors
    /// [`CheckError`] by its cause.
    pub async fn check(
        &self,
        email_key: &str,
        password: Zeroizing<String>,
        place: &Place,
        now: Timestamp,
    ) -> Result<Checked, CheckError> {
        let user = self.store.user_by_email(email_key).await?;
        let account = user
            .as_ref()
            .map_or_else(|| Account::unknown(email_key), |user| Account::User(user.id));
        self.check_account(account, user, password, place, now).await
    }

    /// Checks what a user gives who is signed in already, to go on with something.
    ///
    /// # Errors
    /// [`CheckError`] by its cause.
    pub async fn check_again(
        &self,
        user: UserId,
        password: Zeroizing<String>,
        place: &Place,
        now: Timestamp,
    ) -> Result<Checked, CheckError> {
        let stored = self.store.user(user).await?;
        self.check_account(Account::User(user), stored, password, place, now)
            .await
    }

    async fn check_account(
        &self,
        account: Account,
        user: Option<StoredUser>,
        password: Zeroizing<String>,
        place: &Place,
        now: Timestamp,
    ) -> Result<Checked, CheckError> {
        let tried = match self
            .guesses
            .may_try(Guessed::Password, &account, place, now)
            .await
        {
            Ok(tried) => tried,
            Err(GuessError::Store(error)) => return Err(error.into()),
            Err(GuessError::Wait(wait)) => {
                self.hasher.matches(password, None).await?;
                return Ok(Checked::Refused(Refusal { account, wait }));
            }
        };
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        let found = match self.hasher.matches(password.clone(), stored).await {
            Ok(found) => found,
            Err(error) => {
                self.guesses.take_back(tried).await?;
                return Err(error.into());
            }
        };
        match (found, user) {
            (Match::Right, Some(user)) => Ok(Checked::Right(user, tried)),
            (Match::RightButWeak, Some(user)) => {
                Ok(Checked::Right(self.strengthen(user, password).await, tried))
            }
            (Match::Wrong, _) | (_, None) => Ok(Checked::Refused(Refusal {
                account,
                wait: tried.failed(),
            })),
        }
    }

    /// Stores a stronger hash of a password that was right. Where it cannot be done now, it can at another
    /// sign-in.
    async fn strengthen(&self, mut user: StoredUser, password: Zeroizing<String>) -> StoredUser {
        let stronger = match self.hasher.hash_text(password).await {
            Ok(stronger) => stronger,
            Err(error) => {
                tracing::info!(user = %user.id, %error, "a weak hash of a password is kept for now");
                return user;
            }
        };
        match self.store.strengthen_password(&user, &stronger).await {
            Ok(()) => user.password_hash = stronger,
            Err(error) => {
                tracing::info!(user = %user.id, %error, "a weak hash of a password is kept for now");
            }
        }
        user
    }
}
