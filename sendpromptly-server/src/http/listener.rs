//! Connections: accepted, bounded, timed, and ended in order.

#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Response;
use super::tls::Tls;

/// Bounds on what clients can hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. More wait to be accepted.
    pub connections: usize,
    /// How long the first request's head may take, counted from the connection.
    pub first_head: Duration,
    /// How long any head may take, and how long a kept connection may lie idle.
    pub head: Duration,
    /// How long requests under way get after a stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            first_head: Duration::from_secs(10),
            head: Duration::from_secs(30),
            drain: Duration::from_secs(8),
        }
    }
}

impl Limits {
    /// The same, with no more connections than there are files for them.
    #[must_use]
    pub fn within(self, files: u64) -> Self {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        Self {
            connections: self.connections.min(files.max(1)),
            ..self
        }
    }
}

/// The most bytes of a request's head, and the most headers.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 64;

/// Bytes of bodies that an HTTP/2 connection may send ahead of their being read: two of the largest.
const H2_WINDOW: u32 = 128 * 1024;

/// Answers requests that come over a listener, by TLS where it is given, until `stop` resolves; then requests
/// under way are finished.
pub async fn serve<S, F>(
    listener: TcpListener,
    tls: Option<Tls>,
    handler: S,
    stop: impl Future<Output = ()>,
    limits: Limits,
) where
    S: Fn(hyper::Request<Incoming>, SocketAddr) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let builder = Arc::new(connection_builder(limits));
    let acceptor = tls.map(|tls| tls.acceptor());
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.connections));
    // A change says that the stop has begun. Connections end when this sender goes: nothing else would end one
    // that outlasts the drain.
    let (held, stopping) = watch::channel(());
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let seen = Arc::new(AtomicBool::new(false));
        let service = {
            let (handler, seen) = (handler.clone(), seen.clone());
            service_fn(move |request| {
                seen.store(true, Ordering::Relaxed);
                // Boxed, for it is handed on several times before it begins.
                let answer = Box::pin(handler(request, peer));
                async move { Ok::<_, Infallible>(answer.await) }
            })
        };
        let (builder, acceptor, watcher) = (builder.clone(), acceptor.clone(), graceful.watcher());
        let (begun, mut cut_off) = (stopping.clone(), stopping.clone());
        let conversation = async move {
            let Some(acceptor) = acceptor else {
                return converse(&builder, stream, service, watcher).await;
            };
            // Apart, for a connection without TLS should not take its memory.
            let by_tls = async move {
                if let Some(stream) = shake_hands(acceptor, stream, begun).await {
                    converse(&builder, stream, service, watcher).await;
                }
            };
            Box::pin(by_tls).await;
        };
        tokio::spawn(async move {
            // The clock runs from the connection on, so a handshake that does not end is no way around it.
            let silent = async {
                tokio::time::sleep(limits.first_head).await;
                if seen.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = conversation => {}
                () = silent => {}
                () = gone(&mut cut_off) => {}
            }
            drop(place);
        });
    }
    drop(listener);
    let _ = held.send(());
    if tokio::time::timeout(limits.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("connections were cut off at the stop");
    }
    drop(held);
}

/// Answers the requests of one connection.
async fn converse<I, S>(builder: &Builder<TokioExecutor>, stream: I, service: S, watcher: Watcher)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<hyper::Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
        + Send
        + 'static,
{
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    // An error here is the client's: it broke off, or sent what is not HTTP.
    let _ = watcher.watch(connection.into_owned()).await;
}

/// Makes TLS of a connection; `None` where the client cannot, or the stop begins before it could.
async fn shake_hands(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    mut stopping: watch::Receiver<()>,
) -> Option<TlsStream<TcpStream>> {
    tokio::select! {
        shaken = acceptor.accept(stream) => match shaken {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        },
        _ = stopping.changed() => None,
    }
}

/// Waits until the sender is gone.
async fn gone(held: &mut watch::Receiver<()>) {
    while held.changed().await.is_ok() {}
}

fn connection_builder(limits: Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(H2_WINDOW / 2)
        .initial_connection_window_size(H2_WINDOW)
        .max_header_list_size(MAX_HEAD as u32)
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.head);
    builder
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<(TcpStream, SocketAddr, Place)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, peer, place))
        }
        Err(error) => {
            // Out of file descriptors, most likely: going on at once would only spin.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
