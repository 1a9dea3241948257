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
use super::hasher::{HashError, Hasher, Turn};
use super::password::Match;
use super::quota::PasswordQuota;
use crate::store::sign_ups::SignUp;
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
    quota: PasswordQuota,
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
    pub fn new(store: Store, hasher: Hasher, guesses: Guesses) -> Self {
        Self {
            store,
            hasher,
            guesses,
            quota: PasswordQuota::new(),
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
        let turn = self.hasher.turn().await?;
        let user = self.store.user_by_email(email_key).await?;
        let account = user
            .as_ref()
            .map_or_else(|| Account::unknown(email_key), |user| Account::User(user.id));
        self.check_account(&turn, account, user, password, place, now)
            .await
    }

    /// Checks what a user gives who is signed in already, to go on with something. So many in a row are refused
    /// without a look, lest the user keep others from signing in.
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
        let account = Account::User(user);
        if let Err(wait) = self.quota.count(user) {
            return Ok(Checked::Refused(Refusal { account, wait }));
        }
        let turn = self.hasher.turn().await?;
        let stored = self.store.user(user).await?;
        self.check_account(&turn, account, stored, password, place, now)
            .await
    }

    /// Checks what somebody gives to confirm a sign-up: its password, which whoever signed up knows. Gives the try,
    /// whose success is yet to be written.
    ///
    /// # Errors
    /// [`CheckError`] by its cause.
    pub async fn check_sign_up(
        &self,
        sign_up: &SignUp,
        password: Zeroizing<String>,
        place: &Place,
        now: Timestamp,
    ) -> Result<Result<Try, Refusal>, CheckError> {
        let account = Account::SignUp(sign_up.id);
        let stored = Some(sign_up.password_hash.clone());
        let turn = self.hasher.turn().await?;
        let checked = self
            .check_hash(&turn, account, stored, password, place, now)
            .await?;
        Ok(checked.map(|(tried, _)| tried))
    }

    async fn check_account(
        &self,
        turn: &Turn,
        account: Account,
        user: Option<StoredUser>,
        password: Zeroizing<String>,
        place: &Place,
        now: Timestamp,
    ) -> Result<Checked, CheckError> {
        let stored = user.as_ref().map(|user| user.password_hash.clone());
        let checked = self
            .check_hash(turn, account, stored, password.clone(), place, now)
            .await?;
        match (checked, user) {
            (Ok((tried, false)), Some(user)) => Ok(Checked::Right(user, tried)),
            (Ok((tried, true)), Some(user)) => {
                Ok(Checked::Right(self.strengthen(turn, user, password).await, tried))
            }
            (Ok((tried, _)), None) => Ok(Checked::Refused(Refusal {
                account,
                wait: tried.failed(),
            })),
            (Err(refusal), _) => Ok(Checked::Refused(refusal)),
        }
    }

    /// Checks a password against what is stored of it. Gives, where it is right, the try and whether what is stored
    /// is weak.
    async fn check_hash(
        &self,
        turn: &Turn,
        account: Account,
        stored: Option<String>,
        password: Zeroizing<String>,
        place: &Place,
        now: Timestamp,
    ) -> Result<Result<(Try, bool), Refusal>, CheckError> {
        let tried = match self
            .guesses
            .may_try(Guessed::Password, &account, place, now)
            .await
        {
            Ok(tried) => tried,
            Err(GuessError::Store(error)) => return Err(error.into()),
            Err(GuessError::Wait(wait)) => {
                turn.matches(password, None).await?;
                return Ok(Err(Refusal { account, wait }));
            }
        };
        let found = match turn.matches(password, stored).await {
            Ok(found) => found,
            Err(error) => {
                self.guesses.take_back(tried).await?;
                return Err(error.into());
            }
        };
        Ok(match found {
            Match::Right => Ok((tried, false)),
            Match::RightButWeak => Ok((tried, true)),
            Match::Wrong => Err(Refusal {
                account,
                wait: tried.failed(),
            }),
        })
    }

    /// Stores a stronger hash of a password that was right. Where it cannot be done now, it can at another
    /// sign-in.
    async fn strengthen(&self, turn: &Turn, mut user: StoredUser, password: Zeroizing<String>) -> StoredUser {
        let stronger = match turn.hash(password).await {
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
