//! The signature itself: HMAC-SHA256 (RFC 2104, FIPS 180-4) over `timestamp.nonce.body`.
//!
//! There is one definition of the bytes that are signed, and both sides use it.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// The header with the Unix seconds at which the callback was signed, in decimal.
pub const TIMESTAMP_HEADER: &str = "x-sendpromptly-timestamp";
/// The header with 32 lower-case hex digits that are new for every attempt.
pub const NONCE_HEADER: &str = "x-sendpromptly-nonce";
/// The header with the signatures, one for each live secret.
pub const SIGNATURE_HEADER: &str = "x-sendpromptly-signature";
/// The header with the attempt's number, from 1.
pub const ATTEMPT_HEADER: &str = "x-sendpromptly-attempt";
/// The header of the answer in which the endpoint may give its result at once: `success` or `failed`.
pub const RESULT_HEADER: &str = "x-sendpromptly-result";
/// The `effect_type` of a test callback. No receipt may name it, so no repair ever bears it.
pub const TEST_EFFECT: &str = "test";
/// The name of this scheme in the signature header, as in `v1=…`.
pub const SCHEME: &str = "v1";

/// A signing secret, ready to sign with: the state of the HMAC after the key.
///
/// It prints as nothing, is wiped when dropped, and cannot be compared.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// The key made of the bytes of the whole secret string, `spsec_` included.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        match Hmac::new_from_slice(secret) {
            Ok(mac) => Self(mac),
            Err(_) => unreachable!("HMAC takes a key of any length (RFC 2104, section 3)"),
        }
    }

    /// Signs a callback.
    #[must_use]
    pub fn sign(&self, timestamp: i64, nonce: &str, body: &[u8]) -> Signature {
        let mut digits = [0; 20];
        self.sign_parts(decimal(timestamp, &mut digits), nonce.as_bytes(), body)
    }

    /// Signs a callback whose timestamp is given as it stands in the header.
    #[inline]
    pub(crate) fn sign_parts(&self, timestamp: &[u8], nonce: &[u8], body: &[u8]) -> Signature {
        // One short update is cheaper than four, and every timestamp and nonce in their right form fits.
        let mut head = [0; 64];
        let length = timestamp.len() + nonce.len() + 2;
        let mut mac = self.0.clone();
        if let Some(head) = head.get_mut(..length) {
            head[..timestamp.len()].copy_from_slice(timestamp);
            head[timestamp.len()] = b'.';
            head[timestamp.len() + 1..length - 1].copy_from_slice(nonce);
            head[length - 1] = b'.';
            mac.update(head);
        } else {
            mac.update(timestamp);
            mac.update(b".");
            mac.update(nonce);
            mac.update(b".");
        }
        mac.update(body);
        Signature(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// The 32 bytes of a signature. They are compared in constant time only, and print as 64 hex digits.
#[derive(Clone, Copy)]
pub struct Signature([u8; 32]);

impl Signature {
    /// What fills unused places; no candidate is ever compared with it.
    pub(crate) const ZERO: Self = Self([0; 32]);

    /// Whether two signatures are the same, in a time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }

    /// Reads exactly 64 lower-case hex digits.
    pub(crate) fn from_hex(digits: &[u8]) -> Option<Self> {
        bytes_from_hex(digits).map(Self)
    }

    /// The same bytes in fewer parts: compared byte by byte they take as long as a block takes to hash.
    fn words(&self) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks::<8>().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        words
    }
}

impl ConstantTimeEq for Signature {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.words().ct_eq(&other.words())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

/// Reads exactly two lower-case hex digits for each byte. The form is no secret, so this need not be constant in
/// time.
#[inline]
pub(crate) fn bytes_from_hex<const LENGTH: usize>(digits: &[u8]) -> Option<[u8; LENGTH]> {
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let pairs: &[[u8; 2]; LENGTH] = pairs.try_into().ok()?;
    let mut bytes = [0; LENGTH];
    let mut wrong = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (hex_value(*high), hex_value(*low));
        wrong |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    (wrong <= 0xf).then_some(bytes)
}

/// The value of a digit, or more than 15. Without a branch a whole signature is read in vectors.
const fn hex_value(digit: u8) -> u8 {
    let (decimal, letter) = (digit.wrapping_sub(b'0'), digit.wrapping_sub(b'a'));
    if decimal < 10 {
        decimal
    } else if letter < 6 {
        letter + 10
    } else {
        0xff
    }
}

/// Writes a number in decimal, without allocating.
fn decimal(number: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut rest = number.unsigned_abs();
    let mut start = buffer.len();
    loop {
        start -= 1;
        buffer[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    &buffer[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, -1, 1_769_851_800, i64::MAX, i64::MIN] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_long_nonce_is_signed_like_a_short_one() {
        let key = SigningKey::new(b"spsec_x");
        let nonce = "n".repeat(100);
        let mut mac = Hmac::<Sha256>::new_from_slice(b"spsec_x").unwrap();
        mac.update(format!("17.{nonce}.body").as_bytes());
        let expected = Signature(mac.finalize().into_bytes().into());
        assert!(key.sign(17, &nonce, b"body").matches(&expected));
    }

    #[test]
    fn neither_key_nor_signature_prints() {
        let key = SigningKey::new(b"spsec_x");
        assert_eq!(
            format!("{key:?} {:?}", key.sign(1, "n", b"")),
            "SigningKey(..) Signature(..)"
        );
    }
}
