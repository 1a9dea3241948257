//! Pages that tell why something was not done.

use std::time::Duration;

use askama::Template;
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use sendpromptly_core::id::RequestId;

use super::page::{self, Frame};
use crate::account::hasher::{BUSY_FOR, HashError};
use crate::account::passwords::CheckError;
use crate::checkpoints::CheckpointError;
use crate::http::{ApiError, Response};
use crate::store::StoreError;
use crate::vault::VaultError;

/// Why a page cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// There is no such page, or it is not the visitor's to know of.
    #[error(
        "There is nothing here. It may have been removed, or belong to an organization that you are not a member of."
    )]
    NotFound,
    /// The role does not allow it.
    #[error("Your role does not allow this. An admin or owner of the organization can change it.")]
    Forbidden,
    /// The trial or subscription is over, and this is no part of what is left.
    #[error(
        "The organization's trial or subscription has ended, so this was not done. Everything can still be read and exported, access can be taken away and data deleted; an owner can subscribe under Billing."
    )]
    SubscriptionRequired,
    /// The form is not of this browser, or too old.
    #[error("This form is no longer good. Go back, reload the page and send it again.")]
    Form,
    /// The form was sent before.
    #[error(
        "This form was sent already, so what it asked for may have been done. Go back and reload the page to see."
    )]
    SentAlready,
    /// Another site has sent the form.
    #[error("This came from another site and was not done.")]
    ForeignSite,
    /// The connection is not safe for a sign-in.
    #[error(
        "The console needs https. Turn TLS on with --tls-cert and --tls-key, or name the proxy before this server with --trusted-proxy."
    )]
    Insecure,
    /// Another audit key has signed the newest checkpoint: what this one signs would prove nothing to whoever has that one's
    /// public half.
    #[error(
        "The server has another audit key than the one that has signed the log so far, so an export would not verify. Whoever runs the server can put that key back, or vouch for it in audit.pub."
    )]
    ForeignAuditKey,
    /// Too many requests.
    #[error("Too many requests. Try again in a while.")]
    TooMany(Duration),
    /// Too many passwords wait to be checked.
    #[error("The server is busy at the moment. Nothing was changed. Try again in a few seconds.")]
    Busy(Duration),
    /// What HTTP or the API's rules refuse.
    #[error("{0}")]
    Http(ApiError),
    /// The store is down or too slow.
    #[error("The server cannot reach its database at the moment. Nothing was changed. Try again in a while.")]
    Unavailable,
    /// The store broke off before it told whether a change was made.
    #[error(
        "The connection to the database broke, so it is not known whether this was done. Go back and reload the page to see before you try again."
    )]
    OutcomeUnknown,
    /// A fault of ours; the text is for the log.
    #[error("Something went wrong on our side.")]
    Internal(String),
}

impl PageError {
    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::Form | Self::ForeignSite | Self::Insecure => StatusCode::FORBIDDEN,
            Self::SubscriptionRequired => StatusCode::PAYMENT_REQUIRED,
            Self::SentAlready | Self::ForeignAuditKey => StatusCode::CONFLICT,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Http(error) => error.status_and_code().0,
            Self::Unavailable | Self::OutcomeUnknown | Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The same where nothing was asked of the store but to read.
    #[must_use]
    pub fn of_reading(self) -> Self {
        match self {
            Self::OutcomeUnknown => Self::Unavailable,
            other => other,
        }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        if !error.is_passing() {
            return Self::Internal(error.to_string());
        }
        tracing::warn!(%error, "the console cannot reach the store");
        match error {
            StoreError::Broken(_) => Self::OutcomeUnknown,
            _ => Self::Unavailable,
        }
    }
}

impl From<VaultError> for PageError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<CheckpointError> for PageError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Store(error) => error.into(),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<HashError> for PageError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy(BUSY_FOR),
            HashError::Failed => Self::Internal(error.to_string()),
        }
    }
}

impl From<CheckError> for PageError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Hash(error) => error.into(),
            CheckError::Store(error) => error.into(),
        }
    }
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::NotFound => Self::NotFound,
            ApiError::Unavailable => Self::Unavailable,
            ApiError::RateLimited(wait) => Self::TooMany(wait),
            ApiError::Internal => Self::Internal("a handler panicked".to_owned()),
            error => Self::Http(error),
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    message: String,
    request: String,
}

/// The page that tells of an error. Faults of ours are logged with the request's id.
#[must_use]
pub fn page_of(error: &PageError, id: RequestId) -> Response {
    if let PageError::Internal(why) = error {
        tracing::error!(%id, why, "a page could not be made");
    }
    let status = error.status();
    let shown = ErrorPage {
        frame: Frame::new(status.canonical_reason().unwrap_or("Error"), String::new()),
        message: error.to_string(),
        request: id.to_string(),
    };
    let mut response = page::with_status(status, &shown).unwrap_or_else(|_| page::bare(status));
    if let PageError::TooMany(wait) | PageError::Busy(wait) = error {
        let seconds = HeaderValue::from(wait.as_secs() + 1);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    if matches!(error, PageError::Unavailable) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_of_unknown_outcome_is_not_told_as_nothing_done() {
        let error = PageError::from(StoreError::Broken(String::new()));
        assert_eq!(
            (&error, error.status().as_u16()),
            (&PageError::OutcomeUnknown, 503)
        );
        assert!(!error.to_string().contains("Nothing was changed"));
        assert_eq!(error.of_reading(), PageError::Unavailable);
        let error = PageError::from(StoreError::Unavailable(String::new()));
        assert_eq!(error, PageError::Unavailable);
    }
}
