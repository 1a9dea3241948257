//! Which master key is active, and which data keys each of them wraps.
//!
//! The row that binds a store to its master keys says which one is active. A data key is added, and wrapped anew,
//! only under the key that this row names at that moment: the row is locked until it is done. So none is left
//! under a key that a rotation has retired, whatever another node still believes.

use sea_orm::DatabaseTransaction;

use super::audit::Drafts;
use super::data_keys::{KeyUse, WrappedKey, key_of};
use super::retry::retried;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

/// The data key that binds a store to its master keys. It seals nothing. Its id is fixed, so of two processes
/// that start on an empty store with different master keys, one is refused.
pub const BINDING: [u8; 16] = [0; 16];

const BINDING_USE: KeyUse = KeyUse {
    scope: "instance",
    scope_id: [0; 16],
    purpose: "binding",
    day: 0,
};

/// What a change that goes by the active master key came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnderActive<T> {
    /// It is done.
    Done(T),
    /// Another master key is active by now; nothing was changed.
    Moved,
}

/// A place in the order of data keys by their master key's name and their id. The first is before all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DataKeyPlace {
    kid: String,
    id: [u8; 16],
}

impl From<&WrappedKey> for DataKeyPlace {
    fn from(key: &WrappedKey) -> Self {
        Self {
            kid: key.kid.clone(),
            id: key.id,
        }
    }
}

/// Whether a master key may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It wraps nothing, and nothing will be wrapped by it unless a rotation makes it active, which none does but with
    /// the first key of a ring; its removal is in the audit log.
    Free,
    /// It is the active one.
    Active,
    /// It wraps so many data keys.
    Wraps(u64),
}

