//! Small tables of values, over which a statement goes at once: one text for every number of rows, so that it stays
//! prepared.
//!
//! On PostgreSQL `unnest` makes them from one array a column, on SQLite `json_each` from one JSON text. Large values
//! stand one after another in a value of their own on SQLite, and the JSON text says where each lies.

use std::fmt::Write as _;

use sea_orm::Value;
use sea_orm::sea_query::ArrayType;
use uuid::Uuid;

use super::Dialect;

mod read;
mod sql;

pub use read::{count, flag, get, id, optional_id, optional_time, optional_word, time, word};
pub use sql::{Sql, write_together};

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

    /// Its value in a row that `json_each` gives, which begins at this place of the row. The parameters start after
    /// `offset`.
    fn json_value(&self, place: usize, offset: usize) -> String {
        match self.kind {
            Kind::Id | Kind::Bytes => format!("unhex(value->>{place})"),
            Kind::Int | Kind::Text => format!("value->>{place}"),
            Kind::Large => format!("substr(${}, value->>{place}, value->>{})", offset + 2, place + 1),
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
        let values: Vec<_> = self
            .places()
            .map(|(place, column)| format!("{} AS {}", column.json_value(place, offset), column.name))
            .collect();
        let values = values.join(", ");
        format!("(SELECT {values} FROM json_each(${})) AS r", offset + 1)
    }

    /// The query that gives one column of the table.
    fn column(&self, name: &str, dialect: Dialect, offset: usize) -> String {
        let mut columns = self.places().enumerate();
        let found = columns.find(|(_, (_, column))| column.name == name);
        let Some((index, (place, column))) = found else {
            unreachable!("a statement names the columns of its rows")
        };
        match dialect {
            Dialect::Postgres => {
                let kind = postgres_type(column.kind);
                format!("SELECT unnest(${}::{kind}[])", offset + index + 1)
            }
            Dialect::Sqlite => {
                let value = column.json_value(place, offset);
                format!("SELECT {value} FROM json_each(${})", offset + 1)
            }
        }
    }

    /// The columns, each with where its value stands in the JSON text of a row.
    fn places(&self) -> impl Iterator<Item = (usize, &'static Column)> {
        self.columns.iter().scan(0, |next, column| {
            let place = *next;
            *next += if column.kind == Kind::Large { 2 } else { 1 };
            Some((place, column))
        })
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
