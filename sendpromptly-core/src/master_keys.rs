//! The ring of master keys: how its text is read and changed, and what its keys wrap and unwrap.
//!
//! A text has one key a line, a name, a colon and 64 hex digits; lines that begin with `#` are remarks. The first
//! key is the one that a rotation makes active; each of them unwraps what it once wrapped. See
//! `docs/master-keys.md`.

use zeroize::Zeroizing;

use crate::envelope::{DataKey, MasterKey, OpenError};
use crate::hex;

#[cfg(test)]
mod tests;

/// The longest name of a key.
const MAX_KID: usize = 64;

/// The bytes of a line that [`MasterKey`]s of this program have, at most.
const LINE: usize = MAX_KID + 1 + 64 + 1;

/// Master keys, one of them the first.
#[derive(Debug, Clone)]
pub struct MasterKeys {
    first: MasterKey,
    others: Vec<MasterKey>,
}

/// Why a text is no ring of master keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// There is no key in it.
    #[error("there is no key in it")]
    Empty,
    /// A line is malformed.
    #[error("line {0} must be a key's name, a colon and 64 hex digits in lower case")]
    Line(usize),
    /// A name stands twice.
    #[error("line {0} has a name that another line has, too")]
    Twice(usize),
}

/// Why a ring does not unwrap a data key, or wraps none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnwrapError {
    /// It has no key of this name.
    #[error("there is no master key of this name")]
    NoKey,
    /// It has a key of this name, and it is another one.
    #[error("the master key of this name is another one")]
    OtherKey,
}

impl MasterKeys {
    /// Reads a ring's text.
    ///
    /// # Errors
    /// [`RingError`], which repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if is_remark(line) {
                continue;
            }
            let key = parse_line(line).ok_or(RingError::Line(index + 1))?;
            if keys.iter().any(|known| known.kid() == key.kid()) {
                return Err(RingError::Twice(index + 1));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(RingError::Empty);
        }
        let first = keys.remove(0);
        Ok(Self { first, others: keys })
    }

    /// The name of the first key.
    #[must_use]
    pub fn first(&self) -> &str {
        self.first.kid()
    }

    /// The names of all keys, in their order.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.iter().map(MasterKey::kid)
    }

    /// Wraps a data key under the master key of this name.
    ///
    /// # Errors
    /// [`UnwrapError::NoKey`] where there is none.
    pub fn wrap(&self, kid: &str, key: &DataKey, nonce: [u8; 12]) -> Result<Vec<u8>, UnwrapError> {
        Ok(self.find(kid)?.wrap(key, nonce))
    }

    /// Unwraps the data key of this id, which the master key of this name has wrapped.
    ///
    /// # Errors
    /// [`UnwrapError`], which tells a key that is missing from one that is another.
    pub fn unwrap(&self, kid: &str, id: [u8; 16], wrapped: &[u8]) -> Result<DataKey, UnwrapError> {
        let opened = self.find(kid)?.unwrap(id, wrapped);
        opened.map_err(|OpenError| UnwrapError::OtherKey)
    }

    fn find(&self, kid: &str) -> Result<&MasterKey, UnwrapError> {
        self.iter().find(|key| key.kid() == kid).ok_or(UnwrapError::NoKey)
    }

    fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// A new key's line, without its end, made of random bytes.
#[must_use]
pub fn new_line(entropy: [u8; 40]) -> Zeroizing<String> {
    let entropy = Zeroizing::new(entropy);
    let (name, key) = entropy.split_at(8);
    let (name, key) = (hex::encode(name), Zeroizing::new(hex::encode(key)));
    let mut line = Zeroizing::new(String::with_capacity(LINE));
    line.push_str("mk-");
    line.push_str(&name);
    line.push(':');
    line.push_str(&key);
    line
}

/// A ring's text with this line before those of all other keys. Remarks keep their places.
#[must_use]
pub fn with_first(text: &str, line: &str) -> Zeroizing<String> {
    let mut changed = Zeroizing::new(String::with_capacity(text.len() + line.len() + 2));
    let mut rest = text;
    while let Some((remark, after)) = rest.split_once('\n').filter(|(line, _)| is_remark(line)) {
        changed.push_str(remark);
        changed.push('\n');
        rest = after;
    }
    changed.push_str(line);
    changed.push('\n');
    changed.push_str(rest);
    changed
}

/// A ring's text without the key of this name.
#[must_use]
pub fn without(text: &str, kid: &str) -> Zeroizing<String> {
    let mut changed = Zeroizing::new(String::with_capacity(text.len()));
    for line in text.split_inclusive('\n') {
        if is_remark(line) || name_of(line) != Some(kid) {
            changed.push_str(line);
        }
    }
    changed
}

fn is_remark(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn name_of(line: &str) -> Option<&str> {
    line.split_once(':').map(|(kid, _)| kid.trim())
}

fn parse_line(line: &str) -> Option<MasterKey> {
    let (kid, digits) = line.trim().split_once(':')?;
    let named = !kid.is_empty()
        && kid.len() <= MAX_KID
        && kid
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let key = Zeroizing::new(hex::decode::<32>(digits.trim())?);
    named.then(|| MasterKey::new(kid.to_owned(), *key))
}
