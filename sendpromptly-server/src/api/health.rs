//! Whether this process can do its work.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use hyper::StatusCode;

use crate::http::response::{self, Response};

/// Asks each part whether it is ready; gives the names of those that are not.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> BoxFuture<'static, Vec<&'static str>> + Send + Sync>);

impl Readiness {
    /// Readiness by this question.
    pub fn new(ask: impl Fn() -> BoxFuture<'static, Vec<&'static str>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// The names of the parts that are not ready.
    pub async fn waiting_for(&self) -> Vec<&'static str> {
        (self.0)().await
    }

    pub(super) async fn answer(&self) -> Response {
        let missing = self.waiting_for().await;
        if missing.is_empty() {
            return response::json(StatusCode::OK, r#"{"status":"ready"}"#);
        }
        let names = missing
            .iter()
            .map(|name| format!("{name:?}"))
            .collect::<Vec<_>>()
            .join(",");
        let body = format!(r#"{{"status":"not ready","waiting_for":[{names}]}}"#);
        response::json(StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Readiness(..)")
    }
}
