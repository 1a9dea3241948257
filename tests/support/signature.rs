//! Checks a callback's signature, written from the documented format alone.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// HMAC-SHA256 over `timestamp.nonce.body` with the bytes of the whole secret, in lower-case hex.
#[must_use]
pub fn signature(secret: &str, timestamp: &str, nonce: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in [timestamp.as_bytes(), b".", nonce.as_bytes(), b".", body] {
        mac.update(part);
    }
    hex(&mac.finalize().into_bytes())
}

/// Bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a text, in lower-case hex.
#[must_use]
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}
