//! Where SQLite and PostgreSQL differ: column types, and how rows are handed to a statement.

use sea_orm::DbBackend;

/// Which kind of database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The embedded default.
    Sqlite,
    /// The one that several nodes can share.
    Postgres,
}

impl Dialect {
    /// The same in the database library's words.
    #[must_use]
    pub const fn backend(self) -> DbBackend {
        match self {
            Self::Sqlite => DbBackend::Sqlite,
            Self::Postgres => DbBackend::Postgres,
        }
    }

    /// Its name, as metrics tell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }

    /// Writes a statement of the schema in this dialect: `{id}` and `{bytes}` are column types, `{int}` a
    /// 64-bit number, and `{clustered}` ends a table that lies in the order of its primary key where that is
    /// to be had.
    #[must_use]
    pub fn schema(self, sql: &str) -> String {
        let (id, bytes, int, clustered) = match self {
            Self::Sqlite => ("BLOB", "BLOB", "INTEGER", "STRICT, WITHOUT ROWID"),
            Self::Postgres => ("uuid", "bytea", "bigint", ""),
        };
        let sql = sql
            .replace("{id}", id)
            .replace("{bytes}", bytes)
            .replace("{int}", int);
        let strict = if self == Self::Sqlite { "STRICT" } else { "" };
        sql.replace("{clustered}", clustered).replace("{strict}", strict)
    }

    /// Follows a table's name where a query must go by this index. SQLite, which keeps no statistics here, may
    /// take one that fits fewer of the columns.
    #[must_use]
    pub fn by_index(self, index: &str) -> String {
        match self {
            Self::Sqlite => format!(" INDEXED BY {index}"),
            Self::Postgres => String::new(),
        }
    }

    /// Follows `{rows}` in a `FROM`: the project ids and ids that this query gives for each row of them, as
    /// `each_row`. The query may order and limit, and names the row `r`. SQLite has no `LATERAL`, and looks the
    /// ids up in their table.
    #[must_use]
    pub fn for_each_row(self, table: &str, query: &str) -> String {
        match self {
            Self::Sqlite => {
                format!("CROSS JOIN {table} each_row ON (each_row.project_id, each_row.id) IN ({query})")
            }
            Self::Postgres => format!("CROSS JOIN LATERAL ({query}) AS each_row"),
        }
    }

    /// Keeps the rows that a query reads from being changed until the transaction ends; others may read them so at
    /// the same time.
    #[must_use]
    pub const fn for_share(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR SHARE",
        }
    }

    /// That a column is one of what this query gives. PostgreSQL then goes by the column's index, however many
    /// they are.
    #[must_use]
    pub fn is_one_of(self, column: &str, query: &str) -> String {
        match self {
            Self::Sqlite => format!("{column} IN ({query})"),
            Self::Postgres => format!("{column} = ANY (ARRAY({query}))"),
        }
    }

    /// Locks the rows that a query reads until the transaction ends. SQLite's write transactions run one at
    /// a time and need none.
    #[must_use]
    pub const fn for_update_of(self, table: &'static str) -> LockClause {
        LockClause {
            dialect: self,
            table,
            skip: false,
        }
    }

    /// The same, passing over rows that another transaction has locked.
    #[must_use]
    pub const fn for_update_skip_locked(self, table: &'static str) -> LockClause {
        LockClause {
            dialect: self,
            table,
            skip: true,
        }
    }
}

/// The clause at the end of a query that locks what it reads.
#[derive(Debug, Clone, Copy)]
pub struct LockClause {
    dialect: Dialect,
    table: &'static str,
    skip: bool,
}

impl std::fmt::Display for LockClause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.dialect {
            Dialect::Sqlite => Ok(()),
            Dialect::Postgres => {
                write!(
                    f,
                    " FOR UPDATE OF {}{}",
                    self.table,
                    if self.skip { " SKIP LOCKED" } else { "" }
                )
            }
        }
    }
}
