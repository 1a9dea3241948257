//! Random bytes from the operating system.

use std::cell::RefCell;

use zeroize::Zeroize;

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

/// Ten random bytes for an id. They come from a stock, for a request makes several ids, and asking the
/// operating system each time costs more than the rest of the id. Nothing secret is made of them.
///
/// # Panics
/// As [`bytes()`].
#[must_use]
pub fn for_id() -> [u8; 10] {
    STOCK.with_borrow_mut(Stock::take)
}

/// Twelve random bytes for a nonce, from the same stock: a nonce is no secret, it only never comes twice.
///
/// # Panics
/// As [`bytes()`].
#[must_use]
pub fn for_nonce() -> [u8; 12] {
    STOCK.with_borrow_mut(Stock::take)
}

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock::EMPTY) };
}

/// Random bytes that nobody has had yet.
struct Stock {
    bytes: [u8; Self::SIZE],
    left: usize,
}

impl Stock {
    const SIZE: usize = 640;
    const EMPTY: Self = Self {
        bytes: [0; Self::SIZE],
        left: 0,
    };

    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.left < N {
            fill(&mut self.bytes);
            self.left = Self::SIZE;
        }
        let taken = &mut self.bytes[self.left - N..self.left];
        let mut bytes = [0; N];
        bytes.copy_from_slice(taken);
        taken.zeroize();
        self.left -= N;
        bytes
    }
}

/// 16 bytes that sort by the time at which they were made: a UUIDv7, for rows that need no typed id.
#[must_use]
pub fn ordered_id(now: sendpromptly_core::time::Timestamp) -> [u8; 16] {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &for_id());
    id.into_uuid().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_ids_get_the_same_bytes() {
        let drawn: HashSet<_> = (0..1_000).map(|_| for_id()).collect();
        assert_eq!(drawn.len(), 1_000);
    }

    #[test]
    fn what_was_taken_from_the_stock_is_not_in_it_any_more() {
        let mut stock = Stock::EMPTY;
        let taken: [u8; 10] = stock.take();
        assert!(!stock.bytes.windows(10).any(|window| window == taken));
    }
}
