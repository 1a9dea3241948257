//! The second factor of a user: setting it up, and taking its codes, on whatever route they are asked for.

use std::fmt;
use std::time::Duration;

use sendpromptly_core::audit::{Draft, Origin};
use sendpromptly_core::envelope::OpenError;
use sendpromptly_core::id::UserId;
use sendpromptly_core::second_factor::{Entered, RECOVERY_CODES, RecoveryCode, RecoveryHash, TotpSecret};
use sendpromptly_core::throttle::Guessed;
use sendpromptly_core::time::Timestamp;
use zeroize::Zeroizing;

use super::guesses::{Account, GuessError, Guesses, Place};
use crate::platform::entropy;
use crate::store::rows::Sql;
use crate::store::second_factors::{Changer, Proof, Proposal, Taken};
use crate::store::sessions::SessionId;
use crate::store::{Store, StoreError};
use crate::vault::{Purpose, Vault, VaultError};

#[cfg(test)]
mod tests;

/// Sets second factors up and takes their codes.
#[derive(Debug, Clone)]
pub struct SecondFactors {
    store: Store,
    vault: Vault,
    guesses: Guesses,
}

/// A code that somebody has typed.
pub struct Typed<'a> {
    /// Whose code it is to be.
    pub user: UserId,
    /// The code: six digits, or a recovery code.
    pub code: Zeroizing<String>,
    /// Where it comes from.
    pub place: &'a Place,
    /// Who it is, for the audit log.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

/// Why a code was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// It is not right, or was taken before. The next try must wait so long.
    #[error("the code is not right, or was used before")]
    Wrong(Duration),
    /// There were too many wrong ones: the next may come in so long.
    #[error("too many codes were wrong; the next may come in {} s", .0.as_secs())]
    Wait(Duration),
    /// No secret is proposed to the user any more.
    #[error("the set-up has ended")]
    NotProposed,
    /// The secret cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<GuessError> for CodeError {
    fn from(error: GuessError) -> Self {
        match error {
            GuessError::Wait(wait) => Self::Wait(wait),
            GuessError::Store(error) => Self::Store(error),
        }
    }
}

impl SecondFactors {
    /// The second factors of this store's users.
    #[must_use]
    pub const fn new(store: Store, vault: Vault, guesses: Guesses) -> Self {
        Self {
            store,
            vault,
            guesses,
        }
    }

    /// Takes a code, which is good once, and makes these writes with it, all or nothing. A recovery code's use
    /// is audited beside the drafts.
    ///
    /// # Errors
    /// [`CodeError`] by its cause.
    pub async fn take(
        &self,
        typed: &Typed<'_>,
        mut writes: Vec<Sql>,
        drafts: Vec<Draft>,
    ) -> Result<Taken, CodeError> {
        let (user, now) = (typed.user, typed.now);
        let tried = self.may_try(typed).await?;
        let Some(proof) = self.proof(typed).await? else {
            return Err(CodeError::Wrong(tried.failed()));
        };
        let wait = tried.wait();
        writes.extend(tried.succeeded());
        let taken = self
            .store
            .take_code(user, proof, writes, drafts, typed.origin, now);
        taken.await?.ok_or(CodeError::Wrong(wait))
    }

    /// Makes a secret, which is in force once a code of it confirms it in the same session.
    ///
    /// # Errors
    /// [`VaultError`] by its cause.
    pub async fn propose(&self, user: UserId, session: SessionId, now: Timestamp) -> Result<(), VaultError> {
        let secret = TotpSecret::new(entropy::bytes());
        let id = entropy::ordered_id(now);
        let purpose = Purpose::SecondFactor(user);
        let sealed = self.vault.seal(purpose, &id, secret.as_bytes(), now).await?;
        let proposal = Proposal { id, sealed };
        let proposed = self.store.propose_second_factor(user, session, &proposal, now);
        Ok(proposed.await?)
    }

