//! What became of one call.

mod classify;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::retry_after::RetryAfter;
use super::target::TargetError;

pub(super) use classify::outcome_of_error;

/// The header with which an endpoint reports a replay's result in its answer.
const RESULT_HEADER: &str = "x-sendpromptly-result";

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// The endpoint answered. The status decides what follows; nothing after it can undo it.
    Answered {
        /// The HTTP status, from 100 to 999.
        status: u16,
        /// The `Retry-After` header, if there is a well-formed one.
        retry_after: Option<RetryAfter>,
        /// The result that a 2xx answer reports; always `None` for other statuses.
        result: Option<ReportedResult>,
        /// The body's first bytes, at most [`MAX_HEAD_BYTES`](super::client::MAX_HEAD_BYTES): fewer where it ended,
        /// broke off, stalled or was cut off before. Customer data, to be sealed.
        head: Bytes,
        /// From the call's start to the answer's status line and headers.
        duration: Duration,
    },
    /// The target may not be called. Nothing was sent, and nothing of an answer was read.
    Refused {
        /// Why, as a sentence that may be shown.
        reason: TargetError,
    },
    /// No answer came.
    NetworkError {
        /// What went wrong.
        kind: NetworkErrorKind,
        /// From the call's start to the failure.
        duration: Duration,
    },
    /// The caller gave the call up before an answer came. The request may have been acted upon.
    CutOff,
}

/// Why no answer came. `Display` gives a sentence's part to show: "the name does not resolve".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NetworkErrorKind {
    /// The host's name has no address now.
    Resolve,
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The endpoint's certificate is not trusted, not for this host, or not valid now.
    Certificate,
    /// Connecting, or the call as a whole, took too long.
    Timeout,
    /// The connection ended before an answer came. The request may have been acted upon.
    Reset,
    /// What came is not HTTP, or more than is read of it.
    Malformed,
}

impl fmt::Display for NetworkErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the name does not resolve",
            Self::Connect => "no connection could be made",
            Self::Tls => "the TLS handshake failed",
            Self::Certificate => "the certificate is not trusted, not for this host, or not valid now",
            Self::Timeout => "no answer came in time",
            Self::Reset => "the connection ended before an answer came",
            Self::Malformed => "the answer is not valid HTTP",
        })
    }
}

/// The result that an endpoint reports in its answer, by the header `X-SendPromptly-Result`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportedResult {
    /// `success`: the effect is applied.
    Success,
    /// `failed`: it is not.
    Failed,
}

impl ReportedResult {
    /// Reads the header. One that stands twice, or says anything else, reports nothing.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(RESULT_HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return None;
        };
        match value.as_bytes() {
            b"success" => Some(Self::Success),
            b"failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// Reads the first `Retry-After` header.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<RetryAfter> {
    RetryAfter::parse(headers.get(RETRY_AFTER)?.to_str().ok()?)
}
