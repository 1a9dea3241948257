//! What an endpoint answers, and what SendPromptly makes of it.

use crate::error::VerifyError;
use crate::replay::StoreError;
use crate::signature::RESULT_HEADER;

/// The answer to a callback: a status and up to two headers, with the reason for them.
///
/// With the feature `http` it turns into an `http::Response` with an empty body, with `axum` it is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Answer {
    /// 200, result `success`: the effect has been applied.
    #[error("applied")]
    Applied,
    /// 200, result `success`: it was applied when the callback came before, and nothing was done now.
    #[error("already applied")]
    AlreadyApplied,
    /// 200, without a result: a test callback that was verified. There is nothing to apply.
    #[error("a test callback")]
    Tested,
    /// 200, result `failed`: the effect can't be applied. The incident opens again.
    #[error("failed")]
    Failed,
    /// 503: the effect has certainly not been applied; the callback comes again by the schedule.
    #[error("not applied; to be tried again")]
    NotApplied,
    /// 503: the same repair is being applied right now.
    #[error("being applied by another call")]
    Running,
    /// 503: the effect may or may not have been applied, since this Unix second. A person has to find out.
    #[error("in doubt since {since}")]
    InDoubt {
        /// When it was claimed, in Unix seconds.
        since: i64,
    },
    /// 503: the store of replays can't tell or keep what it must.
    #[error("{0}")]
    StoreFailed(StoreError),
    /// 401, or 503 where the memory of nonces is full.
    #[error("{0}")]
    Refused(VerifyError),
    /// 400: genuine, but its body can't be read. The replay halts, and the operator sees it.
    #[cfg(feature = "serde")]
    #[error("{0}")]
    Unreadable(crate::CallbackError),
}

impl Answer {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Applied | Self::AlreadyApplied | Self::Tested | Self::Failed => 200,
            Self::NotApplied | Self::Running | Self::InDoubt { .. } | Self::StoreFailed(_) => 503,
            Self::Refused(error) => error.status(),
            #[cfg(feature = "serde")]
            Self::Unreadable(_) => 400,
        }
    }

    /// The value of `X-SendPromptly-Result`, where the answer has one. An endpoint that sends its results to
    /// the API leaves the header out.
    #[must_use]
    pub const fn result(&self) -> Option<&'static str> {
        match self {
            Self::Applied | Self::AlreadyApplied => Some("success"),
            Self::Failed => Some("failed"),
            _ => None,
        }
    }

    /// The value of `Retry-After` in seconds, where the answer has one: each 503.
    #[must_use]
    pub const fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::InDoubt { .. } => Some("600"),
            _ if self.status() == 503 => Some("60"),
            _ => None,
        }
    }

    /// The headers to send: names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let result = self.result().map(|result| (RESULT_HEADER, result));
        let retry_after = self.retry_after().map(|seconds| ("retry-after", seconds));
        result.into_iter().chain(retry_after)
    }
}

impl From<VerifyError> for Answer {
    fn from(error: VerifyError) -> Self {
        Self::Refused(error)
    }
}

#[cfg(feature = "serde")]
impl From<crate::CallbackError> for Answer {
    fn from(error: crate::CallbackError) -> Self {
        Self::Unreadable(error)
    }
}

#[cfg(feature = "http")]
impl<B: Default> From<Answer> for http::Response<B> {
    fn from(answer: Answer) -> Self {
        let mut response = Self::new(B::default());
        *response.status_mut() =
            http::StatusCode::from_u16(answer.status()).unwrap_or(http::StatusCode::SERVICE_UNAVAILABLE);
        for (name, value) in answer.headers() {
            response
                .headers_mut()
                .insert(name, http::HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(feature = "axum")]
impl axum_core::response::IntoResponse for Answer {
    fn into_response(self) -> axum_core::response::Response {
        self.into()
    }
}
