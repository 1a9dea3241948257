//! Data keys, wrapped by a master key.

use sea_orm::QueryResult;

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

    /// Stores a data key, unless one with its id is there.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn add_data_key(&self, key_use: &KeyUse, key: &WrappedKey) -> Result<(), StoreError> {
        let insert = Sql::new(
            "INSERT INTO data_keys (id, scope, scope_id, purpose, day, kid, wrapped)
             VALUES ({}, {}, {}, {}, {}, {}, {}) ON CONFLICT (id) DO NOTHING",
        )
        .bind(key.id)
        .bind(key_use.scope)
        .bind(key_use.scope_id)
        .bind(key_use.purpose)
        .bind(key_use.day)
        .bind(key.kid.as_str())
        .bind(key.wrapped.clone());
        self.commit_together(vec![insert]).await
    }

    /// Drops the data keys of a purpose, of the days before this one; gives how many. Those that do not go by
    /// days stay.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn forget_data_keys(&self, purpose: &'static str, before_day: i64) -> Result<u64, StoreError> {
        let delete = Sql::new("DELETE FROM data_keys WHERE purpose = {} AND day > 0 AND day < {}");
        let tx = self.begin().await?;
        let dropped = delete.bind(purpose).bind(before_day).run(&tx).await?;
        tx.commit().await?;
        Ok(dropped)
    }
}

fn key_of(row: &QueryResult) -> Result<WrappedKey, StoreError> {
    Ok(WrappedKey {
        id: rows::id(row, "id")?,
        kid: rows::get(row, "kid")?,
        wrapped: rows::get(row, "wrapped")?,
    })
}
