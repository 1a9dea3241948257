//! An authenticator app: the codes of RFC 6238, with SHA-1, six digits and thirty seconds.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// How long a code lasts, in seconds.
pub const STEP: u64 = 30;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The code at this time, in seconds since 1970, of a secret as it is shown: base32, with spaces or without.
#[must_use]
pub fn totp(secret: &str, unix_time: u64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(&base32(secret)).unwrap();
    mac.update(&(unix_time / STEP).to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let offset = usize::from(tag[19] & 0x0f);
    let word: [u8; 4] = tag[offset..offset + 4].try_into().unwrap();
    format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
}

/// The code of now.
#[must_use]
pub fn totp_now(secret: &str) -> String {
    totp(secret, now())
}

/// The code so many steps from now. A code is good once, so whoever needs several in a row takes the steps
/// before and after the current one, as far as drift is forgiven.
#[must_use]
pub fn totp_in_steps(secret: &str, steps: i64) -> String {
    totp(secret, now().saturating_add_signed(steps * STEP.cast_signed()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn base32(text: &str) -> Vec<u8> {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes().filter(|byte| !b" -=".contains(byte)) {
        let digit = ALPHABET
            .iter()
            .position(|known| *known == letter.to_ascii_uppercase());
        let digit = digit.unwrap_or_else(|| panic!("{} is not base32", char::from(letter)));
        buffer = (buffer << 5) | u32::try_from(digit).unwrap();
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).unwrap());
        }
    }
    bytes
}
