//! Sessions of signed-in users, known by the digests of their tokens, and the form tokens that were used.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use sea_orm::QueryResult;
use sendpromptly_core::access::Shown;
use sendpromptly_core::hex;
use sendpromptly_core::id::UserId;
use sendpromptly_core::session::{ABSOLUTE, IDLE, Life};
use sendpromptly_core::time::Timestamp;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::old_rows::OldRows;
use super::rows::{self, Sql};
use super::{Store, StoreError};
use crate::platform::entropy;

/// What a browser holds of a session: 256 random bits. It does not print; the store knows its digest only.
#[derive(Clone)]
pub struct SessionToken(Zeroizing<[u8; 32]>);

impl SessionToken {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(Zeroizing::new(entropy::bytes()))
    }

    /// Reads 64 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode(text).map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Its 64 hex digits, for the cookie.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(&self.0[..]))
    }

    /// Its bytes, as the key of what is bound to it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let hash = Sha256::new().chain_update(b"sendpromptly.session.v1\0");
        hash.chain_update(&self.0[..]).finalize().into()
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// A session's id, which names it to its user.
pub type SessionId = [u8; 16];

/// A session in the making.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// What the browser will hold.
    pub token: &'a SessionToken,
    /// Whose it is.
    pub user: UserId,
    /// Whether all that signing in takes has been shown, a second factor included.
    pub complete: bool,
    /// When the password was shown.
    pub password_at: Option<Timestamp>,
    /// When a code of the second factor was shown.
    pub code_at: Option<Timestamp>,
    /// Where it was begun from.
    pub address: IpAddr,
    /// The browser, as it calls itself.
    pub agent: &'a str,
    /// When it begins.
    pub now: Timestamp,
}

/// A session as it is stored, with its user.
#[derive(Debug, Clone)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The user's e-mail address.
    pub email: String,
    /// When it was begun and used.
    pub life: Life,
    /// Whether all that signing in takes has been shown.
    pub complete: bool,
    /// Whether its token is to be replaced at the next request, for its user's rights have changed.
    pub rotate: bool,
    /// What it has shown, and when.
    pub shown: Shown,
}

/// The longest name of a browser that is kept, in characters.
const MAX_AGENT: usize = 256;

impl Store {
    /// Begins a session.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn begin_session(&self, new: &NewSession<'_>) -> Result<SessionId, StoreError> {
        let id = entropy::ordered_id(new.now);
        self.commit_together(vec![insert(id, new)]).await?;
        Ok(id)
    }

    /// The live session that this token opens.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn session(&self, token: &SessionToken, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let query = Sql::new(
            "SELECT s.id, s.user_id, u.email, s.created_at, s.seen_at, s.complete, s.rotate, s.password_at, s.code_at,
                f.confirmed_at
             FROM sessions s JOIN users u ON u.id = s.user_id
             LEFT JOIN second_factors f ON f.user_id = s.user_id WHERE s.token_digest = {}",
        );
        let row = query.bind(token.digest()).one(&self.reader).await?;
        let session = row.as_ref().map(session).transpose()?;
        Ok(session.filter(|session| !session.life.is_over(now)))
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_session(&self, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
        let update = Sql::new("UPDATE sessions SET seen_at = {} WHERE id = {} AND seen_at < {}");
        self.commit_together(vec![update.bind(now).bind(id).bind(now)])
            .await
    }

    /// Gives a session that is marked so another token: whether this call did it, and not another one before.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn rotate_marked_session(
        &self,
        id: SessionId,
        token: &SessionToken,
    ) -> Result<bool, StoreError> {
        let update =
            Sql::new("UPDATE sessions SET token_digest = {}, rotate = 0 WHERE id = {} AND rotate = 1");
        let tx = self.begin().await?;
        let rotated = update.bind(token.digest()).bind(id).run(&tx).await? == 1;
        tx.commit().await?;
        Ok(rotated)
    }

    /// Takes a form token, which is good once: whether this was the first time.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn use_form(&self, form: [u8; 16]) -> Result<bool, StoreError> {
        let insert = Sql::new("INSERT INTO used_forms (id) VALUES ({}) ON CONFLICT DO NOTHING");
        let tx = self.begin().await?;
        let first = insert.bind(form).run(&tx).await? == 1;
        tx.commit().await?;
        Ok(first)
    }

    /// Makes a form token good again, for what it was sent with did not happen.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn release_form(&self, form: [u8; 16]) -> Result<(), StoreError> {
        let delete = Sql::new("DELETE FROM used_forms WHERE id = {}");
        self.commit_together(vec![delete.bind(form)]).await
    }
}

