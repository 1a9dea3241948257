//! API keys.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{CredentialError, ENTROPY, SecretText};

const PREFIX: &str = "sk_";
const RANDOM_DIGITS: usize = 34;

/// An API key: `sk_` and 40 base62 characters, 34 of them random (202 bits). It opens one project.
///
/// It is shown once, when it is made; a store holds its [hash](ApiKey::hash) and its [hint](ApiKey::hint).
///
/// ```
/// use sendpromptly_core::credential::ApiKey;
/// let key = ApiKey::generate([7; 48]);
/// assert!(ApiKey::parse(key.expose()).is_ok());
/// assert_eq!(format!("{key:?}"), "ApiKey(..)");
/// ```
#[derive(Clone)]
pub struct ApiKey(SecretText);

/// The SHA-256 of an API key. The key is random and long, so nothing slower is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl ApiKey {
    /// A new key made of random bytes.
    #[must_use]
    pub fn generate(entropy: [u8; ENTROPY]) -> Self {
        Self(SecretText::generate(PREFIX, RANDOM_DIGITS, entropy))
    }

    /// Reads a key, and checks its form without asking a store.
    ///
    /// # Errors
    /// [`CredentialError`], which never repeats the text.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        SecretText::parse(PREFIX, RANDOM_DIGITS, text).map(Self)
    }

    /// The key itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0.0
    }

    /// What a store looks a key up by.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.expose().as_bytes()).into())
    }

    /// The last four of the random characters, by which its owner can tell it from others.
    #[must_use]
    pub fn hint(&self) -> &str {
        let end = PREFIX.len() + RANDOM_DIGITS;
        &self.expose()[end - 4..end]
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

impl KeyHash {
    /// The hash that a store holds as these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes that a store holds.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MALFORMED: CredentialError = CredentialError::Malformed {
        prefix: "sk_",
        length: 40,
    };

    #[test]
    fn another_prefix_length_or_alphabet_is_malformed() {
        let key = ApiKey::generate([7; ENTROPY]);
        let key = key.expose();
        for wrong in [
            "",
            "sk_",
            &key[3..],
            &key[..key.len() - 1],
            &format!("{key}0"),
            &key.replace("sk_", "pk_"),
            &format!("sk_{}", "-".repeat(40)),
            &format!("sk_{}", "é".repeat(20)),
        ] {
            assert_eq!(ApiKey::parse(wrong).unwrap_err(), MALFORMED, "{wrong}");
        }
    }

    /// The digits of the check, as Python's `zlib.crc32` gives them; the same key stands in `docs/data.md`.
    #[test]
    fn a_key_whose_check_was_worked_out_elsewhere_reads() {
        let key = "sk_F67VuXSkp3EZrn02ZR5lQrjiorc4K5C8xE3UJcQF";
        assert_eq!(ApiKey::parse(key).unwrap().hint(), "C8xE");
    }

    #[test]
    fn an_error_does_not_repeat_the_text() {
        let text = format!("sk_{}", "x".repeat(40));
        let error = ApiKey::parse(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("xxxx"));
    }

    proptest! {
        #[test]
        fn every_key_reads_back_and_no_changed_character_does(entropy: [u8; ENTROPY], at in 3..43_usize) {
            let key = ApiKey::generate(entropy);
            prop_assert_eq!(key.expose().len(), 43);
            prop_assert_eq!(key.hint().len(), 4);
            prop_assert_eq!(ApiKey::parse(key.expose()).unwrap().hash(), key.hash());
            let mut changed = key.expose().as_bytes().to_vec();
            changed[at] = if changed[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(ApiKey::parse(&changed).unwrap_err(), CredentialError::Check);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = ApiKey::parse(&text);
        }
    }
}
