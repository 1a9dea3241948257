//! `openapi`: prints the OpenAPI document.

use super::{CommandError, print_line};
use crate::api::openapi::DOCUMENT;

/// Prints the document.
///
/// # Errors
/// [`CommandError::Refused`] where nobody reads it.
pub fn run() -> Result<(), CommandError> {
    print_line(DOCUMENT.trim_end())
}
