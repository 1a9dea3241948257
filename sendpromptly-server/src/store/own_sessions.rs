//! A user's own sessions: which there are, and their end.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::hex;
use sendpromptly_core::id::UserId;
use sendpromptly_core::session::Life;
use sendpromptly_core::time::Timestamp;

use super::audit::Drafts;
use super::retry::retried;
use super::rows::{self, Sql};
use super::sessions::{self, Session, SessionId};
use super::{Store, StoreError, links};
use crate::account::link::LinkKind;

/// One of a user's sessions.
#[derive(Debug, Clone)]
pub struct OwnSession {
    /// Its id.
    pub id: SessionId,
    /// When it was begun and used.
    pub life: Life,
    /// Where it was begun from.
    pub address: String,
    /// The browser, as it calls itself.
    pub agent: String,
}

/// Which of a user's sessions are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(SessionId),
    /// All but this one.
    AllBut(SessionId),
}

/// A session that its browser leaves for another one.
#[derive(Debug)]
pub struct Leaving<'a> {
    /// The session.
    pub session: &'a Session,
    /// Who leaves it, and from where.
    pub origin: Origin,
}

impl Store {
    /// A user's live sessions, the one used last first. Those whose sign-in is not complete are none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn sessions_of(&self, user: UserId, now: Timestamp) -> Result<Vec<OwnSession>, StoreError> {
        let query = Sql::new(
            "SELECT id, address, agent, created_at, seen_at FROM sessions WHERE user_id = {} AND complete = 1
             ORDER BY seen_at DESC, id DESC",
        );
        let found = query.bind(user.as_bytes()).all(&self.reader).await?;
        let sessions: Vec<_> = found.iter().map(own_session).collect::<Result<_, _>>()?;
        Ok(sessions
            .into_iter()
            .filter(|session| !session.life.is_over(now))
            .collect())
    }

    /// Ends sessions of a user, and tells of each that was there; links to a new address are void. Gives how many
    /// there were.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn end_sessions(
        &self,
        user: UserId,
        which: Which,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        retried(|| self.try_end_sessions(user, which, origin, now)).await
    }

    async fn try_end_sessions(
        &self,
        user: UserId,
        which: Which,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let delete = match which {
            Which::One(id) => Sql::new("DELETE FROM sessions WHERE user_id = {} AND id = {} RETURNING id")
                .bind(user.as_bytes())
                .bind(id),
            Which::AllBut(id) => {
                Sql::new("DELETE FROM sessions WHERE user_id = {} AND id <> {} RETURNING id")
                    .bind(user.as_bytes())
                    .bind(id)
            }
        };
        let tx = self.begin().await?;
        let ended = delete.all(&tx).await?;
        let draft = |row| {
            let id = hex::encode(&rows::id(row, "id")?);
            Ok(Draft::new(
                origin,
                Action::SessionEnded,
                user,
                &[("session", &id)],
            ))
        };
        let drafts: Vec<_> = ended.iter().map(draft).collect::<Result<_, StoreError>>()?;
        let drafts = self.drafts_of_user(&tx, user, now, drafts).await?;
        // One that ended may have asked for a link to a new address.
        let void = links::void(LinkKind::ChangeEmail, user.as_bytes(), now);
        self.write_audited(&tx, vec![void], &drafts).await?;
        tx.commit().await?;
        Ok(ended.len())
    }

    /// Ends a session that is left, in this transaction; gives what is to be told of it, if it was there still. One
    /// that lacks a code was never told of.
    pub(super) async fn end_left(
        &self,
        tx: &DatabaseTransaction,
        Leaving { session, origin }: &Leaving<'_>,
        now: Timestamp,
    ) -> Result<Drafts, StoreError> {
        let was_there = sessions::end(session.id).run(tx).await? == 1;
        if !(was_there && session.complete) {
            return Ok(Drafts::new());
        }
        let logout = Draft::new(origin, Action::Logout, session.user, &[]);
        self.drafts_of_user(tx, session.user, now, vec![logout]).await
    }
}

fn own_session(row: &QueryResult) -> Result<OwnSession, StoreError> {
    Ok(OwnSession {
        id: rows::id(row, "id")?,
        life: Life {
            created_at: rows::time(row, "created_at")?,
            seen_at: rows::time(row, "seen_at")?,
        },
        address: rows::get(row, "address")?,
        agent: rows::get(row, "agent")?,
    })
}
