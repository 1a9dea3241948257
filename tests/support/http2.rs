//! An HTTP/2 client on one connection, in clear text (prior knowledge) or over what is given.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::http::Answer;

/// A connection on which many requests run at once.
#[derive(Debug, Clone)]
pub struct Http2(SendRequest<Full<Bytes>>);

impl Http2 {
    /// Connects.
    pub async fn open(server: SocketAddr) -> Self {
        Self::over(TcpStream::connect(server).await.unwrap()).await
    }

    /// One over a stream that is there.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends a request and reads its answer.
    pub async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut request = hyper::Request::post(format!("http://localhost{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let (head, body) = self.0.send_request(request).await.unwrap().into_parts();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: head.status.as_u16(),
            headers,
            body,
        }
    }
}
