//! Statements, and the values that are bound to them.
//!
//! In a statement's text `{rows}` stands for its [`Rows`], as a table named `r`, `{rows.name}` for the query that gives
//! this column of it alone, and `{}` for the next single value.

use std::fmt::Write as _;
use std::ops::Range;

use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};
use uuid::Uuid;

use super::{Cell, Rows};
use crate::store::{Dialect, StoreError};

/// A statement in the making.
#[derive(Debug, Clone)]
pub struct Sql {
    template: String,
    rows: Option<Rows>,
    /// `None` stands for NULL.
    singles: Vec<Option<Value>>,
}

impl Sql {
    /// A statement with this text, see the module's head.
    #[must_use]
    pub fn new(template: impl Into<String>) -> Self {
        Self {
            template: template.into(),
            rows: None,
            singles: Vec::new(),
        }
    }

    /// A statement over these rows.
    #[must_use]
    pub fn over(template: impl Into<String>, rows: Rows) -> Self {
        Self {
            rows: Some(rows),
            ..Self::new(template)
        }
    }

    /// Gives the next `{}` its value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Cell>) -> Self {
        self.singles.push(match value.into() {
            Cell::Id(bytes) => Some(Uuid::from_bytes(bytes).into()),
            Cell::Int(number) => Some(number.into()),
            Cell::Text(text) => Some(text.into()),
            Cell::Bytes(bytes) => Some(bytes.into()),
            Cell::Null => None,
        });
        self
    }

    /// Its text in this dialect, with parameters numbered after `offset`, and their values.
    fn render(self, dialect: Dialect, offset: usize) -> (String, Vec<Value>) {
        let mut text = self.template;
        let mut values = Vec::new();
        if let Some(rows) = self.rows {
            text = text.replace("{rows}", &rows.source(dialect, offset));
            while let Some((name, place)) = column_named(&text) {
                let column = rows.column(name, dialect, offset);
                text.replace_range(place, &column);
            }
            values = rows.values(dialect);
        }
        for single in self.singles {
            // A parameter has a type, and PostgreSQL takes no NULL of one type for a column of another.
            let Some(value) = single else {
                text = text.replacen("{}", "NULL", 1);
                continue;
            };
            values.push(value);
            text = text.replacen("{}", &format!("${}", offset + values.len()), 1);
        }
        (text, values)
    }

    fn statement(self, dialect: Dialect) -> Statement {
        let (text, values) = self.render(dialect, 0);
        Statement::from_sql_and_values(dialect.backend(), text, values)
    }

    /// Runs it and gives every row.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn all(self, on: &impl ConnectionTrait) -> Result<Vec<QueryResult>, StoreError> {
        Ok(on.query_all_raw(self.statement(dialect_of(on))).await?)
    }

    /// Runs it and gives the first row.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn one(self, on: &impl ConnectionTrait) -> Result<Option<QueryResult>, StoreError> {
        Ok(on.query_one_raw(self.statement(dialect_of(on))).await?)
    }

    /// Runs it and gives the number of rows that it changed.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn run(self, on: &impl ConnectionTrait) -> Result<u64, StoreError> {
        Ok(on
            .execute_raw(self.statement(dialect_of(on)))
            .await?
            .rows_affected())
    }

    /// How the database would run it.
    #[cfg(test)]
    pub(in crate::store) async fn plan(mut self, on: &impl ConnectionTrait) -> String {
        let (explain, column) = match dialect_of(on) {
            Dialect::Sqlite => ("EXPLAIN QUERY PLAN ", "detail"),
            Dialect::Postgres => ("EXPLAIN ", "QUERY PLAN"),
        };
        self.template.insert_str(0, explain);
        let steps = self.all(on).await.unwrap();
        let steps = steps.iter().map(|step| super::get(step, column).unwrap());
        steps.collect::<Vec<String>>().join("\n")
    }

    fn writes_nothing(&self) -> bool {
        self.rows.as_ref().is_some_and(Rows::is_empty)
    }
}

