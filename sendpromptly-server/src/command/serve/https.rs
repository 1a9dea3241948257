//! HTTPS of the server's own: its certificate, read again when asked, and plain HTTP that is sent on to it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CommandError;
use crate::config::HttpConfig;
use crate::http::listener::{self, Limits};
use crate::http::tls::{Tls, TlsError};
use crate::redirect::{Redirect, Target};
use crate::store::Store;

/// Connections at once of plain HTTP that is sent on. They are short.
const REDIRECTED: usize = 512;

impl From<TlsError> for CommandError {
    fn from(error: TlsError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// How many files the connections of plain HTTP may take beside all others.
pub(super) fn files(config: &HttpConfig) -> u64 {
    let redirects = config
        .tls
        .as_ref()
        .is_some_and(|tls| tls.redirect_listen.is_some());
    if redirects { REDIRECTED as u64 } else { 0 }
}

/// Reads certificate and key where HTTPS is asked for.
pub(super) fn open(config: &HttpConfig) -> Result<Option<Tls>, CommandError> {
    let files = config.tls.as_ref().map(|tls| tls.files.clone());
    Ok(files.map(Tls::open).transpose()?)
}

/// Reads certificate and key again.
pub(super) async fn reload(tls: Tls) {
    let certificate = tls.files().certificate.display().to_string();
    let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await;
    match reloaded {
        Ok(Ok(())) => {
            tracing::info!(%certificate, "SIGHUP: new connections get the certificate as it is now")
        }
        Ok(Err(error)) => tracing::error!(%error, "SIGHUP: the certificate stays as it was"),
        Err(error) => tracing::error!(%error, "SIGHUP: the certificate was not read"),
    }
}

/// Sends plain HTTP on to the address where HTTPS is spoken, where that is asked for.
pub(super) async fn redirect(
    config: &HttpConfig,
    https: SocketAddr,
    store: &Store,
    mut stop: watch::Receiver<()>,
    limits: Limits,
) -> Result<Option<JoinHandle<()>>, CommandError> {
    let Some(plain) = config.tls.as_ref().and_then(|tls| tls.redirect_listen) else {
        return Ok(None);
    };
    let listener = super::listen(plain).await?;
    let address = listener.local_addr()?;
    let target = Target::new(config.public_url.as_deref(), https.port());
    let redirect = Arc::new(Redirect::new(
        target,
        config.trusted_proxies.clone(),
        store.clone(),
    ));
    tracing::info!(%address, "plain HTTP is sent on to HTTPS");
    let limits = Limits {
        connections: limits.connections.min(REDIRECTED),
        ..limits
    };
    let served = listener::serve(
        listener,
        None,
        move |request, peer| redirect.clone().answer(request, peer),
        async move {
            let _ = stop.changed().await;
        },
        limits,
    );
    Ok(Some(tokio::spawn(served)))
}
