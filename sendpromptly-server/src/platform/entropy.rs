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
/// As [`bytes`].
pub fn fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}
