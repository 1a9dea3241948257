//! The `Idempotency-Key` header.

use crate::dedupe::{self, MAX_KEY};

/// What a sender calls one request, however often it is sent: 1 to 255 visible ASCII characters. A key in
/// double quotes, the form of the IETF's draft `draft-ietf-httpapi-idempotency-key-header`, is what stands
/// between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

/// Why a header is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Reads the header's value.
    ///
    /// # Errors
    /// [`IdempotencyKeyError`] for a key that is empty, too long, or holds other characters.
    ///
    /// ```
    /// use sendpromptly_core::request::IdempotencyKey;
    /// let plain = IdempotencyKey::parse(b"order-17")?;
    /// assert_eq!(plain, IdempotencyKey::parse(b"\"order-17\"")?);
    /// assert!(IdempotencyKey::parse(b"order 17").is_err());
    /// # Ok::<(), sendpromptly_core::request::IdempotencyKeyError>(())
    /// ```
    pub fn parse(header: &[u8]) -> Result<Self, IdempotencyKeyError> {
        let key = match header {
            [b'"', inner @ .., b'"'] => inner,
            plain => plain,
        };
        if !dedupe::is_key(key) {
            return Err(IdempotencyKeyError);
        }
        String::from_utf8(key.to_vec())
            .map(Self)
            .map_err(|_| IdempotencyKeyError)
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a store's unique key holds in its place.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        dedupe::digest(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_255_visible_characters_are_a_key() {
        for key in ["k", "\"", "a\"b", &"x".repeat(255), "!~"] {
            assert_eq!(IdempotencyKey::parse(key.as_bytes()).unwrap().as_str(), key);
        }
        for wrong in [
            "",
            "\"\"",
            "a b",
            "tab\t",
            "caf\u{e9}",
            "\u{7f}",
            &"x".repeat(256),
        ] {
            assert_eq!(
                IdempotencyKey::parse(wrong.as_bytes()),
                Err(IdempotencyKeyError),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn quotes_do_not_count_toward_the_length() {
        let quoted = format!("\"{}\"", "x".repeat(255));
        assert_eq!(
            IdempotencyKey::parse(quoted.as_bytes()).unwrap().as_str().len(),
            255
        );
    }
}
