//! The taking of a code, which is good once.
//!
//! Whether it was taken before is settled by the database: the step of the last code, or the recovery code's
//! row, changes by compare-and-set, in the transaction of what the code is shown for.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::UserId;
use sendpromptly_core::second_factor::{RecoveryHash, Step};
use sendpromptly_core::time::Timestamp;

use super::codes_left;
use crate::store::retry::retried;
use crate::store::rows::{self, Sql};
use crate::store::{Store, StoreError};

/// A code that fits, before it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A code of the authenticator app: the secret that it fits, and its step.
    Step([u8; 16], Step),
    /// A recovery code. Whether there is one like it only the store knows.
    Recovery(RecoveryHash),
}

/// What was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A code of the authenticator app.
    Code,
    /// A recovery code; so many are left.
    Recovery {
        /// How many.
        left: u32,
    },
}

impl Store {
    /// Takes a code, which is good once, and makes these writes with it. Gives nothing where it is not good
    /// (any more); then nothing is written. That a recovery code was used is audited beside the drafts.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn take_code(
        &self,
        user: UserId,
        proof: Proof,
        writes: Vec<Sql>,
        drafts: Vec<Draft>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Taken>, StoreError> {
        retried(|| self.try_take_code(user, proof, writes.clone(), drafts.clone(), origin, now)).await
    }

    async fn try_take_code(
        &self,
        user: UserId,
        proof: Proof,
        writes: Vec<Sql>,
        mut drafts: Vec<Draft>,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Taken>, StoreError> {
        let tx = self.begin().await?;
        let Some(taken) = self.take_proof(&tx, user, proof, now).await? else {
            return Ok(None);
        };
        if let Taken::Recovery { left } = taken {
            let left = left.to_string();
            let more = [("left", left.as_str())];
            drafts.push(Draft::new(origin, Action::RecoveryCodeUsed, user, &more));
        }
        let drafts = self.drafts_of_user(&tx, user, now, drafts).await?;
        self.write_audited(&tx, writes, &drafts).await?;
        tx.commit().await?;
        Ok(Some(taken))
    }

    async fn take_proof(
        &self,
        tx: &DatabaseTransaction,
        user: UserId,
        proof: Proof,
        now: Timestamp,
    ) -> Result<Option<Taken>, StoreError> {
        match proof {
            Proof::Step(secret, step) => {
                let take = Sql::new(
                    "UPDATE second_factors SET last_step = {} WHERE user_id = {} AND id = {} AND last_step < {}",
                )
                .bind(step.number())
                .bind(user.as_bytes())
                .bind(secret)
                .bind(step.number());
                Ok((take.run(tx).await? == 1).then_some(Taken::Code))
            }
            Proof::Recovery(hash) => {
                // Under its lock, two that are used at once do not both count the other one as left.
                self.lock_second_factor(tx, user).await?;
                let take = Sql::new(
                    "UPDATE recovery_codes SET used_at = {} WHERE user_id = {} AND hash = {} AND used_at IS NULL",
                );
                let take = take.bind(now).bind(user.as_bytes()).bind(hash);
                if take.run(tx).await? != 1 {
                    return Ok(None);
                }
                let row = codes_left(user).one(tx).await?;
                let left = row.map_or(Ok(0), |row| rows::count(&row, "n"))?;
                Ok(Some(Taken::Recovery { left }))
            }
        }
    }
}
