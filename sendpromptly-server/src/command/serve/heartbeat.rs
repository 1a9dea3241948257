//! The dead man's switch: a monitor elsewhere is called for as long as this server is ready. When the calls stop, the
//! monitor wakes somebody, whatever has become of the server, its machine or its network.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CommandError;
use crate::api::Readiness;
use crate::callback::{CallOutcome, CallbackClient, ClientConfig, RepairUrl};
use crate::config::WatchConfig;

/// How long a call may take: it must be over before the next.
const PATIENCE: Duration = Duration::from_secs(10);

/// Calls the monitor until the stop, where one is named.
pub(super) fn start(
    config: &WatchConfig,
    readiness: Readiness,
    mut stop: watch::Receiver<()>,
) -> Result<Option<JoinHandle<()>>, CommandError> {
    let Some(url) = config.heartbeat_url.clone() else {
        return Ok(None);
    };
    let client = ClientConfig {
        total_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..ClientConfig::new(WatchConfig::heartbeat_policy())
    };
    let client = CallbackClient::new(client).map_err(|error| CommandError::Usage(error.to_string()))?;
    let mut ticks = tokio::time::interval(config.heartbeat_interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pulse = Pulse {
        client,
        url,
        failing: false,
    };
    Ok(Some(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.changed() => return,
            }
            pulse.beat(&readiness, stop.clone()).await;
        }
    })))
}

struct Pulse {
    client: CallbackClient,
    url: RepairUrl,
    failing: bool,
}

impl Pulse {
    /// Calls once if the server is ready. The stop is a receiver of its own: what a call has seen of it, the loop sees too.
    async fn beat(&mut self, readiness: &Readiness, mut stop: watch::Receiver<()>) {
        let waiting_for = readiness.waiting_for().await;
        if !waiting_for.is_empty() {
            tracing::warn!(
                ?waiting_for,
                "not ready, so the monitor of --heartbeat-url is not called"
            );
            return;
        }
        let cut = async {
            let _ = stop.changed().await;
        };
        self.send(cut).await;
    }

    /// Calls once. What goes wrong is logged when it begins and when it is over; the URL's path is a secret.
    async fn send(&mut self, cut: impl Future<Output = ()>) {
        let monitor = self.url.origin();
        match self.client.call(&self.url, Vec::new(), Bytes::new(), cut).await {
            CallOutcome::CutOff => {}
            CallOutcome::Answered {
                status: 200..=299, ..
            } => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(%monitor, "the monitor of --heartbeat-url answers again");
                }
            }
            outcome if self.failing => {
                tracing::debug!(%monitor, ?outcome, "the monitor still does not answer")
            }
            CallOutcome::Answered { status, .. } => self.fails(&format!("it answered {status}")),
            CallOutcome::NetworkError { kind, .. } => self.fails(&kind.to_string()),
            CallOutcome::Refused { reason } => self.fails(&reason.to_string()),
        }
    }

    fn fails(&mut self, why: &str) {
        self.failing = true;
        tracing::warn!(monitor = %self.url.origin(), why, "the monitor of --heartbeat-url could not be called");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::net::TcpListener;

    use super::*;

    /// How often the server is asked before it is ready.
    const NOT_READY: usize = 5;

    #[tokio::test]
    async fn nobody_is_called_while_the_server_is_not_ready() {
        let monitor = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ping", monitor.local_addr().unwrap());
        let config = WatchConfig {
            metrics_listen: None,
            heartbeat_url: Some(RepairUrl::parse(&url, &WatchConfig::heartbeat_policy()).unwrap()),
            heartbeat_interval: Duration::from_millis(1),
        };
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let readiness = Readiness::new(move || {
            let before = count.fetch_add(1, Ordering::SeqCst);
            let waiting_for = (before < NOT_READY).then_some("store");
            std::future::ready(Vec::from_iter(waiting_for)).boxed()
        });
        let (stop, stopped) = watch::channel(());
        let task = start(&config, readiness, stopped).unwrap().unwrap();
        // The first call, and the monitor never answers it.
        let _call = monitor.accept().await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), NOT_READY + 1);
        stop.send(()).unwrap();
        task.await.unwrap();
    }
}
