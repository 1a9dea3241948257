//! Erasing from the audit log what names a deleted user: the entries stay, prove themselves, and tell an id.
//!
//! Every chain is looked through, a batch of details at a time, for anybody may have written the address into a
//! reason. Where a process ends meanwhile, the next one goes on from where it was. Each is looked through twice:
//! a sign-in that was under way when the user was deleted may write the address behind the first look.

use std::collections::BTreeSet;
use std::time::Duration;

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::names_address;
use sendpromptly_core::id::UserId;
use sendpromptly_core::time::Timestamp;

use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

#[cfg(test)]
mod tests;

/// How long after the user's end the second look begins: whatever was under way is written then.
pub const SECOND_LOOK_AFTER: Duration = Duration::from_secs(10 * 60);

/// Those that can be looked through: at first at once.
const DUE: &str = "(e.second_look = 0 AND e.created_at <= {} OR e.second_look = 1 AND e.created_at <= {})";

/// What is to be erased of a user who is deleted.
#[derive(Debug)]
pub(super) struct NewErasure<'a> {
    pub(super) user: UserId,
    /// The addresses that the user has had, in lower case.
    pub(super) addresses: &'a BTreeSet<String>,
    pub(super) created_at: Timestamp,
}

impl NewErasure<'_> {
    /// Orders it, as part of a transaction.
    pub(super) fn insert(&self) -> Sql {
        let addresses = serde_json::Value::from_iter(self.addresses.iter().map(String::as_str));
        Sql::new(
            "INSERT INTO erasures (user_id, addresses, organization_id, seq, created_at) VALUES ({}, {}, {}, 0, {})",
        )
        .bind(self.user.as_bytes())
        .bind(addresses.to_string())
        .bind([0; 16])
        .bind(self.created_at)
    }
}

/// What a step of erasing has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// A batch was looked through.
    Batch {
        /// How many details are erased.
        details: u64,
        /// Whether this look for the user is over.
        is_done: bool,
    },
    /// Nothing waits to be erased.
    Nothing,
}

/// How far one erasure has come.
struct Erasure {
    user: [u8; 16],
    addresses: Vec<String>,
    chain: [u8; 16],
    seq: i64,
    is_second_look: bool,
}

impl Store {
    /// Looks through the next `limit` details for the user who was deleted first by this time, and erases those that
    /// name one of the user's addresses, their salts with them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn erase_details(&self, deleted_by: Timestamp, limit: u32) -> Result<Erased, StoreError> {
        if self.erasures_waiting(deleted_by).await? == 0 {
            return Ok(Erased::Nothing); // a look spares SQLite's one writer a transaction
        }
        let tx = self.begin().await?;
        let lock = self.dialect.for_update_skip_locked("e");
        let next = Sql::new(format!(
            "SELECT e.user_id, e.addresses, e.organization_id, e.seq, e.second_look FROM erasures e
             WHERE {DUE} ORDER BY e.created_at, e.user_id LIMIT 1{lock}"
        ));
        let next = next.bind(deleted_by).bind(second_look_of(deleted_by));
        let Some(row) = next.one(&tx).await? else {
            return Ok(Erased::Nothing);
        };
        let erasure = erasure_of(&row)?;
        let erased = erasure.look_through(&tx, limit).await?;
        tx.commit().await?;
        Ok(erased)
    }

    /// For how many users who were deleted by this time details may still have to be erased, and can be now.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn erasures_waiting(&self, deleted_by: Timestamp) -> Result<u64, StoreError> {
        let query = Sql::new(format!("SELECT count(*) AS n FROM erasures e WHERE {DUE}"));
        let query = query.bind(deleted_by).bind(second_look_of(deleted_by));
        let row = query.one(&self.reader).await?;
        row.map_or(Ok(0), |row| rows::count(&row, "n").map(u64::from))
    }
}

impl Erasure {
    /// Erases what is found among the next details, and notes how far that was. An erasure goes at the end of its
    /// second look.
    async fn look_through(&self, tx: &DatabaseTransaction, limit: u32) -> Result<Erased, StoreError> {
        const COLUMNS: &[Column] = &[
            Column::new("organization_id", Kind::Id),
            Column::new("seq", Kind::Int),
        ];
        let query = Sql::new(format!(
            "SELECT d.organization_id, d.seq, d.details FROM audit_details d
             WHERE (d.organization_id, d.seq) > ({{}}, {{}}) ORDER BY d.organization_id, d.seq LIMIT {limit}"
        ));
        let read = query.bind(self.chain).bind(self.seq).all(tx).await?;
        let mut naming = Rows::new(COLUMNS);
        let mut last = None;
        let mut erased = 0;
        for row in &read {
            let place = (rows::id(row, "organization_id")?, rows::get::<i64>(row, "seq")?);
            let details: String = rows::get(row, "details")?;
            if self
                .addresses
                .iter()
                .any(|address| names_address(&details, address))
            {
                naming.push([place.0.into(), place.1.into()]);
                erased += 1;
            }
            last = Some(place);
        }
        let erase = Sql::over(
            "DELETE FROM audit_details WHERE (organization_id, seq) IN (SELECT r.organization_id, r.seq FROM {rows})",
            naming,
        );
        let is_done = read.len() < limit as usize;
        let note = match last.filter(|_| !is_done) {
            Some((chain, seq)) => {
                let note = Sql::new("UPDATE erasures SET organization_id = {}, seq = {} WHERE user_id = {}");
                note.bind(chain).bind(seq).bind(self.user)
            }
            None if self.is_second_look => {
                Sql::new("DELETE FROM erasures WHERE user_id = {}").bind(self.user)
            }
            None => {
                let again =
                    "UPDATE erasures SET organization_id = {}, seq = 0, second_look = 1 WHERE user_id = {}";
                Sql::new(again).bind([0; 16]).bind(self.user)
            }
        };
        rows::write_together(tx, [note, erase]).await?;
        Ok(Erased::Batch {
            details: erased,
            is_done,
        })
    }
}

fn second_look_of(now: Timestamp) -> Timestamp {
    now.minus(SECOND_LOOK_AFTER)
}

fn erasure_of(row: &QueryResult) -> Result<Erasure, StoreError> {
    let addresses: String = rows::get(row, "addresses")?;
    Ok(Erasure {
        user: rows::id(row, "user_id")?,
        addresses: serde_json::from_str(&addresses)
            .map_err(|_| StoreError::Corrupt("addresses: no list of texts".to_owned()))?,
        chain: rows::id(row, "organization_id")?,
        seq: rows::get(row, "seq")?,
        is_second_look: rows::get::<i64>(row, "second_look")? != 0,
    })
}
