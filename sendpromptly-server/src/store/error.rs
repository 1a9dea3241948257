//! What can go wrong in a store, told apart by what the caller should do about it.

use sea_orm::{DbErr, RuntimeErr, SqlErr, TransactionError, sqlx};

/// A store's error. Its text is for the log, never for a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database is down, locked, full or too slow: try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The connection broke before the database confirmed a commit: look before trying again.
    #[error("the connection to the store broke: {0}")]
    Broken(String),
    /// Another transaction was in the way; this one was undone and can be run again.
    #[error("the transaction must be run again: {0}")]
    Again(String),
    /// A unique key is taken.
    #[error("a unique key is taken: {0}")]
    Taken(String),
    /// The tables are older or newer than this program.
    #[error("{0}")]
    Schema(String),
    /// Stored data that this program cannot read.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
    /// Anything else: a fault of ours.
    #[error("the store refused a statement: {0}")]
    Internal(String),
}

impl StoreError {
    /// Whether the caller may expect the same request to work later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Broken(_) | Self::Again(_))
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() {
            return Self::Taken(message);
        }
        let text = error.to_string();
        match &error {
            DbErr::ConnectionAcquire(_) => Self::Unavailable(text),
            DbErr::Conn(RuntimeErr::SqlxError(cause)) => classify(cause, text, Self::Unavailable),
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                classify(cause, text, Self::Broken)
            }
            _ => Self::Internal(text),
        }
    }
}

impl From<TransactionError<Self>> for StoreError {
    fn from(error: TransactionError<Self>) -> Self {
        match error {
            TransactionError::Connection(error) => error.into(),
            TransactionError::Transaction(error) => error,
        }
    }
}

fn classify(cause: &sqlx::Error, text: String, lost: fn(String) -> StoreError) -> StoreError {
    match cause {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => lost(text),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
            StoreError::Unavailable(text)
        }
        sqlx::Error::Database(error) => match error.code() {
            Some(code) => classify_code(&code, text),
            None => StoreError::Internal(text),
        },
        _ => StoreError::Internal(text),
    }
}

/// By SQLSTATE on PostgreSQL, by (extended) result code on SQLite.
fn classify_code(code: &str, text: String) -> StoreError {
    // A SQLSTATE has five characters, and no result code of SQLite has.
    if code.len() < 5
        && let Ok(code) = code.parse::<u32>()
    {
        return match code & 0xff {
            // BUSY, LOCKED, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN
            5 | 6 | 8 | 9 | 10 | 13 | 14 => StoreError::Unavailable(text),
            11 | 26 => StoreError::Corrupt(text),
            _ => StoreError::Internal(text),
        };
    }
    match code {
        // deadlock, serialization failure
        "40P01" | "40001" => StoreError::Again(text),
        // the server goes down in the middle of a statement
        "57P01" | "57P02" | "57P05" => StoreError::Broken(text),
        // starting up, cancelled, lock not available, read only
        "57P03" | "57014" | "55P03" | "25006" => StoreError::Unavailable(text),
        _ => match &code[..code.len().min(2)] {
            "08" => StoreError::Broken(text),
            // out of resources (disk, memory, connections), system errors
            "53" | "58" => StoreError::Unavailable(text),
            _ => StoreError::Internal(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_lock_pass_while_a_broken_file_and_a_wrong_statement_do_not() {
        let kind = |code| classify_code(code, String::new());
        for passing in ["5", "13", "778", "261", "53100", "40P01", "57P01", "08006"] {
            assert!(kind(passing).is_passing(), "{passing}");
        }
        for lasting in ["1", "11", "42601", "42P01", "23514"] {
            assert!(!kind(lasting).is_passing(), "{lasting}");
        }
    }
}
