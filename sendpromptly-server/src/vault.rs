//! The vault: seals what the database must not show, and opens it again.
//!
//! A master key, which lies outside the database, wraps data keys; data keys seal rows (see `docs/data.md`).
//! A store is bound to its master keys at its first use, so others are refused at the start and not found out
//! row by row. Which of them is active changes by rotations (see `docs/master-keys.md`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sendpromptly_core::credential::{ENTROPY, SigningSecret};
use sendpromptly_core::envelope::{OpenError, Place};
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::{ProjectId, UserId};
use sendpromptly_core::snapshot::{self, UnpackError};
use sendpromptly_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::config::KeyConfig;
use crate::platform::entropy;
use crate::store::data_keys::WrappedKey;
use crate::store::master_keys::BINDING;
use crate::store::signing_secrets::SealedSecret;
use crate::store::snapshots::Era;
use crate::store::{Store, StoreError};

pub mod audit_key;
mod data_keys;
pub mod key_command;
pub mod key_file;
pub mod key_ring;
mod master_keys;
pub mod provider;
pub mod ring_file;
pub mod rotation;
#[cfg(test)]
mod tests;

use data_keys::DataKeys;
use provider::ProviderError;

/// How long a project's secrets are remembered. A rotated one signs everywhere within five seconds.
const REMEMBERED: Duration = Duration::from_secs(4);
/// Projects whose secrets are remembered.
const REMEMBERED_PROJECTS: u64 = 10_000;

/// What a sealed value is for, and whose it is. A value of one purpose or owner never opens as another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A project's signing secret.
    SigningSecret(ProjectId),
    /// The secret by which a provider signs what it sends for a project.
    ProviderSecret(ProjectId),
    /// The head of a repair endpoint's answer to a project; forgotten by the day.
    Answer(ProjectId),
    /// The payload of a project's receipt, in an era of its snapshots; forgotten by the day.
    Snapshot(ProjectId, Era),
    /// The secret that a user's authenticator app shares with us.
    SecondFactor(UserId),
    /// Where alerts of a project go.
    Alert(ProjectId),
    /// A message that waits to be sent, of the instance itself.
    Mail,
}

impl Purpose {
    /// Names the purpose of answers' heads.
    pub(crate) const ANSWER: &'static str = "answer";
    /// Names the purpose of payloads.
    pub(crate) const SNAPSHOT: &'static str = "snapshot";

    const fn as_str(self) -> &'static str {
        match self {
            Self::SigningSecret(_) => "signing_secret",
            Self::ProviderSecret(_) => "provider_secret",
            Self::Answer(_) => Self::ANSWER,
            Self::Snapshot(..) => Self::SNAPSHOT,
            Self::SecondFactor(_) => "second_factor",
            Self::Alert(_) => "alert",
            Self::Mail => "mail",
        }
    }

    /// The kind of owner, as data keys name it.
    const fn scope(self) -> &'static str {
        match self {
            Self::SigningSecret(_)
            | Self::ProviderSecret(_)
            | Self::Answer(_)
            | Self::Snapshot(..)
            | Self::Alert(_) => "project",
            Self::SecondFactor(_) => "user",
            Self::Mail => "instance",
        }
    }

    const fn owner(&self) -> &[u8; 16] {
        match self {
            Self::SigningSecret(project)
            | Self::ProviderSecret(project)
            | Self::Answer(project)
            | Self::Snapshot(project, _)
            | Self::Alert(project) => project.as_bytes(),
            Self::SecondFactor(user) => user.as_bytes(),
            Self::Mail => &[0; 16],
        }
    }

    /// Whether data keys of this purpose are made anew each UTC day, so that a day can be forgotten.
    const fn goes_by_days(self) -> bool {
        matches!(self, Self::Answer(_) | Self::Snapshot(..))
    }

    /// How often the keys of this owner and purpose have been destroyed at once. A node must not go on with one
    /// that it remembers from before.
    const fn era(self) -> Era {
        match self {
            Self::Snapshot(_, era) => era,
            _ => Era::new(0),
        }
    }
}

