//! Random bytes from the operating system.

/// So many random bytes.
///
/// # Panics
/// Where the operating system gives none: without them no key, nonce or id is safe, so nothing goes on.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills the buffer with random bytes.
///
/// # Panics
/// As [`bytes()`].
pub fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

/// 16 bytes that sort by the time at which they were made: a UUIDv7, for rows that need no typed id.
#[must_use]
pub fn ordered_id(now: sendpromptly_core::time::Timestamp) -> [u8; 16] {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &bytes());
    id.into_uuid().into_bytes()
}
