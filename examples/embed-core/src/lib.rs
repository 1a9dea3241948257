#![doc = include_str!("../README.md")]

pub mod monitor;
pub mod store;

/// Random bytes from the operating system.
///
/// # Panics
/// Where it has none: nothing safe can be made then.
#[must_use]
pub fn entropy<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    match getrandom::fill(&mut bytes) {
        Ok(()) => bytes,
        Err(error) => panic!("the operating system gives no random bytes: {error}"),
    }
}
