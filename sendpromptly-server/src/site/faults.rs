//! The log's lines on answers of 5xx, under the request ids that clients are told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sendpromptly_core::id::RequestId;

use crate::http::ApiError;

/// Logs what was not answered as asked. An overload answers 503 thousands of times a second, so of those one a
/// second has a line, with the number of those before it that have none.
#[derive(Debug)]
pub(super) struct Faults {
    began: Instant,
    /// The second of the last line on a 503, counted from 1.
    told_in: AtomicU64,
    untold: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            told_in: AtomicU64::new(0),
            untold: AtomicU64::new(0),
        }
    }
}

impl Faults {
    /// Logs this answer where it is a 5xx.
    pub(super) fn tell(&self, id: RequestId, path: &str, error: &ApiError) {
        let (status, code) = error.status_and_code();
        if !status.is_server_error() {
            return;
        }
        let untold = match error {
            ApiError::Unavailable => self.untold_before(self.began.elapsed().as_secs() + 1),
            _ => Some(0),
        };
        if let Some(untold) = untold {
            let status = status.as_u16();
            tracing::warn!(%id, path, status, code, untold, "a request was not answered as asked");
        }
    }

    /// How many 503s before this one have no line; `None` where this one has none either.
    fn untold_before(&self, second: u64) -> Option<u64> {
        if self.told_in.swap(second, Ordering::Relaxed) == second {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.untold.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_503_a_second_has_a_line_that_counts_those_without() {
        let faults = Faults::default();
        let told: Vec<_> = [1, 1, 1, 2, 5, 5, 6]
            .map(|second| faults.untold_before(second))
            .into();
        let expected = [Some(0), None, None, Some(2), Some(0), None, Some(1)];
        assert_eq!(told, expected);
    }
}
