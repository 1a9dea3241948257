//! Data keys, wrapped by a master key.

use sea_orm::QueryResult;
use sendpromptly_core::time::{DAY_MS, Timestamp};

use super::master_keys::BINDING;
use super::old_rows::OldRows;
use super::rows::{self, Sql};
use super::{Store, StoreError};

/// A data key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKey {
    /// Its id.
    pub id: [u8; 16],
    /// Which master key wraps it.
    pub kid: String,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
}

/// What a data key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUse {
    /// The kind of owner: `project`, `user` or `instance`.
    pub scope: &'static str,
    /// The owner's id.
    pub scope_id: [u8; 16],
    /// The purpose.
    pub purpose: &'static str,
    /// The UTC day, counted from 1970-01-01; 0 where keys do not go by days.
    pub day: i64,
}

impl Store {
    /// The data key with this id.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn data_key(&self, id: &[u8; 16]) -> Result<Option<WrappedKey>, StoreError> {
        let query = Sql::new("SELECT id, kid, wrapped FROM data_keys WHERE id = {}");
        let found = query.bind(id).one(&self.reader).await?;
        found.as_ref().map(key_of).transpose()
    }

    /// The newest data key of this use.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn newest_data_key(&self, key_use: &KeyUse) -> Result<Option<WrappedKey>, StoreError> {
        let query = Sql::new(
            "SELECT id, kid, wrapped FROM data_keys
             WHERE scope_id = {} AND purpose = {} AND day = {} AND scope = {} ORDER BY id DESC LIMIT 1",
        );
        let found = query
            .bind(key_use.scope_id)
            .bind(key_use.purpose)
            .bind(key_use.day)
            .bind(key_use.scope)
            .one(&self.reader)
            .await?;
        found.as_ref().map(key_of).transpose()
    }

    /// Stores a new data key where the master key that wraps it is the active one, which cannot change before it
    /// is stored; gives whether it is.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn add_data_key(&self, key_use: &KeyUse, key: &WrappedKey) -> Result<bool, StoreError> {
        let lock = self.dialect.for_share();
        let insert = Sql::new(format!(
            "INSERT INTO data_keys (id, scope, scope_id, purpose, day, kid, wrapped)
             SELECT {{}}, {{}}, {{}}, {{}}, {{}}, active.kid, {{}}
             FROM (SELECT kid FROM data_keys WHERE id = {{}} AND kid = {{}}{lock}) active"
        ));
        let insert = insert
            .bind(key.id)
            .bind(key_use.scope)
            .bind(key_use.scope_id)
            .bind(key_use.purpose)
            .bind(key_use.day)
            .bind(key.wrapped.clone())
            .bind(BINDING)
            .bind(key.kid.as_str());
        let tx = self.begin().await?;
        let added = insert.run(&tx).await?;
        tx.commit().await?;
        Ok(added > 0)
    }
}

/// The data keys of a purpose, of the UTC days before this time. Those that do not go by days stay.
#[must_use]
pub fn of_days_before(purpose: &'static str, time: Timestamp) -> OldRows {
    OldRows::of("data_keys", "purpose = {} AND day > 0 AND day < {}")
        .bind(purpose)
        .bind(day_of(time))
}

/// Where the UTC day of this time begins: the keys of [`of_days_before`] have sealed nothing since.
#[must_use]
pub const fn begin_of_day(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(day_of(time) * DAY_MS)
}

/// The UTC day of this time, counted from 1970-01-01.
#[must_use]
pub const fn day_of(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(DAY_MS)
}

/// Destroys the data keys of an owner, as part of a transaction: what they sealed opens no more.
#[must_use]
pub(super) fn destroy(scope: &'static str, owner: &[u8; 16]) -> Sql {
    Sql::new("DELETE FROM data_keys WHERE scope_id = {} AND scope = {}")
        .bind(owner)
        .bind(scope)
}

pub(super) fn key_of(row: &QueryResult) -> Result<WrappedKey, StoreError> {
    Ok(WrappedKey {
        id: rows::id(row, "id")?,
        kid: rows::get(row, "kid")?,
        wrapped: rows::get(row, "wrapped")?,
    })
}
