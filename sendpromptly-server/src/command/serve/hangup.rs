//! SIGHUP: what was read from files at the start is read again, and nothing is interrupted.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{CommandError, https};
use crate::http::tls::Tls;
use crate::vault::Vault;

/// Reads the certificate, where there is one, and the master keys again at each SIGHUP, until the stop.
pub(super) fn listen(
    tls: Option<Tls>,
    vault: Vault,
    mut stop: watch::Receiver<()>,
) -> Result<(), CommandError> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => {
                    if let Some(tls) = &tls {
                        https::reload(tls.clone()).await;
                    }
                    reload_master_keys(&vault).await;
                }
                _ = stop.changed() => break,
            }
        }
    });
    Ok(())
}

async fn reload_master_keys(vault: &Vault) {
    match vault.reload_master_keys().await {
        Ok(kids) => tracing::info!(kids = kids.join(","), "SIGHUP: the master keys were read again"),
        Err(error) => tracing::error!(%error, "SIGHUP: the master keys stay as they were"),
    }
}
