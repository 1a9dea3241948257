//! What must hold for any bytes at all, one function for each reader of what others send.
//!
//! libFuzzer calls them with what it makes up, and `tests/corpus.rs` with the seeds. A function that returns
//! has found nothing wrong.

mod audit;
mod callbacks;
mod credentials;
mod requests;

pub use audit::audit_line;
pub use callbacks::{callback_body, callback_headers};
pub use credentials::credential;
pub use requests::{idempotency_key, receipt, result};

/// A function that must return for any bytes.
pub type Target = fn(&[u8]);

/// Every target, with the name of its binary and of its folder of seeds.
pub const TARGETS: [(&str, Target); 7] = [
    ("audit_line", audit_line),
    ("callback_body", callback_body),
    ("callback_headers", callback_headers),
    ("credential", credential),
    ("idempotency_key", idempotency_key),
    ("receipt", receipt),
    ("result", result),
];