/// Runs statements that write, those over no rows left out. On PostgreSQL they make one round trip, as parts
/// of one statement: none may read what another wrote. The first one's locks are taken first.
///
/// # Errors
/// [`StoreError`] by its cause; the transaction is then undone as a whole.
pub async fn write_together(
    on: &impl ConnectionTrait,
    writes: impl IntoIterator<Item = Sql>,
) -> Result<(), StoreError> {
    let mut writes = writes.into_iter().filter(|write| !write.writes_nothing());
    let dialect = dialect_of(on);
    if dialect == Dialect::Sqlite {
        for write in writes {
            write.run(on).await?;
        }
        return Ok(());
    }
    let Some(first) = writes.next() else { return Ok(()) };
    let (main, mut values) = first.render(dialect, 0);
    let mut text = String::new();
    for (index, write) in writes.enumerate() {
        let (part, more) = write.render(dialect, values.len());
        let _ = write!(
            text,
            "{} w{index} AS ({part})",
            if index == 0 { "WITH" } else { "," }
        );
        values.extend(more);
    }
    let statement = Statement::from_sql_and_values(dialect.backend(), format!("{text} {main}"), values);
    on.execute_raw(statement).await?;
    Ok(())
}

/// The first column of the rows that a text names, and where it does so.
fn column_named(text: &str) -> Option<(&str, Range<usize>)> {
    let start = text.find("{rows.")?;
    let (name, _) = text[start + 6..].split_once('}')?;
    Some((name, start..start + 7 + name.len()))
}

fn dialect_of(on: &impl ConnectionTrait) -> Dialect {
    match on.get_database_backend() {
        sea_orm::DbBackend::Sqlite => Dialect::Sqlite,
        _ => Dialect::Postgres,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::ArrayType;

    use super::super::{Column, Kind};
    use super::*;

    #[test]
    fn nothing_is_written_as_null_whatever_the_columns_type() {
        let sql = Sql::new("VALUES ({}, {}, {})");
        let sql = sql.bind(7_i64).bind(None::<&[u8; 16]>).bind("x");
        let (text, values) = sql.render(Dialect::Postgres, 2);
        assert_eq!(text, "VALUES ($3, NULL, $4)");
        assert_eq!(values.len(), 2);
    }

    #[test]
    fn large_values_lie_one_after_another_beside_the_table() {
        const COLUMNS: &[Column] = &[
            Column::new("large", Kind::Large),
            Column::new("number", Kind::Int),
        ];
        let mut rows = Rows::new(COLUMNS);
        let [start, length] = rows.large(&[1, 2, 3]);
        rows.push([start, length, 7_i64.into()]);
        let [start, length] = rows.large(&[4]);
        rows.push([start, length, 8_i64.into()]);
        let rendered = |dialect| {
            let sql = Sql::over("{rows} {}", rows.clone()).bind(9_i64);
            sql.render(dialect, 1)
        };
        let large: Value = vec![1_u8, 2, 3, 4].into();
        let (text, values) = rendered(Dialect::Sqlite);
        assert_eq!(
            text,
            "(SELECT substr($3, value->>0, value->>1) AS large, value->>2 AS number FROM json_each($2)) AS r $4"
        );
        assert_eq!(values[..2], ["[[1,3,7],[4,1,8]]".into(), large.clone()]);
        let (text, values) = rendered(Dialect::Postgres);
        assert_eq!(
            text,
            "(SELECT substr($5::bytea, u0::int, u1::int) AS large, u2 AS number \
             FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS u(u0, u1, u2)) AS r $6"
        );
        let numbers = |numbers: [i64; 2]| {
            let numbers = numbers.map(Value::from).to_vec();
            Value::Array(ArrayType::BigInt, Some(Box::new(numbers)))
        };
        assert_eq!(
            values[..4],
            [numbers([1, 4]), numbers([3, 1]), numbers([7, 8]), large]
        );
    }

    #[test]
    fn a_statement_may_ask_for_one_column_of_its_rows_alone() {
        const COLUMNS: &[Column] = &[
            Column::new("large", Kind::Large),
            Column::new("project_id", Kind::Id),
        ];
        let text = |dialect| {
            let sql = Sql::over("{rows.project_id} {}", Rows::new(COLUMNS));
            sql.bind(9_i64).render(dialect, 1).0
        };
        assert_eq!(text(Dialect::Postgres), "SELECT unnest($4::uuid[]) $6");
        assert_eq!(
            text(Dialect::Sqlite),
            "SELECT unhex(value->>2) FROM json_each($2) $4"
        );
    }
}
