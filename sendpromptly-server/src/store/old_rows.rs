//! Rows whose time is over: how many there are, and a batch of them dropped.
//!
//! What is old is told once, as a condition on one table, so that what is counted is what is dropped. Whoever
//! writes a condition sees to an index that leads to it: a batch then costs what it drops.

use super::rows::{self, Cell, Sql};
use super::{Dialect, Store, StoreError};

/// Rows of one table that are due to go.
#[derive(Debug, Clone)]
pub struct OldRows {
    table: &'static str,
    /// The columns that name a row of a table which SQLite keeps without row numbers.
    key: Option<&'static str>,
    /// Which rows they are, in words of SQL, with `{}` for each value.
    due: &'static str,
    values: Vec<Cell>,
    /// The column that is emptied, where the row itself stays.
    emptied: Option<&'static str>,
    /// What must hold besides before they are dropped, and its values.
    once: Option<(&'static str, Vec<Cell>)>,
}

impl OldRows {
    /// The rows of this table for which the condition holds. Each `{}` in it stands for a value, which
    /// [`bind`](Self::bind) gives.
    #[must_use]
    pub const fn of(table: &'static str, due: &'static str) -> Self {
        Self {
            table,
            key: None,
            due,
            values: Vec::new(),
            emptied: None,
            once: None,
        }
    }

    /// Names the primary key of a table that lies in its order.
    #[must_use]
    pub const fn keyed_by(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    /// Keeps the rows, and drops what this column of them holds.
    #[must_use]
    pub const fn emptying(mut self, column: &'static str) -> Self {
        self.emptied = Some(column);
        self
    }

    /// Gives the next `{}` of the condition its value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Cell>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Drops them only once this holds as well, which others see to; they are counted before that.
    #[must_use]
    pub fn once(mut self, condition: &'static str, values: Vec<Cell>) -> Self {
        self.once = Some((condition, values));
        self
    }

    fn count(self) -> Sql {
        let Self { table, due, .. } = self;
        let query = Sql::new(format!("SELECT count(*) AS n FROM {table} WHERE {due}"));
        self.values.into_iter().fold(query, Sql::bind)
    }

    fn drop(self, dialect: Dialect, limit: u32) -> Sql {
        let Self { table, due, .. } = self;
        let drop = match self.emptied {
            Some(column) => format!("UPDATE {table} SET {column} = NULL"),
            None => format!("DELETE FROM {table}"),
        };
        let (once, more) = match self.once {
            Some((condition, values)) => (format!(" AND {condition}"), values),
            None => (String::new(), Vec::new()),
        };
        let these = format!("FROM {table} WHERE ({due}){once} LIMIT {limit}");
        let write = Sql::new(match dialect {
            // An array is made once; a subquery might be run again for each row, and its limit be none.
            Dialect::Postgres => format!("{drop} WHERE ctid = ANY (ARRAY(SELECT ctid {these}))"),
            Dialect::Sqlite => {
                let name = self.key.unwrap_or("rowid");
                format!("{drop} WHERE ({name}) IN (SELECT {name} {these})")
            }
        });
        self.values.into_iter().chain(more).fold(write, Sql::bind)
    }
}

impl Store {
    /// How many of these rows there are.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count_old(&self, old: OldRows) -> Result<u64, StoreError> {
        let row = old.count().one(&self.reader).await?;
        let count: i64 = row.map_or(Ok(0), |row| rows::get(&row, "n"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// Drops at most `limit` of these rows, in a transaction of its own; gives how many.
    ///
    /// # Errors
    /// [`StoreError`] by its cause; nothing is dropped then.
    pub async fn drop_old(&self, old: OldRows, limit: u32) -> Result<u64, StoreError> {
        let tx = self.begin().await?;
        let dropped = old.drop(self.dialect, limit).run(&tx).await?;
        tx.commit().await?;
        Ok(dropped)
    }
}
