//! The rows of data keys as a whole, for backups: read apart from the rest, and put back.

use sea_orm::{ConnectionTrait, QueryResult};

use super::data_keys::WrappedKey;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

/// Rows that one statement puts back.
const BATCH: usize = 500;

const COLUMNS: &[Column] = &[
    Column::new("id", Kind::Id),
    Column::new("scope", Kind::Text),
    Column::new("scope_id", Kind::Id),
    Column::new("purpose", Kind::Text),
    Column::new("day", Kind::Int),
    Column::new("kid", Kind::Text),
    Column::new("wrapped", Kind::Bytes),
];

/// A row of the table of data keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The kind of owner.
    pub scope: String,
    /// The owner's id.
    pub scope_id: [u8; 16],
    /// What it seals.
    pub purpose: String,
    /// The UTC day, counted from 1970-01-01; 0 where keys of this purpose do not go by days.
    pub day: i64,
    /// The key.
    pub key: WrappedKey,
}

impl KeyRow {
    /// Whether it is destroyed with its day.
    #[must_use]
    pub const fn goes_by_days(&self) -> bool {
        self.day > 0
    }
}

/// Every data key there is.
///
/// # Errors
/// [`StoreError`] by its cause.
pub async fn read(on: &impl ConnectionTrait) -> Result<Vec<KeyRow>, StoreError> {
    let query = Sql::new("SELECT id, scope, scope_id, purpose, day, kid, wrapped FROM data_keys ORDER BY id");
    query.all(on).await?.iter().map(row_of).collect()
}

impl Store {
    /// Puts rows back into a table that does not have them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn put_key_rows(&self, keys: &[KeyRow]) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        for batch in keys.chunks(BATCH) {
            insert(batch).run(&tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Removes every data key from a copy of a store. What they were is overwritten.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn remove_key_rows(&self) -> Result<(), StoreError> {
        Sql::new("PRAGMA secure_delete = ON").run(&self.writer).await?;
        Sql::new("DELETE FROM data_keys").run(&self.writer).await?;
        Ok(())
    }
}

fn insert(keys: &[KeyRow]) -> Sql {
    let mut rows = Rows::new(COLUMNS);
    for row in keys {
        rows.push([
            row.key.id.into(),
            row.scope.as_str().into(),
            row.scope_id.into(),
            row.purpose.as_str().into(),
            row.day.into(),
            row.key.kid.as_str().into(),
            row.key.wrapped.clone().into(),
        ]);
    }
    Sql::over(
        "INSERT INTO data_keys (id, scope, scope_id, purpose, day, kid, wrapped)
         SELECT r.id, r.scope, r.scope_id, r.purpose, r.day, r.kid, r.wrapped FROM {rows}",
        rows,
    )
}

fn row_of(row: &QueryResult) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        scope: rows::get(row, "scope")?,
        scope_id: rows::id(row, "scope_id")?,
        purpose: rows::get(row, "purpose")?,
        day: rows::get(row, "day")?,
        key: WrappedKey {
            id: rows::id(row, "id")?,
            kid: rows::get(row, "kid")?,
            wrapped: rows::get(row, "wrapped")?,
        },
    })
}
