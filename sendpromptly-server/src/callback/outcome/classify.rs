//! From the HTTP library's error, which nests several layers' errors, to one word for what went wrong.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::time::Duration;

use super::super::peer::PeerError;
use super::super::resolver::LookupError;
use super::super::target::TargetError;
use super::{CallOutcome, NetworkErrorKind};

/// The outcome of a call that gave `error` in place of an answer. The error itself goes no further: its text may
/// hold the URL.
pub(in super::super) fn outcome_of_error(error: &reqwest::Error, duration: Duration) -> CallOutcome {
    match causes(error).find_map(refusal) {
        Some(reason) => CallOutcome::Refused { reason },
        None => CallOutcome::NetworkError {
            kind: kind_of(error),
            duration,
        },
    }
}

fn refusal(cause: &(dyn Error + 'static)) -> Option<TargetError> {
    if let Some(LookupError::Refused(reason)) = cause.downcast_ref() {
        return Some(reason.clone());
    }
    match cause.downcast_ref() {
        Some(PeerError::Refused(reason)) => Some(reason.clone()),
        _ => None,
    }
}

fn kind_of(error: &reqwest::Error) -> NetworkErrorKind {
    if causes(error).any(|cause| cause.is::<LookupError>()) {
        return NetworkErrorKind::Resolve;
    }
    if error.is_timeout() {
        return NetworkErrorKind::Timeout;
    }
    if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return tls_kind(tls);
    }
    if error.is_connect() {
        return NetworkErrorKind::Connect;
    }
    let malformed = causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(|error| error.is_parse() || error.is_parse_too_large());
    if malformed {
        NetworkErrorKind::Malformed
    } else {
        NetworkErrorKind::Reset
    }
}

fn tls_kind(error: &rustls::Error) -> NetworkErrorKind {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            NetworkErrorKind::Certificate
        }
        _ => NetworkErrorKind::Tls,
    }
}

/// The error and all beneath it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| cause_of(*error))
}

/// The next error beneath. An I/O error hides what it wraps from `source`, so it is opened by hand.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
