//! What is said of a table that is taken out.

/// A table that is taken out.
#[derive(Debug)]
pub struct Table {
    /// The table, and the name of its file.
    pub name: &'static str,
    pub(super) columns: &'static [Column],
    /// What to read from; the table is called `t`.
    pub(super) from: &'static str,
    pub(super) whose: Whose,
    /// What orders the rows of one owner.
    pub(super) key: &'static [Key],
    /// The column that is opened where that is asked for.
    pub(super) sealed: Option<SealedColumn>,
}

impl Table {
    /// Whether it holds nothing but what is sealed, so that without opening there is nothing to take.
    #[must_use]
    pub fn is_sealed_whole(&self) -> bool {
        self.name == SNAPSHOTS
    }
}

/// Stands in a table's SQL for the time up to which payloads are too old.
pub(super) const PAYLOADS_TOO_OLD: &str = "{payloads_too_old}";

/// Stands in a table's SQL for the time up to which answers' heads are too old.
pub(super) const ANSWERS_TOO_OLD: &str = "{answers_too_old}";

/// The table of receipts' payloads.
pub(super) const SNAPSHOTS: &str = "snapshots";

/// Whose rows a table holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose {
    /// The organization's, by this column.
    Organization(&'static str),
    /// A project's.
    Project,
}

/// A part of the key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    Id(&'static str),
    Int(&'static str),
}

impl Key {
    pub(super) const fn sql(&self) -> &'static str {
        match self {
            Self::Id(column) | Self::Int(column) => column,
        }
    }
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    pub(super) form: Form,
}

/// How a column is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// 16 bytes, as this prefix and hex digits.
    Id(&'static str),
    /// RFC 3339.
    Time,
    Number,
    Flag,
    Text,
    /// A URL, without the path and what follows.
    Origin,
}

/// A column that holds sealed values.
#[derive(Debug, Clone, Copy)]
pub struct SealedColumn {
    /// The field under which it is written, opened.
    pub name: &'static str,
    /// What it was sealed for.
    pub content: Content,
    pub(super) sql: &'static str,
    /// The id of the row that it was sealed for.
    pub(super) row: &'static str,
}

/// What a sealed column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// The first bytes of an endpoint's answer.
    Answer,
    /// The payload of a receipt.
    Payload,
}