/// Why the vault cannot seal or open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The master keys are not to be had.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The master keys at hand are not those of the store.
    #[error("{0}")]
    WrongMasterKey(String),
    /// A data key does not unwrap: it is damaged, or its master key is another one of the same name.
    #[error("{0}")]
    Damaged(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sealed value does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What opens is no payload.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The data key under which a value was sealed is not there: it was destroyed, or never was.
    #[error("the data key is gone")]
    KeyIsGone,
    /// Somebody else asked for the same at the same time, and it failed.
    #[error(transparent)]
    Shared(Arc<Self>),
}

impl VaultError {
    /// Whether what was sealed opens no more, whoever tries and when: its data key is gone, or it was changed.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Open(_) | Self::Unpack(_) => true,
            Self::Shared(error) => error.is_final(),
            _ => self.is_without_key(),
        }
    }

    /// Whether nothing is wrong but that the data key is gone, as it is when its time is over.
    #[must_use]
    pub fn is_without_key(&self) -> bool {
        match self {
            Self::KeyIsGone => true,
            Self::Shared(error) => error.is_without_key(),
            _ => false,
        }
    }

    /// Whether a data key does not unwrap by the master key of its name, of which the vault has seen at its start that
    /// it unwraps others.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Shared(error) => error.is_damage(),
            _ => false,
        }
    }
}

/// Seals and opens; cheap to clone.
#[derive(Clone)]
pub struct Vault {
    store: Store,
    keys: Arc<DataKeys>,
    secrets: Cache<ProjectId, Arc<Vec<OpenedSecret>>>,
}

struct OpenedSecret {
    secret: SigningSecret,
    expires_at: Option<Timestamp>,
}

impl Vault {
    /// The vault of this store. Makes the master key where the store has never had one.
    ///
    /// # Errors
    /// [`VaultError`] where the master keys are not to be had, or are not those of the store.
    pub async fn open(store: &Store, config: &KeyConfig) -> Result<Self, VaultError> {
        Ok(Self {
            store: store.clone(),
            keys: Arc::new(DataKeys::open(store, &config.master).await?),
            secrets: Cache::builder()
                .max_capacity(REMEMBERED_PROJECTS)
                .time_to_live(REMEMBERED)
                .build(),
        })
    }

    /// A key of the instance for what these words name. Every node has the same one, and the database alone
    /// does not give it.
    #[must_use]
    pub fn instance_key(&self, words: &str) -> Zeroizing<[u8; 32]> {
        self.keys.binding().derive(words)
    }

