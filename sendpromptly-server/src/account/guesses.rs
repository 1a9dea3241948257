//! Guesses at passwords and codes: whoever takes one asks here first, on whatever route.
//!
//! A try counts as a failure from the moment at which it is let through until it turns out to be none. It is
//! counted in the store, so guesses at two nodes, or many at once, get no further than others.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use sendpromptly_core::id::UserId;
use sendpromptly_core::throttle::{Budget, Guessed, Share};
use sendpromptly_core::time::Timestamp;
use sha2::{Digest, Sha256};

use super::device::DeviceToken;
use crate::http::network;
use crate::store::guesses::{self, Bucket, Counted};
use crate::store::rows::Sql;
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;

/// Counts guesses.
#[derive(Debug, Clone)]
pub struct Guesses {
    store: Store,
}

/// Whose password or code is guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// A user's.
    User(UserId),
    /// Nobody's: a digest of what was given as the e-mail address. It is slowed down like any other.
    Unknown([u8; 16]),
    /// Nobody's yet: the id of a sign-up that is to be confirmed.
    SignUp([u8; 16]),
}

/// Where a guess comes from.
#[derive(Clone, Copy)]
pub struct Place {
    /// The client's address.
    pub address: IpAddr,
    /// The token of the browser, if it has one; whether it is known for the account is looked up.
    pub device: Option<DeviceToken>,
}

/// A try that was let through. It counts as a failure unless its success is written.
#[derive(Debug)]
#[must_use = "a right guess counts as a failure until its success is written"]
pub struct Try {
    buckets: Vec<(Share, Bucket)>,
    wait: Duration,
}

/// Why nothing may be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuessError {
    /// There were too many failures: the next try may come in so long.
    #[error("too many tries; the next may come in {} s", .0.as_secs())]
    Wait(Duration),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Guesses {
    /// Counts in this store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Lets a try through, or tells how long to wait. Ask before anything is compared.
    ///
    /// # Errors
    /// [`GuessError`] by its cause.
    pub async fn may_try(
        &self,
        guessed: Guessed,
        account: &Account,
        place: &Place,
        now: Timestamp,
    ) -> Result<Try, GuessError> {
        let shares = if self.is_known(account, place, now).await? {
            Share::known(guessed)
        } else {
            Share::STRANGER
        };
        let of_share = |share: &Share| (*share, bucket(guessed, *share, account, place));
        let buckets: Vec<_> = shares.iter().map(of_share).collect();
        let budgets: BTreeMap<_, _> = buckets
            .iter()
            .map(|(share, bucket)| (*bucket, Budget::of(guessed, *share)))
            .collect();
        match self.store.count_guess(&budgets, now).await? {
            Counted::Counted(wait) => Ok(Try { buckets, wait }),
            Counted::MustWait(wait) => Err(GuessError::Wait(wait)),
        }
    }

    async fn is_known(&self, account: &Account, place: &Place, now: Timestamp) -> Result<bool, StoreError> {
        let Some(device) = &place.device else {
            return Ok(false);
        };
        // Nobody's account is looked for as well, so that it takes no less work than a user's.
        let user = UserId::from_bytes(*account.as_bytes());
        self.store.is_known_device(user, &device.digest(), now).await
    }

    /// Writes that a try was right, where that is a transaction of its own; see [`Try::succeeded`].
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn succeeded(&self, right: Try) -> Result<(), StoreError> {
        self.store.commit_together(right.succeeded()).await
    }

    /// Takes a try back that came to nothing: nothing was compared.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn take_back(&self, untried: Try) -> Result<(), StoreError> {
        let back = untried.settle(|_, bucket| guesses::take_back(bucket));
        self.store.commit_together(back).await
    }
}

impl Try {
    /// What to write where the guess was right, best with what follows from it.
    #[must_use]
    pub fn succeeded(self) -> Vec<Sql> {
        self.settle(|share, bucket| {
            if share.ends_with_success() {
                guesses::wipe(bucket)
            } else {
                guesses::take_back(bucket)
            }
        })
    }

    /// In the order of the keys, in which counting locks the budgets: in another one, two could wait for each other.
    fn settle(mut self, write: impl Fn(Share, Bucket) -> Sql) -> Vec<Sql> {
        self.buckets.sort_unstable_by_key(|(_, bucket)| *bucket);
        let buckets = self.buckets.into_iter();
        buckets.map(|(share, bucket)| write(share, bucket)).collect()
    }

    /// How long the next try must wait, where this one is wrong.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        self.wait
    }

    /// The guess was wrong; it stays counted. Gives how long the next one must wait.
    #[must_use]
    pub fn failed(self) -> Duration {
        self.wait
    }
}

impl Account {
    /// The account of whoever gives this as their e-mail address, where no user has it.
    #[must_use]
    pub fn unknown(email_key: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(b"sendpromptly.account.v1\0")
            .chain_update(email_key.as_bytes());
        Self::Unknown(first_half(digest))
    }

    /// The user, where it is one's.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(*id),
            Self::Unknown(_) | Self::SignUp(_) => None,
        }
    }

    /// Names it in the store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::User(id) => id.as_bytes(),
            Self::Unknown(id) | Self::SignUp(id) => id,
        }
    }
}

fn bucket(guessed: Guessed, share: Share, account: &Account, place: &Place) -> Bucket {
    let network = network(place.address).to_string();
    let device = place.device.as_ref().map_or([0; 16], DeviceToken::digest);
    let (account, place): (&[u8], &[u8]) = match share {
        Share::KnownDevice => (account.as_bytes(), &device),
        Share::AccountFromNetwork => (account.as_bytes(), network.as_bytes()),
        Share::Account | Share::KnownDevices => (account.as_bytes(), b""),
        Share::Network => (b"", network.as_bytes()),
    };
    let mut digest = Sha256::new().chain_update(b"sendpromptly.guesses.v1\0");
    for part in [
        guessed.as_str().as_bytes(),
        share.as_str().as_bytes(),
        account,
        place,
    ] {
        digest.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(part);
    }
    first_half(digest)
}

fn first_half(digest: Sha256) -> [u8; 16] {
    let digest: [u8; 32] = digest.finalize().into();
    std::array::from_fn(|index| digest[index])
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("address", &self.address)
            .field("has_device", &self.device.is_some())
            .finish()
    }
}
