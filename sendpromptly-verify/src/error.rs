//! Why a callback is refused, and what to answer.

use core::fmt;

use crate::signature::{NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};

/// Why a callback is refused. It never says which byte or which secret was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A signed header is not there.
    #[error("the header {0} is missing")]
    MissingHeader(CallbackHeader),
    /// A signed header has another form than the documented one, or stands twice.
    #[error("the header {0} is malformed or stands twice")]
    MalformedHeader(CallbackHeader),
    /// The callback was signed longer ago than the window allows.
    #[error("the callback is stale")]
    Stale,
    /// The callback was signed further in the future than the window allows.
    #[error("the callback comes from the future: compare the clocks")]
    FromFuture,
    /// No signature in the header was made with one of the secrets.
    #[error("the signature is wrong")]
    WrongSignature,
    /// This very attempt has been received before.
    #[error("the nonce has been seen before")]
    ReplayedNonce,
    /// As many nonces as allowed are remembered, and none may be forgotten yet.
    #[error("the memory of nonces is full")]
    NonceMemoryFull,
}

impl VerifyError {
    /// The HTTP status to answer with: 503 where the callback may come again, else 401.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NonceMemoryFull => 503,
            _ => 401,
        }
    }
}

/// A header that the signature rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallbackHeader {
    /// When the callback was signed.
    Timestamp,
    /// What is new for every attempt.
    Nonce,
    /// The signatures.
    Signature,
}

impl CallbackHeader {
    /// Its name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timestamp => TIMESTAMP_HEADER,
            Self::Nonce => NONCE_HEADER,
            Self::Signature => SIGNATURE_HEADER,
        }
    }
}

impl fmt::Display for CallbackHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a [`Verifier`](crate::Verifier) can't be made of these secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is none.
    #[error("no signing secret is given: one is needed, two while it rotates")]
    None,
    /// There are too many.
    #[error(
        "too many signing secrets are given: at most {} are taken",
        crate::MAX_SECRETS
    )]
    TooMany,
    /// One is not a signing secret: an API key perhaps, or one cut short, or with a line break at its end.
    #[error(
        "signing secret number {0} is not one: it is `spsec_` and at least 32 letters and digits, no space around"
    )]
    Malformed(usize),
}