    /// The secret that is proposed to a user in this session.
    ///
    /// # Errors
    /// [`VaultError`] by its cause.
    pub async fn proposed(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<TotpSecret>, VaultError> {
        match self.store.proposed_second_factor(user, session, now).await? {
            Some(proposal) => self.open(user, &proposal.id, &proposal.sealed).await.map(Some),
            None => Ok(None),
        }
    }

    /// Puts the proposed secret in force, where the code is one of it. Gives new recovery codes, to be shown
    /// once.
    ///
    /// # Errors
    /// [`CodeError`] by its cause.
    pub async fn confirm(
        &self,
        typed: &Typed<'_>,
        changer: &Changer<'_>,
    ) -> Result<Vec<RecoveryCode>, CodeError> {
        let user = typed.user;
        let session = changer.session;
        let proposed = self
            .store
            .proposed_second_factor(user, session, typed.now)
            .await?;
        let proposal = proposed.ok_or(CodeError::NotProposed)?;
        let tried = self.may_try(typed).await?;
        let secret = self.open(user, &proposal.id, &proposal.sealed).await?;
        let step = match Entered::parse(&typed.code) {
            Some(Entered::Totp(code)) => secret.accept(&code, typed.now, None),
            Some(Entered::Recovery(_)) | None => None,
        };
        let Some(step) = step else {
            return Err(CodeError::Wrong(tried.failed()));
        };
        let (codes, hashes) = recovery_codes(user);
        // In the same transaction: where it failed afterwards, the codes would be in force and never shown.
        let right = tried.succeeded();
        let confirmed = self
            .store
            .confirm_second_factor(changer, proposal.id, step, &hashes, right);
        if !confirmed.await? {
            return Err(CodeError::NotProposed);
        }
        Ok(codes)
    }

    /// Replaces the recovery codes of a user by new ones, to be shown once; none where there is no second
    /// factor.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn new_recovery_codes(
        &self,
        changer: &Changer<'_>,
    ) -> Result<Option<Vec<RecoveryCode>>, StoreError> {
        let (codes, hashes) = recovery_codes(changer.user);
        let replaced = self.store.replace_recovery_codes(changer, &hashes).await?;
        Ok(replaced.then_some(codes))
    }

    async fn may_try(&self, typed: &Typed<'_>) -> Result<super::guesses::Try, GuessError> {
        let account = Account::User(typed.user);
        self.guesses
            .may_try(Guessed::Code, &account, typed.place, typed.now)
            .await
    }

    /// What to take where the code fits.
    async fn proof(&self, typed: &Typed<'_>) -> Result<Option<Proof>, CodeError> {
        let user = typed.user;
        let code = match Entered::parse(&typed.code) {
            None => return Ok(None),
            Some(Entered::Recovery(code)) => return Ok(Some(Proof::Recovery(code.hash(user)))),
            Some(Entered::Totp(code)) => code,
        };
        let Some(factor) = self.store.second_factor(user).await? else {
            return Ok(None);
        };
        let secret = self.open(user, &factor.id, &factor.sealed).await?;
        let step = secret.accept(&code, typed.now, Some(factor.last_step));
        Ok(step.map(|step| Proof::Step(factor.id, step)))
    }

    async fn open(&self, user: UserId, id: &[u8; 16], sealed: &[u8]) -> Result<TotpSecret, VaultError> {
        let purpose = Purpose::SecondFactor(user);
        let plain = self.vault.open_sealed(purpose, id, sealed).await?;
        Ok(TotpSecret::from_slice(&plain).ok_or(OpenError)?)
    }
}

fn recovery_codes(user: UserId) -> (Vec<RecoveryCode>, Vec<RecoveryHash>) {
    let codes: Vec<_> = (0..RECOVERY_CODES)
        .map(|_| RecoveryCode::generate(entropy::bytes()))
        .collect();
    let hashes = codes.iter().map(|code| code.hash(user)).collect();
    (codes, hashes)
}

impl fmt::Debug for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Typed")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
