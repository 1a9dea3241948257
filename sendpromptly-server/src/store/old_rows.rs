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
    due: String,
    values: Vec<Cell>,
    /// The column by whose order they go.
    first_by: Option<&'static str>,
    /// The column that is emptied, where the row itself stays.
    emptied: Option<&'static str>,
    /// What must hold besides before they are dropped, and its values.
    once: Option<(&'static str, Vec<Cell>)>,
}

impl OldRows {
    /// The rows of this table for which the condition holds. Each `{}` in it stands for a value, which
    /// [`bind`](Self::bind) gives.
    #[must_use]
    pub fn of(table: &'static str, due: impl Into<String>) -> Self {
        Self {
            table,
            key: None,
            due: due.into(),
            values: Vec::new(),
            first_by: None,
            emptied: None,
            once: None,
        }
    }

    /// The rows of this table that have this value or a lower one in a column which an index holds; the lowest go first.
    /// PostgreSQL then goes by the index, also where it knows little of the table and takes many of its rows for old.
    #[must_use]
    pub fn up_to(table: &'static str, column: &'static str, last: impl Into<Cell>) -> Self {
        Self {
            first_by: Some(column),
            ..Self::of(table, format!("{column} <= {{}}")).bind(last)
        }
    }

    /// Names the primary key of a table that lies in its order.
    #[must_use]
    pub const fn keyed_by(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    /// Keeps the rows, and drops what this column of them holds, where it holds something.
    #[must_use]
    pub fn emptying(mut self, column: &'static str) -> Self {
        self.due = format!("({}) AND {column} IS NOT NULL", self.due);
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

    /// Drops at most `limit` of them, as part of a transaction.
    pub(super) fn drop(self, dialect: Dialect, limit: u32) -> Sql {
        let Self { table, due, .. } = self;
        let drop = match self.emptied {
            Some(column) => format!("UPDATE {table} SET {column} = NULL"),
            None => format!("DELETE FROM {table}"),
        };
        let (once, more) = match self.once {
            Some((condition, values)) => (format!(" AND {condition}"), values),
            None => (String::new(), Vec::new()),
        };
        let order = self.first_by.map(|column| format!(" ORDER BY {column}"));
        let order = order.unwrap_or_default();
        let these = format!("FROM {table} WHERE ({due}){once}{order} LIMIT {limit}");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::PASSES;
    use crate::store::known_devices::old_devices;
    use crate::store::snapshots::passes::{old_keys, old_snapshots};
    use crate::store::{attempts, idempotency};
    use crate::testing::{NOW, World, over_many};

    #[tokio::test]
    async fn what_is_old_is_found_by_an_index_also_in_tables_never_analyzed() {
        let world = World::set_up().await;
        for fill in [
            "INSERT INTO idempotency (project_id, key_digest, fingerprint, answer, created_at)
             SELECT r.id, r.id, r.bytes, '', r.number FROM {rows}",
            "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed)
             SELECT r.id, r.id, 0, r.number, r.bytes FROM {rows}",
            "INSERT INTO attempts (project_id, replay_id, number, nonce, lease_token, started_at, ended_at, answer_head)
             SELECT r.id, r.id, 1, '', r.id, 0, r.number, r.bytes FROM {rows}",
        ] {
            world.write(over_many(fill)).await;
        }
        for (old, index) in [
            (idempotency::old_answers(NOW), "idempotency_by_age"),
            (old_snapshots(NOW), "snapshots_by_time"),
            (old_keys(NOW), "snapshots_by_time"),
            (attempts::old_answer_heads(NOW), "attempts_with_answer"),
            (attempts::old_answer_keys(NOW), "attempts_with_answer"),
        ] {
            let drop = old.drop(world.store.dialect, 1);
            let plan = drop.plan(&world.store.reader).await;
            assert!(plan.contains(index), "{plan}");
        }
    }

    #[tokio::test]
    async fn no_pass_looks_through_a_table_for_what_is_old() {
        let world = World::set_up().await;
        if world.store.dialect == Dialect::Postgres {
            return; // it weighs, and looks through a table that is small
        }
        for pass in PASSES {
            let Some(old) = pass.old_rows(NOW) else { continue };
            let plan = old.drop(world.store.dialect, 1).plan(&world.store.reader).await;
            assert!(!plan.contains("SCAN"), "{}:\n{plan}", pass.name());
        }
    }

    #[tokio::test]
    async fn a_row_that_is_renewed_while_it_is_to_be_dropped_stays() {
        let world = World::set_up().await;
        let user = world.add_user("ada@example.com").await;
        let device =
            Sql::new("INSERT INTO known_devices (token_digest, user_id, seen_at) VALUES ({}, {}, 0)");
        world.write(device.bind([1; 16]).bind(user.as_bytes())).await;
        let tx = world.store.begin().await.unwrap();
        let renewed = Sql::new("UPDATE known_devices SET seen_at = {}").bind(NOW);
        assert_eq!(renewed.run(&tx).await.unwrap(), 1);
        let store = world.store.clone();
        let dropping = tokio::spawn(async move { store.drop_old(old_devices(NOW), 10).await.unwrap() });
        while !dropping.is_finished() && !world.waits_for_a_lock().await {
            tokio::task::yield_now().await;
        }
        tx.commit().await.unwrap();
        assert_eq!(dropping.await.unwrap(), 0);
        let left = Sql::new("SELECT count(*) AS n FROM known_devices");
        assert_eq!(world.number(left).await, 1);
    }
}
