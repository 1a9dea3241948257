//! Reading the columns of a row that a query gave.

use sea_orm::{QueryResult, TryGetable};
use sendpromptly_core::time::Timestamp;
use uuid::Uuid;

use crate::store::StoreError;

/// Reads a column that holds an id or a digest.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds something else.
pub fn id(row: &QueryResult, column: &str) -> Result<[u8; 16], StoreError> {
    let id: Uuid = get(row, column)?;
    Ok(id.into_bytes())
}

/// Reads a column that may hold an id or a digest.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds something else.
pub fn optional_id(row: &QueryResult, column: &str) -> Result<Option<[u8; 16]>, StoreError> {
    let id: Option<Uuid> = get(row, column)?;
    Ok(id.map(Uuid::into_bytes))
}

/// Reads a column that holds a time.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds something else.
pub fn time(row: &QueryResult, column: &str) -> Result<Timestamp, StoreError> {
    get(row, column).map(Timestamp::from_millis)
}

/// Reads a column that may hold a time.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds something else.
pub fn optional_time(row: &QueryResult, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let millis: Option<i64> = get(row, column)?;
    Ok(millis.map(Timestamp::from_millis))
}

/// Reads a column that holds one of a set of words.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds another word.
pub fn word<T: std::str::FromStr>(row: &QueryResult, column: &str) -> Result<T, StoreError> {
    let text: String = get(row, column)?;
    text.parse()
        .map_err(|_| StoreError::Corrupt(format!("{column}: an unknown word")))
}

/// Reads a column that may hold one of a set of words.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds another word.
pub fn optional_word<T: std::str::FromStr>(row: &QueryResult, column: &str) -> Result<Option<T>, StoreError> {
    let text: Option<String> = get(row, column)?;
    text.map(|text| {
        text.parse()
            .map_err(|_| StoreError::Corrupt(format!("{column}: an unknown word")))
    })
    .transpose()
}

/// Reads a column that holds a count.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds something else.
pub fn count(row: &QueryResult, column: &str) -> Result<u32, StoreError> {
    let number: i64 = get(row, column)?;
    u32::try_from(number).map_err(|_| StoreError::Corrupt(format!("{column}: {number} is no count")))
}

/// Reads a column that holds 1 or 0: yes or no.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds something else.
pub fn flag(row: &QueryResult, column: &str) -> Result<bool, StoreError> {
    Ok(count(row, column)? != 0)
}

/// Reads a column of any type.
///
/// # Errors
/// [`StoreError::Corrupt`] where the column holds something else.
pub fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T, StoreError> {
    row.try_get("", column)
        .map_err(|error| StoreError::Corrupt(format!("{column}: {error}")))
}