    /// Seals a value for its row.
    ///
    /// # Errors
    /// [`VaultError`] where the data key cannot be had.
    pub async fn seal(
        &self,
        purpose: Purpose,
        row: &[u8; 16],
        plain: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, VaultError> {
        let key = self.keys.to_seal(purpose, now).await?;
        Ok(key.seal(place(&purpose, row), plain, entropy::for_nonce()))
    }

    /// Seals a payload for its row, packed.
    ///
    /// # Errors
    /// [`VaultError`] where the data key cannot be had.
    pub async fn seal_packed(
        &self,
        purpose: Purpose,
        row: &[u8; 16],
        (text, provider): (&str, Provider),
        now: Timestamp,
    ) -> Result<Vec<u8>, VaultError> {
        let key = self.keys.to_seal(purpose, now).await?;
        let (place, room) = (place(&purpose, row), snapshot::room_to_pack(text.len()));
        let pack = |room: &mut [u8]| snapshot::pack(text, provider, room);
        let mut sealed = key.seal_written(place, entropy::for_nonce(), room, pack);
        // It may wait for the store, and is a fraction of what there was room for.
        sealed.shrink_to_fit();
        Ok(sealed)
    }

    /// Opens the value of a row.
    ///
    /// # Errors
    /// [`VaultError::Open`] where it was changed or moved, [`VaultError::KeyIsGone`] where its data key is gone.
    pub async fn open_sealed(
        &self,
        purpose: Purpose,
        row: &[u8; 16],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let key = self.keys.to_open(sealed).await?;
        Ok(key.open(place(&purpose, row), sealed)?)
    }

    /// Opens the payload of a row: its JSON text.
    ///
    /// # Errors
    /// As [`open_sealed`](Self::open_sealed); [`VaultError::Unpack`] where what opens is no payload.
    pub async fn open_packed(
        &self,
        purpose: Purpose,
        row: &[u8; 16],
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, VaultError> {
        let packed = self.open_sealed(purpose, row, sealed).await?;
        Ok(snapshot::unpack(&packed)?)
    }

    /// Makes a signing secret for a project: the secret, to be shown once, and what is stored of it.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub async fn new_secret(
        &self,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<(SigningSecret, SealedSecret), VaultError> {
        let secret = SigningSecret::generate(entropy::bytes::<ENTROPY>());
        let id = entropy::ordered_id(now);
        let plain = secret.expose().as_bytes();
        let sealed = self
            .seal(Purpose::SigningSecret(project), &id, plain, now)
            .await?;
        let stored = SealedSecret {
            id,
            project,
            sealed,
            created_at: now,
            expires_at: None,
        };
        Ok((secret, stored))
    }

    /// The secrets with which a project's callbacks are signed now, newest first.
    ///
    /// # Errors
    /// [`VaultError`] where they cannot be had.
    pub async fn live_secrets(
        &self,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<Vec<SigningSecret>, VaultError> {
        let opened = self
            .secrets
            .try_get_with(project, self.open_secrets(project))
            .await;
        let opened = opened.map_err(VaultError::Shared)?;
        let live = opened
            .iter()
            .filter(|opened| opened.expires_at.is_none_or(|end| now < end));
        Ok(live.map(|opened| opened.secret.clone()).collect())
    }

    /// One that opens no more is passed over: the others sign without it.
    async fn open_secrets(&self, project: ProjectId) -> Result<Arc<Vec<OpenedSecret>>, VaultError> {
        let (mut opened, mut lost) = (Vec::new(), None);
        for stored in self.store.signing_secrets(project).await? {
            match self.open_secret(&stored).await {
                Ok(secret) => opened.push(secret),
                Err(error) if error.is_final() || error.is_damage() => {
                    let secret = format_args!("{:032x}", u128::from_be_bytes(stored.id));
                    tracing::error!(%project, %secret, %error, "a signing secret opens no more");
                    lost = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match lost {
            Some(error) if opened.is_empty() => Err(error),
            _ => Ok(Arc::new(opened)),
        }
    }

    async fn open_secret(&self, stored: &SealedSecret) -> Result<OpenedSecret, VaultError> {
        let purpose = Purpose::SigningSecret(stored.project);
        let plain = self.open_sealed(purpose, &stored.id, &stored.sealed).await?;
        let text = std::str::from_utf8(&plain).map_err(|_| OpenError)?;
        Ok(OpenedSecret {
            secret: SigningSecret::parse(text).map_err(|_| OpenError)?,
            expires_at: stored.expires_at,
        })
    }
}

/// Whether the master keys at hand open a store that is not open yet, which has these data keys. A single one may be
/// damaged, for which nobody is kept from all others; gives how many are.
///
/// # Errors
/// [`VaultError`] where a master key is missing, does not unwrap the key that binds the store, or unwraps none of
/// several data keys that bear its name.
pub async fn must_open<'a>(
    config: &KeyConfig,
    keys: impl IntoIterator<Item = &'a WrappedKey>,
) -> Result<usize, VaultError> {
    let mut by_kid: BTreeMap<&str, Vec<&WrappedKey>> = BTreeMap::new();
    for key in keys {
        by_kid.entry(&key.kid).or_default().push(key);
    }
    if by_kid.is_empty() {
        return Ok(0); // it was never bound to a master key
    }
    let provider = provider::provider(&config.master);
    provider.load().await?;
    let mut all = 0;
    for keys in by_kid.into_values() {
        let (mut damaged, mut refused) = (0, None);
        for key in &keys {
            let Err(error) = provider.unwrap(key).await else {
                continue;
            };
            let error = VaultError::of_master_keys(&*provider, error);
            if !matches!(error, VaultError::Damaged(_)) || key.id == BINDING {
                return Err(error);
            }
            damaged += 1;
            refused = Some(error);
        }
        match refused {
            Some(error) if damaged == keys.len() && damaged > 1 => return Err(error),
            _ => all += damaged,
        }
    }
    Ok(all)
}

const fn place<'a>(purpose: &'a Purpose, row: &'a [u8; 16]) -> Place<'a> {
    Place {
        purpose: purpose.as_str(),
        scope: purpose.owner(),
        row,
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}
