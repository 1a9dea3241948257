//! HMAC-SHA256 (RFC 2104) under a key of 32 bytes, each use under words of its own.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A key for one use. It does not print.
#[derive(Clone)]
pub struct MacKey {
    /// HMAC fills a key up to its block with zeros.
    block: Zeroizing<[u8; 64]>,
    domain: &'static [u8],
}

impl MacKey {
    /// The key for the use that the domain's words name.
    #[must_use]
    pub fn new(key: &[u8; 32], domain: &'static [u8]) -> Self {
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        Self { block, domain }
    }

    /// The tag of a text.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> [u8; 32] {
        self.over(text).finalize().into_bytes().into()
    }

    /// Whether this is the tag of a text, compared in constant time.
    #[must_use]
    pub fn verify(&self, text: &[u8], tag: &[u8; 32]) -> bool {
        self.over(text).verify_slice(tag).is_ok()
    }

    fn over(&self, text: &[u8]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new(&(*self.block).into());
        mac.chain_update(self.domain).chain_update(text)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_its_key_its_use_and_its_text() {
        let key = MacKey::new(&[1; 32], b"one\0");
        let tag = key.sign(b"text");
        assert!(key.verify(b"text", &tag));
        assert!(!key.verify(b"texts", &tag));
        assert!(!MacKey::new(&[2; 32], b"one\0").verify(b"text", &tag));
        assert!(!MacKey::new(&[1; 32], b"two\0").verify(b"text", &tag));
    }
}
