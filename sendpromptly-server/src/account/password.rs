//! Passwords: which are taken, and how they are kept.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
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

/// What a stored hash says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is another password.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and the hash is weaker than those made now.
    RightButWeak,
}

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
        hash(&self.0)
    }

    pub(super) fn into_text(self) -> Zeroizing<String> {
        self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What is stored of a password, in PHC form.
pub(super) fn hash(text: &str) -> Result<String, argon2::password_hash::Error> {
    let salt = entropy::bytes::<16>();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters()?);
    Ok(argon2
        .hash_password_with_salt(text.as_bytes(), &salt)?
        .to_string())
}

/// Whether a text is the password of which `stored` was kept. Where nothing was, one of the same cost that no
/// password has is taken in its place, so that nobody is told by the work whether there is one.
pub(super) fn matches(text: &str, stored: Option<&str>) -> Result<Match, argon2::password_hash::Error> {
    let nobodys = format!(
        "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
        "A".repeat(22),
        "A".repeat(43)
    );
    let hash = PasswordHash::new(stored.unwrap_or(&nobodys))?;
    match Argon2::default().verify_password(text.as_bytes(), &hash) {
        Ok(()) if stored.is_none() => Ok(Match::Wrong),
        Ok(()) if is_weak(&hash) => Ok(Match::RightButWeak),
        Ok(()) => Ok(Match::Right),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Match::Wrong),
        Err(error) => Err(error),
    }
}

fn parameters() -> Result<Params, argon2::password_hash::Error> {
    Ok(Params::new(MEMORY_KIB, PASSES, LANES, None)?)
}

/// Whether a hash costs less than one made now.
fn is_weak(hash: &PasswordHash) -> bool {
    let Ok(params) = Params::try_from(hash) else {
        return true;
    };
    hash.algorithm.as_str() != Algorithm::Argon2id.as_str()
        || params.m_cost() < MEMORY_KIB
        || params.t_cost() < PASSES
        || params.p_cost() < LANES
}

#[cfg(test)]
mod tests {
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
        let compare = |text| matches(text, Some(&hash)).unwrap();
        assert_eq!(compare("correct horse battery"), Match::Right);
        assert_eq!(compare("correct horse batterz"), Match::Wrong);
        assert_ne!(
            taken("correct horse battery").unwrap().hash().unwrap(),
            hash,
            "each has its own salt"
        );
    }

    #[test]
    fn a_hash_that_cost_less_than_those_made_now_is_weak() {
        let hash = |algorithm, memory, passes| {
            let params = Params::new(memory, passes, 1, None).unwrap();
            let argon2 = Argon2::new(algorithm, Version::V0x13, params);
            let hash = argon2.hash_password_with_salt(b"correct horse battery", &[7; 16]);
            hash.unwrap().to_string()
        };
        let compare = |hash: String| matches("correct horse battery", Some(&hash)).unwrap();
        for weak in [
            hash(Algorithm::Argon2id, MEMORY_KIB, 1),
            hash(Algorithm::Argon2id, MEMORY_KIB - 1_024, 3),
            hash(Algorithm::Argon2i, MEMORY_KIB, PASSES),
        ] {
            assert_eq!(compare(weak), Match::RightButWeak);
        }
        assert_eq!(compare(hash(Algorithm::Argon2id, MEMORY_KIB, 3)), Match::Right);
    }

    #[test]
    fn nobodys_hash_costs_what_others_do_and_no_password_has_it() {
        assert_eq!(matches("correct horse battery", None).unwrap(), Match::Wrong);
        assert_eq!(matches("", None).unwrap(), Match::Wrong);
    }

    #[test]
    fn a_password_does_not_print() {
        assert_eq!(
            format!("{:?}", taken("correct horse battery").unwrap()),
            "Password(..)"
        );
    }
}
