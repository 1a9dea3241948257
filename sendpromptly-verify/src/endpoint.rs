//! The whole way of a callback: verified, its nonce remembered, its body read, its repair claimed.

use crate::error::VerifyError;
use crate::headers::Headers;
use crate::nonce::NonceMemory;
use crate::verifier::{Verified, Verifier};
#[cfg(feature = "serde")]
use crate::{
    answer::Answer,
    callback::Callback,
    replay::{Outcome, Repair, ReplayStore},
};

/// A repair endpoint: a verifier with its memory of nonces. One is made at start and shared.
#[derive(Debug)]
pub struct Endpoint {
    verifier: Verifier,
    nonces: NonceMemory,
}

impl Endpoint {
    /// An endpoint that takes what the verifier takes.
    #[must_use]
    pub fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            nonces: NonceMemory::default(),
        }
    }

    /// Uses this memory of nonces.
    #[must_use]
    pub fn with_nonces(self, nonces: NonceMemory) -> Self {
        Self { nonces, ..self }
    }

    /// Verifies a callback and remembers its nonce. `now` is in Unix seconds.
    ///
    /// # Errors
    /// [`VerifyError`]; a nonce is remembered only where the signature holds.
    pub fn verify<'b, H: Headers + ?Sized>(
        &self,
        headers: &H,
        body: &'b [u8],
        now: i64,
    ) -> Result<Verified<'b>, VerifyError> {
        let verified = self.verifier.verify(headers, body, now)?;
        self.nonces.remember(&verified, now)?;
        Ok(verified)
    }

    /// Admits a genuine callback, for an endpoint that inserts the `replay_id` in the database transaction of
    /// the effect. See [`replay`](crate::replay).
    ///
    /// ```rust
    /// use sendpromptly_verify::{Answer, Endpoint, Headers, unix_now};
    /// # use sendpromptly_verify::{Callback, replay::ReplayId};
    /// # struct Database; struct Transaction;
    /// # impl Database { fn begin(&self) -> Transaction { Transaction } }
    /// # impl Transaction {
    /// #     fn insert_replay(&mut self, _: ReplayId) -> bool { true }
    /// #     fn grant_access(&mut self, _: &Callback) {}
    /// #     fn commit(self) {}
    /// # }
    ///
    /// fn repair(
    ///     endpoint: &Endpoint,
    ///     database: &Database,
    ///     headers: &impl Headers,
    ///     body: &[u8],
    /// ) -> Result<Answer, Answer> {
    ///     let callback = endpoint.admit(headers, body, unix_now())?;
    ///     let mut transaction = database.begin();
    ///     if !transaction.insert_replay(callback.replay_id) { // under a unique key
    ///         return Ok(Answer::AlreadyApplied);
    ///     }
    ///     transaction.grant_access(&callback);
    ///     transaction.commit();
    ///     Ok(Answer::Applied)
    /// }
    /// ```
    ///
    /// # Errors
    /// The [`Answer`] to send where there is nothing to apply: the callback is refused, can't be read, or is a
    /// test.
    #[cfg(feature = "serde")]
    pub fn admit<H: Headers + ?Sized>(&self, headers: &H, body: &[u8], now: i64) -> Result<Callback, Answer> {
        let callback = self.verify(headers, body, now)?.callback()?;
        if callback.is_test() {
            return Err(Answer::Tested);
        }
        Ok(callback)
    }

    /// Admits a genuine callback and claims its repair. Apply the effect, awaiting what you need to, and
    /// [`finish`](Repair::finish); a repair that is dropped unfinished is in doubt.
    ///
    /// # Errors
    /// The [`Answer`] to send where there is nothing to apply: the callback is refused or a test, or its
    /// repair is applied already, being applied, or in doubt.
    #[cfg(feature = "serde")]
    pub fn begin<'s, S: ReplayStore, H: Headers + ?Sized>(
        &self,
        replays: &'s S,
        headers: &H,
        body: &[u8],
        now: i64,
    ) -> Result<(Callback, Repair<'s, S>), Answer> {
        let callback = self.admit(headers, body, now)?;
        let repair = Repair::begin(replays, callback.replay_id, now)?;
        Ok((callback, repair))
    }

    /// Does all of it, with an effect that needs no awaiting.
    #[cfg(feature = "serde")]
    pub fn handle<S: ReplayStore, H: Headers + ?Sized>(
        &self,
        replays: &S,
        headers: &H,
        body: &[u8],
        now: i64,
        effect: impl FnOnce(&Callback) -> Outcome,
    ) -> Answer {
        match self.begin(replays, headers, body, now) {
            Ok((callback, repair)) => repair.finish(effect(&callback)),
            Err(answer) => answer,
        }
    }
}
