//! Mailed links: whether one was used. A token alone does nothing; its row is taken once.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::time::Timestamp;

use super::old_rows::OldRows;
use super::rows::{self, Sql};
use super::{Store, StoreError};
use crate::account::link::{Link, LinkKind};

/// A link in the making.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// What its token says.
    pub link: Link,
    /// The user, sign-up or invitation that it is about.
    pub subject: [u8; 16],
    /// The new address that it confirms, for [`LinkKind::ChangeEmail`].
    pub email: Option<String>,
}

/// What a link that is good is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The user, sign-up or invitation.
    pub id: [u8; 16],
    /// The new address, for [`LinkKind::ChangeEmail`].
    pub email: Option<String>,
}

/// Stores a link, as part of a transaction.
#[must_use]
pub fn insert(new: &NewLink) -> Sql {
    Sql::new("INSERT INTO links (id, kind, subject_id, email, expires_at) VALUES ({}, {}, {}, {}, {})")
        .bind(new.link.id)
        .bind(new.link.kind.as_str())
        .bind(new.subject)
        .bind(new.email.as_deref().unwrap_or_default())
        .bind(new.link.expires_at)
}

/// Voids the links of a kind about somebody, as part of a transaction. Whoever has one finds it used.
#[must_use]
pub fn void(kind: LinkKind, subject: &[u8; 16], now: Timestamp) -> Sql {
    Sql::new("UPDATE links SET used_at = {} WHERE subject_id = {} AND kind = {} AND used_at IS NULL")
        .bind(now)
        .bind(subject)
        .bind(kind.as_str())
}

/// Voids every link, as part of a restore.
pub(super) fn void_all(now: Timestamp) -> Sql {
    Sql::new("UPDATE links SET used_at = {} WHERE used_at IS NULL").bind(now)
}

impl Store {
    /// What a link is about; `None` where it was used or voided.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn link_subject(&self, link: &Link) -> Result<Option<Subject>, StoreError> {
        let query =
            Sql::new("SELECT subject_id, email FROM links WHERE id = {} AND kind = {} AND used_at IS NULL");
        let row = query
            .bind(link.id)
            .bind(link.kind.as_str())
            .one(&self.reader)
            .await?;
        row.as_ref().map(subject).transpose()
    }

    /// Takes a link, which is good once: what it is about, or `None` where another one was first. Undone with
    /// its transaction.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub(super) async fn take_link(
        &self,
        tx: &DatabaseTransaction,
        link: &Link,
        now: Timestamp,
    ) -> Result<Option<Subject>, StoreError> {
        let take = Sql::new(
            "UPDATE links SET used_at = {} WHERE id = {} AND kind = {} AND used_at IS NULL
             RETURNING subject_id, email",
        );
        let row = take
            .bind(now)
            .bind(link.id)
            .bind(link.kind.as_str())
            .one(tx)
            .await?;
        row.as_ref().map(subject).transpose()
    }
}

/// The links that time has ended.
#[must_use]
pub fn old_links(now: Timestamp) -> OldRows {
    OldRows::up_to("links", "expires_at", now)
}

fn subject(row: &sea_orm::QueryResult) -> Result<Subject, StoreError> {
    let email: Option<String> = rows::get(row, "email")?;
    Ok(Subject {
        id: rows::id(row, "subject_id")?,
        email: email.filter(|email| !email.is_empty()),
    })
}
