//! Passwords: which are taken, and how they are kept.

use std::fmt;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use crate::platform::entropy;

/// Characters of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=128;

/// Argon2id with 19 MiB, two passes, one lane: the least that OWASP's password storage cheat sheet advises.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A password that may be used. It does not print, and is wiped when dropped.
pub struct Password(Zeroizing<String>);

/// Why a password is refused. It never repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Too short or too long.
    #[error("the password must have {} to {} characters", LENGTH.start(), LENGTH.end())]
    Length,
    /// A line break or another control character.
    #[error("the password must be one line without control characters")]
    Control,
}

impl Password {
    /// Takes a password.
    ///
    /// # Errors
    /// [`PasswordError`], which says what is wrong.
    pub fn new(text: Zeroizing<String>) -> Result<Self, PasswordError> {
        if text.chars().any(char::is_control) {
            return Err(PasswordError::Control);
        }
        if !LENGTH.contains(&text.chars().count()) {
            return Err(PasswordError::Length);
        }
        Ok(Self(text))
    }

    /// What is stored of it, in PHC form. Slow by design: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`argon2::password_hash::Error`] where the memory is not to be had.
    pub fn hash(&self) -> Result<String, argon2::password_hash::Error> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let salt = entropy::bytes::<16>();
        Ok(argon2
            .hash_password_with_salt(self.0.as_bytes(), &salt)?
            .to_string())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}
