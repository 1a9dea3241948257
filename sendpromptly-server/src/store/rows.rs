//! Statements over many rows at once: one text for every batch size, so that it stays prepared.
//!
//! A [`Rows`] is a small table of values. In a statement `{rows}` stands for it, as a table named `r`: on
//! PostgreSQL made by `unnest` from one array a column, on SQLite by `json_each` from one JSON text. `{}`
//! stands for the next single value. Large values stand one after another in a value of their own on SQLite, and the
//! JSON text says where each lies.

use std::fmt::Write as _;

use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};
use uuid::Uuid;

use super::{Dialect, StoreError};

mod read;

pub use read::{count, flag, get, id, optional_id, optional_time, optional_word, time, word};

/// A column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 16 bytes: an id or a digest.
    Id,
    /// A 64-bit number, a time among others.
    Int,
    /// Text without NUL.
    Text,
    /// Bytes of any length.
    Bytes,
    /// Bytes, kilobytes of them perhaps. In a column that always has a value.
    Large,
}

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// 16 bytes.
    Id([u8; 16]),
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Nothing. Only in a column declared [`Column::optional`].
    Null,
}

macro_rules! cells {
    ($($from:ty => |$value:ident| $cell:expr;)*) => {$(
        impl From<$from> for Cell {
            fn from($value: $from) -> Self {
                $cell
            }
        }
    )*};
}

cells! {
    [u8; 16] => |bytes| Self::Id(bytes);
    &[u8; 16] => |bytes| Self::Id(*bytes);
    i64 => |number| Self::Int(number);
    u32 => |number| Self::Int(i64::from(number));
    bool => |flag| Self::Int(i64::from(flag));
    sendpromptly_core::time::Timestamp => |time| Self::Int(time.as_millis());
    &str => |text| Self::Text(text.to_owned());
    String => |text| Self::Text(text);
    &[u8; 32] => |bytes| Self::Bytes(bytes.to_vec());
    [u8; 32] => |bytes| Self::Bytes(bytes.to_vec());
    Vec<u8> => |bytes| Self::Bytes(bytes);
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A column of a [`Rows`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    name: &'static str,
    kind: Kind,
    optional: bool,
}

impl Column {
    /// A column whose every row has a value.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            optional: false,
        }
    }

    /// A column whose rows may hold nothing.
    #[must_use]
    pub const fn optional(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            optional: true,
        }
    }
}

/// A small table of values that a statement reads.
#[derive(Debug, Clone)]
pub struct Rows {
    columns: &'static [Column],
    cells: Vec<Cell>,
}

impl Rows {
    /// A table of these columns, without rows yet.
    #[must_use]
    pub const fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            cells: Vec::new(),
        }
    }

    /// Adds a row. Its cells must be of the columns' kinds, in their order.
    pub fn push<const N: usize>(&mut self, row: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len());
        self.cells.extend(row);
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The table as the source of a `FROM`; its parameters start after `offset`.
    fn source(&self, dialect: Dialect, offset: usize) -> String {
        match dialect {
            Dialect::Postgres => self.unnest(offset),
            Dialect::Sqlite => self.json_each(offset),
        }
    }

    fn unnest(&self, offset: usize) -> String {
        let mut select = String::from("(SELECT ");
        let mut arrays = String::new();
        let mut names = String::new();
        for (index, column) in self.columns.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let (name, parameter) = (column.name, offset + index + 1);
            let _ = match (column.optional, null_stand_in(column.kind)) {
                (true, stand_in) => write!(select, "{comma}NULLIF(u.{name}, {stand_in}) AS {name}"),
                (false, _) => write!(select, "{comma}u.{name}"),
            };
            let _ = write!(arrays, "{comma}${parameter}::{}[]", postgres_type(column.kind));
            let _ = write!(names, "{comma}{name}");
        }
        format!("{select} FROM unnest({arrays}) AS u({names})) AS r")
    }

    fn json_each(&self, offset: usize) -> String {
        let (json, large) = (offset + 1, offset + 2);
        let mut select = String::from("(SELECT ");
        let mut place = 0;
        for column in self.columns {
            let comma = if place == 0 { "" } else { ", " };
            let name = column.name;
            let _ = match column.kind {
                Kind::Id | Kind::Bytes => write!(select, "{comma}unhex(value->>{place}) AS {name}"),
                Kind::Int | Kind::Text => write!(select, "{comma}value->>{place} AS {name}"),
                Kind::Large => {
                    let length = place + 1;
                    write!(
                        select,
                        "{comma}substr(${large}, value->>{place}, value->>{length}) AS {name}"
                    )
                }
            };
            place += if column.kind == Kind::Large { 2 } else { 1 };
        }
        format!("{select} FROM json_each(${json})) AS r")
    }

    fn values(self, dialect: Dialect) -> Vec<Value> {
        match dialect {
            Dialect::Postgres => self.arrays(),
            Dialect::Sqlite => {
                let (json, large) = self.json();
                let has_large = self.columns.iter().any(|column| column.kind == Kind::Large);
                let large = has_large.then(|| large.into());
                std::iter::once(json.into()).chain(large).collect()
            }
        }
    }

    fn arrays(self) -> Vec<Value> {
        let rows = self.cells.len() / self.columns.len().max(1);
        let mut arrays: Vec<_> = self.columns.iter().map(|_| Vec::with_capacity(rows)).collect();
        let mut cells = self.cells.into_iter();
        for _ in 0..rows {
            for (column, array) in self.columns.iter().zip(&mut arrays) {
                array.extend(cells.next().map(|cell| array_item(cell, column.kind)));
            }
        }
        let typed = self.columns.iter().zip(arrays);
        typed
            .map(|(column, values)| Value::Array(array_type(column.kind), Some(Box::new(values))))
            .collect()
    }

    /// The rows, and the large values that they say the places of.
    fn json(&self) -> (String, Vec<u8>) {
        let mut json = String::with_capacity(self.cells.len() * 24);
        let mut large = Vec::new();
        json.push('[');
        for (index, row) in self.cells.chunks(self.columns.len().max(1)).enumerate() {
            json.push_str(if index == 0 { "[" } else { ",[" });
            for (index, cell) in row.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                match (cell, self.columns[index].kind) {
                    (Cell::Bytes(bytes), Kind::Large) => {
                        let _ = write!(json, "{},{}", large.len() + 1, bytes.len());
                        large.extend_from_slice(bytes);
                    }
                    (cell, _) => write_json(&mut json, cell),
                }
            }
            json.push(']');
        }
        json.push(']');
        (json, large)
    }
}

