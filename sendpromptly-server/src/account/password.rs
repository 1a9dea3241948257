//! Passwords: which are taken, and how they are kept.

use std::fmt;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use super::guess;
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
    /// It is made of little that has to be guessed.
    #[error(
        "the password is too easy to guess: it is made of common words, names, years, repeats or rows of keys; \
         take several words that do not belong together"
    )]
    Guessable,
}

impl Password {
    /// Takes a password. `own` are texts that a guesser would try for this user: names, the address.
    ///
    /// # Errors
    /// [`PasswordError`], which says what is wrong.
    pub fn new(text: Zeroizing<String>, own: &[&str]) -> Result<Self, PasswordError> {
        if text.chars().any(char::is_control) {
            return Err(PasswordError::Control);
        }
        if !LENGTH.contains(&text.chars().count()) {
            return Err(PasswordError::Length);
        }
        if guess::is_guessable(&text, own) {
            return Err(PasswordError::Guessable);
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

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    fn taken(text: &str) -> Result<Password, PasswordError> {
        Password::new(Zeroizing::new(text.to_owned()), &[])
    }

    #[test]
    fn a_password_has_12_to_128_characters_in_one_line() {
        let long = "hvy2 lrkq".repeat(14) + "ab";
        assert_eq!(long.chars().count(), 128);
        assert!(taken(&long).is_ok());
        assert!(taken("ünïcödé ⏰ ok").is_ok(), "12 characters count, not bytes");
        for (text, why) in [
            ("short horse", PasswordError::Length),
            (&format!("{long}c"), PasswordError::Length),
            ("correct horse\nbattery", PasswordError::Control),
            ("Password1234!", PasswordError::Guessable),
        ] {
            assert_eq!(taken(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn what_is_stored_is_argon2id_that_the_password_alone_matches() {
        let hash = taken("correct horse battery").unwrap().hash().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let stored = PasswordHash::new(&hash).unwrap();
        let matches = |text: &str| {
            Argon2::default()
                .verify_password(text.as_bytes(), &stored)
                .is_ok()
        };
        assert!(matches("correct horse battery") && !matches("correct horse batterz"));
        assert_ne!(
            taken("correct horse battery").unwrap().hash().unwrap(),
            hash,
            "each has its own salt"
        );
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(
            format!("{:?}", taken("correct horse battery").unwrap()),
            "Password(..)"
        );
    }
}
