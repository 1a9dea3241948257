//! Second factors: a user's sealed secret and recovery codes, from the proposal to the turning off.

use std::time::Duration;

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::UserId;
use sendpromptly_core::second_factor::{RecoveryHash, Step};
use sendpromptly_core::time::Timestamp;

use super::old_rows::OldRows;
use super::retry::retried;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::sessions::{self, SessionId, SessionToken};
use super::{Store, StoreError, links};
use crate::account::link::LinkKind;

mod required;
mod taking;
#[cfg(test)]
mod tests;

pub use required::Requiring;
pub use taking::{Proof, Taken};

/// How long a secret that was proposed may be confirmed.
const PROPOSED_FOR: Duration = Duration::from_secs(30 * 60);

/// A user's second factor.
#[derive(Debug, Clone)]
pub struct SecondFactor {
    /// The id of its secret.
    pub id: [u8; 16],
    /// The secret, sealed.
    pub sealed: Vec<u8>,
    /// The step of the last code that was taken.
    pub last_step: Step,
    /// Since when it is in force.
    pub confirmed_at: Timestamp,
}

/// A secret that was shown to a user, to be confirmed by a code of it.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Its id.
    pub id: [u8; 16],
    /// The secret, sealed.
    pub sealed: Vec<u8>,
}

/// The browser in which a user changes the second factor. Its session goes on under another token, with a code
/// shown now; every other session of the user ends.
#[derive(Debug)]
pub struct Changer<'a> {
    /// Who.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// Its new token.
    pub token: &'a SessionToken,
    /// Who asks, and from where.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

/// How turning a second factor off ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedOff {
    /// It is off.
    Done,
    /// There was none.
    NoFactor,
    /// An organization of the user requires one.
    Required,
}

impl Store {
    /// A user's second factor.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn second_factor(&self, user: UserId) -> Result<Option<SecondFactor>, StoreError> {
        let query =
            Sql::new("SELECT id, sealed, last_step, confirmed_at FROM second_factors WHERE user_id = {}");
        let row = query.bind(user.as_bytes()).one(&self.reader).await?;
        row.as_ref().map(factor_of).transpose()
    }

    /// How many recovery codes a user has left.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn recovery_codes_left(&self, user: UserId) -> Result<u32, StoreError> {
        let row = codes_left(user).one(&self.reader).await?;
        row.map_or(Ok(0), |row| rows::count(&row, "n"))
    }

    /// Keeps a secret until a code of it confirms it in this session, in place of one that was proposed in it
    /// before. Another session of the user, which may be a thief's, neither sees nor confirms it.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn propose_second_factor(
        &self,
        user: UserId,
        session: SessionId,
        proposal: &Proposal,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let put = Sql::new(
            "INSERT INTO second_factor_proposals (session_id, user_id, id, sealed, created_at)
             VALUES ({}, {}, {}, {}, {})
             ON CONFLICT (session_id) DO UPDATE
             SET user_id = excluded.user_id, id = excluded.id, sealed = excluded.sealed, created_at = excluded.created_at",
        )
        .bind(session)
        .bind(user.as_bytes())
        .bind(proposal.id)
        .bind(proposal.sealed.clone())
        .bind(now);
        self.commit_together(vec![put]).await
    }

    /// The secret that was proposed to a user in this session, while it may be confirmed.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn proposed_second_factor(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
    ) -> Result<Option<Proposal>, StoreError> {
        let query = Sql::new(
            "SELECT id, sealed FROM second_factor_proposals
             WHERE session_id = {} AND user_id = {} AND created_at > {}",
        );
        let query = query.bind(session).bind(user.as_bytes());
        let query = query.bind(no_longer_proposed(now));
        let row = query.one(&self.reader).await?;
        let proposal = |row: QueryResult| {
            Ok(Proposal {
                id: rows::id(&row, "id")?,
                sealed: rows::get(&row, "sealed")?,
            })
        };
        row.map(proposal).transpose()
    }

    /// Puts a proposed secret in force, whose code of this step has confirmed it, with new recovery codes, and
    /// makes these writes with it. Gives whether it was still proposed.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn confirm_second_factor(
        &self,
        changer: &Changer<'_>,
        proposal: [u8; 16],
        step: Step,
        codes: &[RecoveryHash],
        with: Vec<Sql>,
    ) -> Result<bool, StoreError> {
        retried(|| self.try_confirm_second_factor(changer, proposal, step, codes, with.clone())).await
    }

    async fn try_confirm_second_factor(
        &self,
        changer: &Changer<'_>,
        proposal: [u8; 16],
        step: Step,
        codes: &[RecoveryHash],
        with: Vec<Sql>,
    ) -> Result<bool, StoreError> {
        let (user, now) = (changer.user, changer.now);
        let tx = self.begin().await?;
        let taken = Sql::new(
            "DELETE FROM second_factor_proposals
             WHERE session_id = {} AND user_id = {} AND id = {} AND created_at > {} RETURNING sealed",
        );
        let taken = taken.bind(changer.session).bind(user.as_bytes()).bind(proposal);
        let Some(row) = taken.bind(no_longer_proposed(now)).one(&tx).await? else {
            return Ok(false);
        };
        let sealed: Vec<u8> = rows::get(&row, "sealed")?;
        let had_one = self.lock_second_factor(&tx, user).await?;
        let put = Sql::new(
            "INSERT INTO second_factors (user_id, id, sealed, last_step, confirmed_at) VALUES ({}, {}, {}, {}, {})
             ON CONFLICT (user_id) DO UPDATE SET id = excluded.id, sealed = excluded.sealed,
                last_step = excluded.last_step, confirmed_at = excluded.confirmed_at",
        )
        .bind(user.as_bytes())
        .bind(proposal)
        .bind(sealed)
        .bind(step.number())
        .bind(now);
        let action = if had_one {
            Action::SecondFactorReplaced
        } else {
            Action::SecondFactorEnabled
        };
        let drafts = vec![
            Draft::new(changer.origin, action, user, &[]),
            codes_made(changer, codes.len()),
        ];
        forget_codes(user).run(&tx).await?;
        let mut writes = vec![put, insert_codes(user, codes), forget_proposals(user)];
        writes.extend(with);
        self.change_factor(tx, changer, writes, drafts).await?;
        Ok(true)
    }

    /// Replaces a user's recovery codes. Gives whether there is a second factor that they recover.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn replace_recovery_codes(
        &self,
        changer: &Changer<'_>,
        codes: &[RecoveryHash],
    ) -> Result<bool, StoreError> {
        let user = changer.user;
        retried(|| async {
            let tx = self.begin().await?;
            if !self.lock_second_factor(&tx, user).await? {
                return Ok(false);
            }
            forget_codes(user).run(&tx).await?;
            let writes = vec![insert_codes(user, codes)];
            let drafts = vec![codes_made(changer, codes.len())];
            self.change_factor(tx, changer, writes, drafts).await?;
            Ok(true)
        })
        .await
    }

    /// Turns a user's second factor off, unless an organization of the user requires one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn turn_second_factor_off(&self, changer: &Changer<'_>) -> Result<TurnedOff, StoreError> {
        let user = changer.user;
        retried(|| async {
            let tx = self.begin().await?;
            if !self.lock_second_factor(&tx, user).await? {
                return Ok(TurnedOff::NoFactor);
            }
            if self.must_have_second_factor(&tx, user).await? {
                return Ok(TurnedOff::Required);
            }
            let forget = Sql::new("DELETE FROM second_factors WHERE user_id = {}").bind(user.as_bytes());
            let writes = vec![forget, forget_proposals(user), forget_codes(user)];
            let draft = Draft::new(changer.origin, Action::SecondFactorDisabled, user, &[]);
            self.change_factor(tx, changer, writes, vec![draft]).await?;
            Ok(TurnedOff::Done)
        })
        .await
    }

    /// Whether the user has a second factor; it stays as it is until the transaction ends.
    async fn lock_second_factor(&self, tx: &DatabaseTransaction, user: UserId) -> Result<bool, StoreError> {
        let lock = self.dialect.for_update_of("f");
        let query = Sql::new(format!(
            "SELECT f.user_id FROM second_factors f WHERE f.user_id = {{}}{lock}"
        ));
        Ok(query.bind(user.as_bytes()).one(tx).await?.is_some())
    }

    async fn change_factor(
        &self,
        tx: DatabaseTransaction,
        changer: &Changer<'_>,
        mut writes: Vec<Sql>,
        drafts: Vec<Draft>,
    ) -> Result<(), StoreError> {
        let (user, session, now) = (changer.user, changer.session, changer.now);
        writes.push(sessions::end_others(user, Some(session)));
        writes.push(sessions::complete(session, changer.token, now));
        // A link to a new address may have been asked for in one of the sessions that end.
        writes.push(links::void(LinkKind::ChangeEmail, user.as_bytes(), now));
        let drafts = self.drafts_of_user(&tx, user, now, drafts).await?;
        self.write_audited(&tx, writes, &drafts).await?;
        Ok(tx.commit().await?)
    }
}

