//! Where letters are handed in: sealed for the outbox, with the links that stand in them.

use std::fmt;
use std::sync::Arc;

use sendpromptly_core::time::Timestamp;
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::Letter;
use crate::account::link::{Link, LinkKey, LinkKind};
use crate::platform::entropy;
use crate::store::links::NewLink;
use crate::store::outbox;
use crate::store::rows::Sql;
use crate::vault::{Purpose, Vault, VaultError};

/// Takes letters. Its copies are one.
#[derive(Clone)]
pub struct Post {
    vault: Vault,
    links: LinkKey,
    base_url: Arc<str>,
    wake: Arc<Notify>,
}

/// A link to be mailed: its row, and the whole of its address.
pub struct MailedLink {
    /// The row, to be stored in the transaction that sends the mail.
    pub row: NewLink,
    /// Where it leads.
    pub url: Zeroizing<String>,
}

impl Post {
    /// The post of an instance that is reached at this URL. `wake` is told when a letter was handed in.
    #[must_use]
    pub fn new(vault: Vault, base_url: &str, wake: Arc<Notify>) -> Self {
        Self {
            links: LinkKey::of(&vault),
            vault,
            base_url: base_url.into(),
            wake,
        }
    }

    /// How this instance is reached, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// A new link about this user, sign-up or invitation; `email` is the new address of a
    /// [`LinkKind::ChangeEmail`].
    #[must_use]
    pub fn link(&self, kind: LinkKind, subject: [u8; 16], email: Option<&str>, now: Timestamp) -> MailedLink {
        let link = Link {
            kind,
            id: entropy::ordered_id(now),
            expires_at: now.plus(kind.life()),
        };
        let token = self.links.sign(&link);
        MailedLink {
            url: Zeroizing::new(format!("{}/links/{}", self.base_url, token.as_str())),
            row: NewLink {
                link,
                subject,
                email: email.map(str::to_owned),
            },
        }
    }

    /// The link of a token; `None` where it is none of ours, or too old.
    #[must_use]
    pub fn read(&self, token: &str, now: Timestamp) -> Option<Link> {
        self.links.verify(token, now)
    }

    /// Seals a letter: the statement that puts it into the outbox, to be run in the transaction of what it tells.
    ///
    /// # Errors
    /// [`VaultError`] where it cannot be sealed.
    pub async fn seal(&self, letter: &Letter, now: Timestamp) -> Result<Sql, VaultError> {
        let id = entropy::ordered_id(now);
        let plain = Zeroizing::new(serde_json::to_vec(letter).unwrap_or_default());
        let sealed = self.vault.seal(Purpose::Mail, &id, &plain, now).await?;
        Ok(outbox::insert(id, sealed, now))
    }

    /// Opens a letter of the outbox.
    ///
    /// # Errors
    /// [`VaultError`] where it was changed, or its key is not to be had.
    pub async fn open(&self, id: &[u8; 16], sealed: &[u8]) -> Result<Option<Letter>, VaultError> {
        let plain = self.vault.open_sealed(Purpose::Mail, id, sealed).await?;
        Ok(serde_json::from_slice(&plain).ok())
    }

    /// Has this node look into the outbox at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// What is told when a letter was handed in.
    #[must_use]
    pub fn bell(&self) -> Arc<Notify> {
        self.wake.clone()
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post(..)")
    }
}

impl fmt::Debug for MailedLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailedLink(..)")
    }
}
