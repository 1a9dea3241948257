//! What is wrong with a body, by field.

use std::collections::BTreeMap;

use serde::Serialize;

/// The most top-level fields that a body may have.
pub(super) const MAX_FIELDS: usize = 32;

/// For each wrong field, what would be right. `body` stands for the body as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct FieldErrors(BTreeMap<&'static str, Vec<String>>);

impl FieldErrors {
    /// One wrong field.
    #[must_use]
    pub fn one(field: &'static str, message: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, message);
        errors
    }

    /// Adds what is wrong with a field.
    pub fn add(&mut self, field: &'static str, message: impl Into<String>) {
        self.0.entry(field).or_default().push(message.into());
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The wrong fields with their messages, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.0
            .iter()
            .map(|(field, messages)| (*field, messages.as_slice()))
    }
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It has more than 32 top-level fields.
    #[error("the body has more than {MAX_FIELDS} top-level fields")]
    TooManyFields,
    /// These fields are wrong.
    #[error("a field is wrong")]
    Invalid(FieldErrors),
}