/// Ends all sessions, as part of a restore.
pub(super) fn end_all() -> Sql {
    Sql::new("DELETE FROM sessions")
}

/// The sessions that time has ended.
#[must_use]
pub fn old_sessions(now: Timestamp) -> OldRows {
    OldRows::of("sessions", "created_at <= {} OR seen_at <= {}")
        .bind(before(now, ABSOLUTE))
        .bind(before(now, IDLE))
}

/// The form tokens that were used in sessions which time has ended.
#[must_use]
pub fn old_forms(now: Timestamp) -> OldRows {
    // A form token begins with its time, as every ordered id does.
    OldRows::up_to("used_forms", "id", first_id_of(before(now, ABSOLUTE)))
}

fn before(now: Timestamp, life: Duration) -> Timestamp {
    now.minus(life)
}

/// Begins a session, as part of a transaction.
pub fn insert(id: SessionId, new: &NewSession<'_>) -> Sql {
    let agent: String = new
        .agent
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_AGENT)
        .collect();
    Sql::new(
        "INSERT INTO sessions (id, token_digest, user_id, complete, password_at, code_at, address, agent, created_at, seen_at)
         VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
    )
    .bind(id)
    .bind(new.token.digest())
    .bind(new.user.as_bytes())
    .bind(new.complete)
    .bind(new.password_at)
    .bind(new.code_at)
    .bind(new.address.to_string())
    .bind(agent)
    .bind(new.now)
    .bind(new.now)
}

/// Gives a session another token, as part of a transaction.
pub fn rotate(id: SessionId, token: &SessionToken) -> Sql {
    Sql::new("UPDATE sessions SET token_digest = {}, rotate = 0 WHERE id = {}")
        .bind(token.digest())
        .bind(id)
}

/// Completes the sign-in of a session, or keeps it complete: a code was shown in it, and it goes on under another
/// token. Part of a transaction.
pub fn complete(id: SessionId, token: &SessionToken, now: Timestamp) -> Sql {
    Sql::new("UPDATE sessions SET token_digest = {}, rotate = 0, complete = 1, code_at = {} WHERE id = {}")
        .bind(token.digest())
        .bind(now)
        .bind(id)
}

/// Notes that a code was shown in a session, as part of a transaction.
pub fn note_code(id: SessionId, now: Timestamp) -> Sql {
    Sql::new("UPDATE sessions SET code_at = {} WHERE id = {}")
        .bind(now)
        .bind(id)
}

/// Notes that the password was shown in a session, as part of a transaction.
pub fn note_password(id: SessionId, now: Timestamp) -> Sql {
    Sql::new("UPDATE sessions SET password_at = {} WHERE id = {}")
        .bind(now)
        .bind(id)
}

/// Ends a session, as part of a transaction.
pub fn end(id: SessionId) -> Sql {
    Sql::new("DELETE FROM sessions WHERE id = {}").bind(id)
}

/// Ends a user's sessions but this one, as part of a transaction.
pub fn end_others(user: UserId, but: Option<SessionId>) -> Sql {
    Sql::new("DELETE FROM sessions WHERE user_id = {} AND id <> {}")
        .bind(user.as_bytes())
        .bind(but.unwrap_or_default())
}

/// Marks a user's sessions, whose tokens are then replaced at their next requests; part of a transaction.
pub fn rotate_all(user: UserId) -> Sql {
    Sql::new("UPDATE sessions SET rotate = 1 WHERE user_id = {}").bind(user.as_bytes())
}

fn first_id_of(time: Timestamp) -> [u8; 16] {
    let mut id = [0; 16];
    let millis = u64::try_from(time.as_millis()).unwrap_or(0).to_be_bytes();
    id[..6].copy_from_slice(&millis[2..]);
    id
}

fn session(row: &QueryResult) -> Result<Session, StoreError> {
    let flag = |column| Ok::<_, StoreError>(rows::get::<i64>(row, column)? != 0);
    let code_at = rows::optional_time(row, "code_at")?;
    let has_second_factor = rows::optional_time(row, "confirmed_at")?.is_some();
    Ok(Session {
        id: rows::id(row, "id")?,
        user: UserId::from_bytes(rows::id(row, "user_id")?),
        email: rows::get(row, "email")?,
        life: Life {
            created_at: rows::time(row, "created_at")?,
            seen_at: rows::time(row, "seen_at")?,
        },
        // However it was begun: with a second factor, nobody is in who has not shown a code of it.
        complete: flag("complete")? && (!has_second_factor || code_at.is_some()),
        rotate: flag("rotate")?,
        shown: Shown {
            code_at,
            password_at: rows::optional_time(row, "password_at")?,
            has_second_factor,
        },
    })
}