impl Store {
    /// Binds a store to the master key that wraps this data key, unless it is bound.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn bind(&self, key: &WrappedKey) -> Result<(), StoreError> {
        let insert = Sql::new(
            "INSERT INTO data_keys (id, scope, scope_id, purpose, day, kid, wrapped)
             VALUES ({}, {}, {}, {}, {}, {}, {}) ON CONFLICT (id) DO NOTHING",
        );
        let insert = insert
            .bind(BINDING)
            .bind(BINDING_USE.scope)
            .bind(BINDING_USE.scope_id)
            .bind(BINDING_USE.purpose)
            .bind(BINDING_USE.day)
            .bind(key.kid.as_str())
            .bind(key.wrapped.clone());
        self.commit_together(vec![insert]).await
    }

    /// The name of the active master key; none where the store is not bound yet.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn active_kid(&self) -> Result<Option<String>, StoreError> {
        Ok(self.data_key(&BINDING).await?.map(|key| key.kid))
    }

    /// Up to two data keys under each master key that wraps any. It costs as many look-ups as there are master
    /// keys.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn some_data_keys_of_each(&self) -> Result<Vec<Vec<WrappedKey>>, StoreError> {
        let mut found: Vec<Vec<WrappedKey>> = Vec::new();
        loop {
            let last = found.last().map_or("", |keys| keys[0].kid.as_str());
            let query =
                Sql::new("SELECT id, kid, wrapped FROM data_keys WHERE kid > {} ORDER BY kid, id LIMIT 2");
            let rows = query.bind(last).all(&self.reader).await?;
            let mut keys: Vec<_> = rows.iter().map(key_of).collect::<Result<_, _>>()?;
            let Some(first) = keys.first().cloned() else {
                return Ok(found);
            };
            keys.retain(|key| key.kid == first.kid);
            found.push(keys);
        }
    }

    /// How many data keys each master key wraps.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn data_keys_of_each(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let query = Sql::new("SELECT kid, count(*) AS n FROM data_keys GROUP BY kid ORDER BY kid");
        let found = query.all(&self.reader).await?;
        let of = |row| Ok((rows::get(row, "kid")?, counted(row)?));
        found.iter().map(of).collect()
    }

    /// Data keys under other master keys than this one, from behind this place on, at most so many.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn data_keys_beside(
        &self,
        kid: &str,
        behind: &DataKeyPlace,
        limit: usize,
    ) -> Result<Vec<WrappedKey>, StoreError> {
        let mut found = Vec::new();
        // Those of the key itself, which are most, are not even passed over.
        for side in ["<", ">"] {
            let left = limit - found.len();
            let query = Sql::new(format!(
                "SELECT id, kid, wrapped FROM data_keys WHERE (kid, id) > ({{}}, {{}}) AND kid {side} {{}}
                 ORDER BY kid, id LIMIT {left}"
            ));
            let query = query.bind(behind.kid.as_str()).bind(behind.id).bind(kid);
            for row in query.all(&self.reader).await? {
                found.push(key_of(&row)?);
            }
        }
        Ok(found)
    }

    /// Puts data keys in place that were wrapped anew under `active`, each with the name of the key that wrapped
    /// it before; gives how many were still as they had been read.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn put_rewrapped(
        &self,
        active: &str,
        keys: &[(String, WrappedKey)],
    ) -> Result<UnderActive<u64>, StoreError> {
        retried(|| self.try_put_rewrapped(active, keys)).await
    }

    async fn try_put_rewrapped(
        &self,
        active: &str,
        keys: &[(String, WrappedKey)],
    ) -> Result<UnderActive<u64>, StoreError> {
        const COLUMNS: &[Column] = &[
            Column::new("id", Kind::Id),
            Column::new("before", Kind::Text),
            Column::new("wrapped", Kind::Bytes),
        ];
        let mut rows = Rows::new(COLUMNS);
        for (before, key) in keys {
            rows.push([key.id.into(), before.as_str().into(), key.wrapped.clone().into()]);
        }
        let update = Sql::over(
            "UPDATE data_keys SET kid = {}, wrapped = r.wrapped FROM {rows}
             WHERE data_keys.id = r.id AND data_keys.kid = r.before",
            rows,
        );
        let tx = self.begin().await?;
        if self.lock_active(&tx).await?.as_deref() != Some(active) {
            return Ok(UnderActive::Moved);
        }
        let changed = update.bind(active).run(&tx).await?;
        tx.commit().await?;
        Ok(UnderActive::Done(changed))
    }

    /// Makes the master key active that wraps the binding key here, in place of `before`. What tells of it is
    /// committed with it.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn activate(
        &self,
        before: &str,
        binding: &WrappedKey,
        drafts: &Drafts,
    ) -> Result<UnderActive<()>, StoreError> {
        retried(|| async {
            let tx = self.begin().await?;
            if self.lock_active(&tx).await?.as_deref() != Some(before) {
                return Ok(UnderActive::Moved);
            }
            let update = Sql::new("UPDATE data_keys SET kid = {}, wrapped = {} WHERE id = {}")
                .bind(binding.kid.as_str())
                .bind(binding.wrapped.clone())
                .bind(BINDING);
            self.write_audited(&tx, vec![update], drafts).await?;
            tx.commit().await?;
            Ok(UnderActive::Done(()))
        })
        .await
    }

    /// Whether a master key wraps nothing and is not active, so that nothing can be wrapped by it any more. What
    /// tells of its removal is committed with the answer.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_removal(&self, kid: &str, drafts: &Drafts) -> Result<Removal, StoreError> {
        retried(|| async {
            let tx = self.begin().await?;
            if self.lock_active(&tx).await?.as_deref() == Some(kid) {
                return Ok(Removal::Active);
            }
            let query = Sql::new("SELECT count(*) AS n FROM data_keys WHERE kid = {}");
            let row = query.bind(kid).one(&tx).await?;
            let wraps = row.as_ref().map_or(Ok(0), counted)?;
            if wraps > 0 {
                return Ok(Removal::Wraps(wraps));
            }
            self.write_audited(&tx, Vec::new(), drafts).await?;
            tx.commit().await?;
            Ok(Removal::Free)
        })
        .await
    }

    /// Locks the row that names the active master key, before everything else, and reads it.
    async fn lock_active(&self, tx: &DatabaseTransaction) -> Result<Option<String>, StoreError> {
        let lock = self.dialect.for_update_of("k");
        let query = Sql::new(format!("SELECT k.kid FROM data_keys k WHERE k.id = {{}}{lock}"));
        let row = query.bind(BINDING).one(tx).await?;
        row.map(|row| rows::get(&row, "kid")).transpose()
    }
}

fn counted(row: &sea_orm::QueryResult) -> Result<u64, StoreError> {
    let n: i64 = rows::get(row, "n")?;
    u64::try_from(n).map_err(|_| StoreError::Corrupt(format!("{n} is no count")))
}
