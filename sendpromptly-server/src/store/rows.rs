//! Small tables of values, over which a statement goes at once: one text for every number of rows, so that it stays
//! prepared.
//!
//! On PostgreSQL `unnest` makes them from one array a column, on SQLite `json_each` from one JSON text. Large values
//! stand one after another in a value of their own, and the table says where each lies: so they are copied less often.

use std::fmt::Write as _;

use sea_orm::Value;

use self::stored::Stored;
use super::Dialect;

mod read;
mod sql;
mod stored;

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
    /// Bytes, kilobytes of them perhaps, as [`Rows::large`] takes them. In a column that always has a value.
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

    /// Its value in a row that `json_each` gives, which begins at this place of the row.
    fn json_value(&self, place: usize, large: usize) -> String {
        match self.kind {
            Kind::Id | Kind::Bytes => format!("unhex(value->>{place})"),
            Kind::Int | Kind::Text => format!("value->>{place}"),
            Kind::Large => format!("substr(${large}, value->>{place}, value->>{})", place + 1),
        }
    }

    /// Its value in a row that `unnest` gives, whose columns are named by their places.
    fn unnested_value(&self, place: usize, large: usize) -> String {
        match self.stored_as() {
            [stored] if self.optional => format!("NULLIF(u{place}, {})", stored.null_stand_in()),
            [_] => format!("u{place}"),
            _ => format!("substr(${large}::bytea, u{place}::int, u{}::int)", place + 1),
        }
    }

    /// The types of its values in a row, of which a large one has two: where it begins and its length.
    const fn stored_as(&self) -> &'static [Stored] {
        match self.kind {
            Kind::Id => &[Stored::Id],
            Kind::Int => &[Stored::Int],
            Kind::Text => &[Stored::Text],
            Kind::Bytes => &[Stored::Bytes],
            Kind::Large => &[Stored::Int, Stored::Int],
        }
    }
}

/// A small table of values that a statement reads.
#[derive(Debug, Clone)]
pub struct Rows {
    columns: &'static [Column],
    cells: Vec<Cell>,
    large: Vec<u8>,
}

impl Rows {
    /// A table of these columns, without rows yet.
    #[must_use]
    pub const fn new(columns: &'static [Column]) -> Self {
        Self {
            columns,
            cells: Vec::new(),
            large: Vec::new(),
        }
    }

    /// Takes a large value: what stands for it in the next row.
    pub fn large(&mut self, bytes: &[u8]) -> [Cell; 2] {
        debug_assert!(self.has_large());
        let number = |count| Cell::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let place = [number(self.large.len() + 1), number(bytes.len())];
        self.large.extend_from_slice(bytes);
        place
    }

    /// Adds a row. Its cells must be of the columns' kinds, in their order, two for a large value.
    pub fn push<const N: usize>(&mut self, row: [Cell; N]) {
        debug_assert_eq!(N, self.stored_as().count());
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
        let mut arrays = String::new();
        let mut names = String::new();
        for (place, stored) in self.stored_as().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let (number, kind) = (offset + place + 1, stored.postgres_type());
            let _ = write!(arrays, "{comma}${number}::{kind}[]");
            let _ = write!(names, "{comma}u{place}");
        }
        let large = offset + self.stored_as().count() + 1;
        let values = self.selected(|column, place| column.unnested_value(place, large));
        format!("(SELECT {values} FROM unnest({arrays}) AS u({names})) AS r")
    }

    fn json_each(&self, offset: usize) -> String {
        let values = self.selected(|column, place| column.json_value(place, offset + 2));
        format!("(SELECT {values} FROM json_each(${})) AS r", offset + 1)
    }

    /// The columns under their names, each with this value.
    fn selected(&self, value: impl Fn(&Column, usize) -> String) -> String {
        let columns = self.places();
        let columns = columns.map(|(place, column)| format!("{} AS {}", value(column, place), column.name));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// The query that gives one column of the table, no large one.
    fn column(&self, name: &str, dialect: Dialect, offset: usize) -> String {
        let found = self.places().find(|(_, column)| column.name == name);
        let Some((place, column)) = found else {
            unreachable!("a statement names the columns of its rows")
        };
        let [stored] = column.stored_as() else {
            unreachable!("no large column is asked for alone")
        };
        match dialect {
            Dialect::Postgres => {
                let kind = stored.postgres_type();
                format!("SELECT unnest(${}::{kind}[])", offset + place + 1)
            }
            Dialect::Sqlite => {
                let value = column.json_value(place, offset + 2);
                format!("SELECT {value} FROM json_each(${})", offset + 1)
            }
        }
    }

    /// The columns, each with where its value begins in a row as it is stored.
    fn places(&self) -> impl Iterator<Item = (usize, &'static Column)> {
        self.columns.iter().scan(0, |next, column| {
            let place = *next;
            *next += column.stored_as().len();
            Some((place, column))
        })
    }

    /// The types of a row's values as they are stored.
    fn stored_as(&self) -> impl Iterator<Item = Stored> {
        let columns = self.columns.iter();
        columns.flat_map(|column| column.stored_as().iter().copied())
    }

    fn has_large(&self) -> bool {
        self.columns.iter().any(|column| column.kind == Kind::Large)
    }

    /// What is bound: the table, and then its large values where it has a column of such.
    fn values(mut self, dialect: Dialect) -> Vec<Value> {
        let large = std::mem::take(&mut self.large);
        let has_large = self.has_large();
        let mut values = match dialect {
            Dialect::Postgres => self.arrays(),
            Dialect::Sqlite => vec![self.json().into()],
        };
        values.extend(has_large.then(|| large.into()));
        values
    }

    fn arrays(self) -> Vec<Value> {
        let kinds: Vec<_> = self.stored_as().collect();
        let rows = self.cells.len() / kinds.len().max(1);
        let mut arrays: Vec<_> = kinds.iter().map(|_| Vec::with_capacity(rows)).collect();
        let mut cells = self.cells.into_iter();
        for _ in 0..rows {
            for (stored, array) in kinds.iter().zip(&mut arrays) {
                array.extend(cells.next().map(|cell| stored.array_item(cell)));
            }
        }
        let typed = kinds.iter().zip(arrays);
        typed
            .map(|(stored, values)| Value::Array(stored.array_type(), Some(Box::new(values))))
            .collect()
    }

    fn json(&self) -> String {
        let mut json = String::with_capacity(self.cells.len() * 24);
        json.push('[');
        for (index, row) in self.cells.chunks(self.stored_as().count().max(1)).enumerate() {
            json.push_str(if index == 0 { "[" } else { ",[" });
            for (index, cell) in row.iter().enumerate() {
                if index > 0 {
                    json.push(',');
                }
                write_json(&mut json, cell);
            }
            json.push(']');
        }
        json.push(']');
        json
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
