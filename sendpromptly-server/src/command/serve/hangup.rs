//! SIGHUP: what was read from files at the start is read again, and nothing is interrupted.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::https;
use crate::http::tls::Tls;
use crate::vault::Vault;

/// The signals, which end the program no more from when they are listened for.
#[derive(Debug)]
pub(super) struct Hangups(Signal);

impl Hangups {
    pub(super) fn listen() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Reads the certificate, where there is one, and the master keys again at each of them.
    pub(super) async fn answer(mut self, tls: Option<Tls>, vault: Vault) {
        while let Some(()) = self.0.recv().await {
            if let Some(tls) = &tls {
                https::reload(tls.clone()).await;
            }
            reload_master_keys(&vault).await;
        }
    }
}

async fn reload_master_keys(vault: &Vault) {
    match vault.reload_master_keys().await {
        Ok(kids) => tracing::info!(kids = kids.join(","), "SIGHUP: the master keys were read again"),
        Err(error) => tracing::error!(%error, "SIGHUP: the master keys stay as they were"),
    }
}
