//! API keys and signing secrets: a prefix, random characters, and a check that scanners can use.
//!
//! Both are text in base62 (`0-9A-Za-z`). The last six characters are the CRC-32 (ISO-HDLC) of all that comes
//! before, most significant digit first. So a typing error, or a string that only looks like a key, is told
//! without asking a store; see `docs/data.md`.

mod api_key;
mod base62;
mod signing_secret;

pub use api_key::{ApiKey, KeyHash};
pub use signing_secret::SigningSecret;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// How many random bytes a new credential is made of.
pub const ENTROPY: usize = 48;

/// Base62 digits of the check.
const CHECK_DIGITS: usize = 6;

/// Why a text is no credential. It never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// It does not start or end, or is not as long, as one.
    #[error("must be `{prefix}` and {length} of 0-9, A-Z, a-z")]
    Malformed {
        /// The prefix.
        prefix: &'static str,
        /// How many characters follow it.
        length: usize,
    },
    /// Its last six characters do not fit the others: it was mistyped or cut.
    #[error("the check at its end does not fit; it was mistyped or cut")]
    Check,
}

/// The text of a credential: wiped when dropped, and never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct SecretText(String);

impl SecretText {
    /// Makes one of random bytes. They count as one large number, of which as many base62 digits are taken as
    /// are needed; with 384 bits for at most 221 the digits are even to within 2^-160.
    fn generate(prefix: &'static str, random_digits: usize, entropy: [u8; ENTROPY]) -> Self {
        let mut text = String::with_capacity(prefix.len() + random_digits + CHECK_DIGITS);
        text.push_str(prefix);
        base62::push_random(&mut text, random_digits, entropy);
        let check = crc32fast::hash(text.as_bytes());
        base62::push_number(&mut text, CHECK_DIGITS, check);
        Self(text)
    }

    fn parse(prefix: &'static str, random_digits: usize, text: &str) -> Result<Self, CredentialError> {
        let length = random_digits + CHECK_DIGITS;
        let malformed = CredentialError::Malformed { prefix, length };
        let digits = text.strip_prefix(prefix).ok_or(malformed)?;
        if digits.len() != length || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(malformed);
        }
        let (body, check) = text.split_at(text.len() - CHECK_DIGITS);
        let mut expected = String::with_capacity(CHECK_DIGITS);
        base62::push_number(&mut expected, CHECK_DIGITS, crc32fast::hash(body.as_bytes()));
        if check == expected {
            Ok(Self(text.to_owned()))
        } else {
            Err(CredentialError::Check)
        }
    }
}
