//! The types of the values that a small table is bound as.

use sea_orm::Value;
use sea_orm::sea_query::ArrayType;
use uuid::Uuid;

use super::Cell;

/// The type of a value in a row as it is bound. A column has one such value, or two where its own are large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    Id,
    Int,
    Text,
    Bytes,
}

impl Stored {
    pub(super) const fn postgres_type(self) -> &'static str {
        match self {
            Self::Id => "uuid",
            Self::Int => "bigint",
            Self::Text => "text",
            Self::Bytes => "bytea",
        }
    }

    pub(super) const fn array_type(self) -> ArrayType {
        match self {
            Self::Id => ArrayType::Uuid,
            Self::Int => ArrayType::BigInt,
            Self::Text => ArrayType::String,
            Self::Bytes => ArrayType::Bytes,
        }
    }

    /// What stands for NULL inside an array, which cannot hold it: a value that no such column ever has.
    pub(super) const fn null_stand_in(self) -> &'static str {
        match self {
            Self::Id => "'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid",
            Self::Int => "(-9223372036854775808)::bigint",
            Self::Text => "''",
            Self::Bytes => "''::bytea",
        }
    }

    pub(super) fn array_item(self, cell: Cell) -> Value {
        match (cell, self) {
            (Cell::Id(bytes), _) => Uuid::from_bytes(bytes).into(),
            (Cell::Int(number), _) => number.into(),
            (Cell::Text(text), _) => text.into(),
            (Cell::Bytes(bytes), _) => bytes.into(),
            (Cell::Null, Self::Id) => Uuid::max().into(),
            (Cell::Null, Self::Int) => i64::MIN.into(),
            (Cell::Null, Self::Text) => "".into(),
            (Cell::Null, Self::Bytes) => Vec::<u8>::new().into(),
        }
    }
}