fn no_longer_proposed(now: Timestamp) -> Timestamp {
    now.minus(PROPOSED_FOR)
}

fn codes_left(user: UserId) -> Sql {
    Sql::new("SELECT count(*) AS n FROM recovery_codes WHERE user_id = {} AND used_at IS NULL")
        .bind(user.as_bytes())
}

fn codes_made(changer: &Changer<'_>, count: usize) -> Draft {
    let count = count.to_string();
    let more = [("count", count.as_str())];
    Draft::new(changer.origin, Action::RecoveryCodesMade, changer.user, &more)
}

/// The secrets that were proposed and may not be confirmed any more.
#[must_use]
pub fn old_proposals(now: Timestamp) -> OldRows {
    OldRows::up_to("second_factor_proposals", "created_at", no_longer_proposed(now))
}

/// Drops what was proposed to a user, in whatever session.
#[must_use]
pub fn forget_proposals(user: UserId) -> Sql {
    Sql::new("DELETE FROM second_factor_proposals WHERE user_id = {}").bind(user.as_bytes())
}

fn forget_codes(user: UserId) -> Sql {
    Sql::new("DELETE FROM recovery_codes WHERE user_id = {}").bind(user.as_bytes())
}

fn insert_codes(user: UserId, codes: &[RecoveryHash]) -> Sql {
    const COLUMNS: &[Column] = &[Column::new("user_id", Kind::Id), Column::new("hash", Kind::Bytes)];
    let mut rows = Rows::new(COLUMNS);
    for hash in codes {
        rows.push([user.as_bytes().into(), hash.into()]);
    }
    Sql::over(
        "INSERT INTO recovery_codes (user_id, hash) SELECT r.user_id, r.hash FROM {rows}",
        rows,
    )
}

fn factor_of(row: &QueryResult) -> Result<SecondFactor, StoreError> {
    Ok(SecondFactor {
        id: rows::id(row, "id")?,
        sealed: rows::get(row, "sealed")?,
        last_step: Step::from_number(rows::get(row, "last_step")?),
        confirmed_at: rows::time(row, "confirmed_at")?,
    })
}