const fn postgres_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "uuid",
        Kind::Int => "bigint",
        Kind::Text => "text",
        Kind::Bytes | Kind::Large => "bytea",
    }
}

const fn array_type(kind: Kind) -> ArrayType {
    match kind {
        Kind::Id => ArrayType::Uuid,
        Kind::Int => ArrayType::BigInt,
        Kind::Text => ArrayType::String,
        Kind::Bytes | Kind::Large => ArrayType::Bytes,
    }
}

/// What stands for NULL inside an array, which cannot hold it: a value that no such column ever has.
const fn null_stand_in(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid",
        Kind::Int => "(-9223372036854775808)::bigint",
        Kind::Text => "''",
        Kind::Bytes | Kind::Large => "''::bytea",
    }
}

fn array_item(cell: Cell, kind: Kind) -> Value {
    match (cell, kind) {
        (Cell::Id(bytes), _) => Uuid::from_bytes(bytes).into(),
        (Cell::Int(number), _) => number.into(),
        (Cell::Text(text), _) => text.into(),
        (Cell::Bytes(bytes), _) => bytes.into(),
        (Cell::Null, Kind::Id) => Uuid::max().into(),
        (Cell::Null, Kind::Int) => i64::MIN.into(),
        (Cell::Null, Kind::Text) => "".into(),
        (Cell::Null, Kind::Bytes | Kind::Large) => Vec::<u8>::new().into(),
    }
}

fn write_json(json: &mut String, cell: &Cell) {
    match cell {
        Cell::Id(bytes) => write_hex(json, bytes),
        Cell::Bytes(bytes) => write_hex(json, bytes),
        Cell::Int(number) => {
            let _ = write!(json, "{number}");
        }
        Cell::Text(text) => json.push_str(&serde_json::Value::from(text.as_str()).to_string()),
        Cell::Null => json.push_str("null"),
    }
}

fn write_hex(json: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    json.push('"');
    for byte in bytes {
        json.push(char::from(DIGITS[usize::from(byte >> 4)]));
        json.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    json.push('"');
}

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

fn dialect_of(on: &impl ConnectionTrait) -> Dialect {
    match on.get_database_backend() {
        sea_orm::DbBackend::Sqlite => Dialect::Sqlite,
        _ => Dialect::Postgres,
    }
}

#[cfg(test)]
mod tests {
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
    fn large_values_lie_one_after_another_beside_the_json_text_on_sqlite() {
        const COLUMNS: &[Column] = &[
            Column::new("large", Kind::Large),
            Column::new("number", Kind::Int),
        ];
        let mut rows = Rows::new(COLUMNS);
        rows.push([vec![1, 2, 3].into(), 7_i64.into()]);
        rows.push([vec![4].into(), 8_i64.into()]);
        let (text, values) = Sql::over("{rows} {}", rows)
            .bind(9_i64)
            .render(Dialect::Sqlite, 1);
        assert_eq!(
            text,
            "(SELECT substr($3, value->>0, value->>1) AS large, value->>2 AS number FROM json_each($2)) AS r $4"
        );
        let large = vec![1_u8, 2, 3, 4];
        assert_eq!(values[..2], ["[[1,3,7],[4,1,8]]".into(), large.into()]);
    }
}
