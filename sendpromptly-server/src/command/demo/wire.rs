//! Plain HTTP over loopback: how the demo's peers speak to each other.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::command::CommandError;

/// What a peer answered.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// Sends a `POST` with JSON and waits for the answer.
pub(super) async fn post(url: &str, headers: HeaderMap, body: Bytes) -> Result<Reply, CommandError> {
    let mut request = Request::builder().method(Method::POST).uri(url);
    if let Some(known) = request.headers_mut() {
        known.extend(headers);
        known.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let request = request.body(Full::new(body)).map_err(CommandError::refused)?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.map_err(CommandError::refused)?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(CommandError::refused)?;
    Ok(Reply {
        status,
        body: body.to_bytes(),
    })
}
