//! `serve`: the API and its workers, from start to an orderly stop.

mod hangup;
mod heartbeat;
mod https;
mod metrics;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use hangup::Hangups;

use super::{CommandError, Context};
use crate::alerts::Sender;
use crate::api::{App, Readiness};
use crate::callback::{CallbackClient, ClientConfig};
use crate::checkpoints::Checkpoints;
use crate::config::{CallbackConfig, Config};
use crate::console::live::Live;
use crate::console::{Console, Setting};
use crate::http::listener::{self, Limits};
use crate::http::tls::Tls;
use crate::ingest::{Committers, Ingest};
use crate::mail::{Post, Transport};
use crate::metrics::Metrics;
use crate::platform::clock;
use crate::site::Site;
use crate::store::{Dialect, Store, StoreRole};
use crate::stripe::Billing;
use crate::workers::{Health, WorkerContext, Workers};

/// Connections to PostgreSQL beside those of the committers.
const CONNECTIONS: u32 = 8;

/// Connections that a committer uses at once: it asks two questions when it looks at what is stored.
const OF_A_COMMITTER: u32 = 2;

/// File descriptors for what is no client's connection.
const OWN_FILES: u64 = 256;

/// How long the store may take to say that it is there.
const ASK: Duration = Duration::from_secs(2);

/// How long what was accepted may take to be committed at a stop.
const COMMIT: Duration = Duration::from_secs(1);

/// How long a stop may take in all.
const STOP: Duration = Duration::from_millis(9_500);

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Store, vault and configuration.
    pub context: Context,
    /// Where it listens.
    pub address: SocketAddr,
    /// Signs checkpoints of the audit log.
    pub checkpoints: Arc<Checkpoints>,
    workers: Workers,
    committers: Committers,
    connections: JoinHandle<()>,
    /// What stands beside the API: plain HTTP that is sent on, metrics, the heartbeat.
    beside: Vec<JoinHandle<()>>,
    tls: Option<Tls>,
    live: Live,
    stop: watch::Sender<()>,
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// [`CommandError::Refused`] where the server cannot start, or could not stop in order.
pub async fn run(config: Config) -> Result<(), CommandError> {
    let mut signals = Signals::listen()?;
    let hangups = Hangups::listen()?;
    let server = tokio::select! {
        started = Server::start(config) => started?,
        // A step of the schema that is under way is undone.
        name = signals.next() => {
            tracing::info!("{name}: ended before it served");
            return Ok(());
        }
    };
    let vault = server.context.vault().await?.clone();
    tokio::spawn(hangups.answer(server.tls.clone(), vault));
    let name = signals.next().await;
    tracing::info!("{name}: stopping; a second signal ends at once");
    tokio::spawn(async move {
        signals.next().await;
        std::process::exit(1);
    });
    match tokio::time::timeout(STOP, server.stop()).await {
        Ok(stopped) => stopped?,
        Err(_) => {
            return Err(CommandError::refused(
                "the stop took too long and was cut short; what was accepted is stored, calls under way are taken up \
                 again at the next start",
            ));
        }
    }
    tracing::info!("stopped");
    Ok(())
}

impl Server {
    /// Opens the store, brings it up to date, and starts everything.
    ///
    /// # Errors
    /// [`CommandError::Refused`] where a part of it cannot start.
    pub async fn start(config: Config) -> Result<Self, CommandError> {
        let files = raise_file_limit().saturating_sub(https::files(&config.http));
        let limits = Limits::default().within(files);
        let tls = https::open(&config.http)?;
        if config.callbacks.policy.allow_private {
            tracing::warn!(
                "--allow-private-callbacks is on: callbacks may reach any address, without https. \
                 It is for development only"
            );
        }
        let of_committers = OF_A_COMMITTER * config.work.committers;
        let mut context = Context::open_with(config, StoreRole::Serve, CONNECTIONS).await?;
        let database = &context.config.storage.database;
        context.store.reserve_for_commits(database, of_committers).await?;
        let checkpoints = Arc::new(Checkpoints::open(&context.config.keys)?);
        let strangers = [
            checkpoints.stranger().await?,
            checkpoints.stranger_to(&context.store).await?,
        ];
        for stranger in strangers.iter().flatten() {
            tracing::error!("{stranger}");
        }
        let config = &context.config;
        let billing = config.billing.as_ref().map(Billing::of).transpose();
        let billing = billing.map_err(|error| CommandError::Usage(error.to_string()))?;
        let listener = listen(config.http.listen).await?;
        let address = listener.local_addr()?;
        let vault = context.vault().await?.clone();
        let post = Post::new(vault, &config.http.base_url(address), Arc::default());
        let metrics = Arc::new(Metrics::new(context.store.dialect().name()));
        let alerts = alert_sender(config, post.base_url())?;
        let workers = Workers::start(WorkerContext {
            post: post.clone(),
            transport: alerts.transport.clone(),
            alerts: alerts.clone(),
            store: context.store.clone(),
            vault: context.vault().await?.clone(),
            client: alerts.client.clone(),
            policy: config.callbacks.policy.clone(),
            checkpoints: checkpoints.clone(),
            schedule: config.callbacks.schedule.clone(),
            stripe: billing.as_ref().and_then(|billing| billing.client.clone()),
            metrics: metrics.clone(),
            grace: billing.as_ref().map(|billing| billing.grace),
            sweep_interval: config.work.sweep_interval,
        });
        let committers = committers(config, &context.store);
        let (ingest, committers) = Ingest::start(&context.store.for_commits(), committers, &metrics.commits);
        let queue = ingest.queue();
        let readiness = readiness(context.store.clone(), workers.health());
        let app = App::new(
            context.store.clone(),
            context.vault().await?.clone(),
            ingest,
            config.http.rate_limit,
            readiness.clone(),
            config.http.public_url.clone(),
        )
        .with_billing(billing.clone(), metrics.stripe.clone());
        let console = Console::new(Setting {
            store: context.store.clone(),
            vault: context.vault().await?.clone(),
            checkpoints: checkpoints.clone(),
            callbacks: alerts.client.clone(),
            alerts,
            policy: config.callbacks.policy.clone(),
            schedule: config.callbacks.schedule.clone(),
            base_url: config.http.base_url(address),
            post,
            mail_goes_to_files: config.mail.smtp.is_none(),
            sign_up: config.sign_up,
            billing,
        });
        let (stop, mut stopped) = watch::channel(());
        let store = &context.store;
        let redirect = https::redirect(&config.http, address, store, stopped.clone(), limits).await?;
        let live = console.live.clone();
        let site = Arc::new(Site::new(
            app,
            console,
            config.http.trusted_proxies.clone(),
            metrics.requests.clone(),
            config.log.requests,
        ));
        tokio::spawn(tidy(Arc::downgrade(&site)));
        let mut beside = Vec::from_iter(redirect);
        beside.extend(heartbeat::start(&config.watch, readiness, stopped.clone())?);
        if let Some(address) = config.watch.metrics_listen {
            let scraped = metrics::Scraped {
                metrics,
                health: workers.health(),
                queue,
                tls: tls.clone(),
            };
            beside.push(metrics::serve(address, scraped, stopped.clone()).await?);
        }
        let secure = tls.is_some();
        let connections = tokio::spawn(listener::serve(
            listener,
            tls.clone(),
            move |request, peer| site.clone().answer(request, peer, secure),
            async move {
                let _ = stopped.changed().await;
            },
            limits,
        ));
        tracing::info!(
            %address,
            database = %context.config.storage.database,
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        Ok(Self {
            context,
            address,
            checkpoints,
            workers,
            committers,
            connections,
            beside,
            tls,
            live,
            stop,
        })
    }

    /// Takes no more connections and makes no more calls, commits what was accepted and what calls came to,
    /// signs a last checkpoint, and closes the store.
    ///
    /// # Errors
    /// [`CommandError::Refused`] where the last checkpoint was not written or the store not closed in order.
    pub async fn stop(self) -> Result<(), CommandError> {
        let _ = self.stop.send(());
        let others = async {
            for task in self.beside {
                let _ = task.await;
            }
        };
        self.live.close();
        let accepted = async {
            let _ = self.connections.await;
            let committed = tokio::time::timeout(COMMIT, self.committers.finish());
            if committed.await.is_err() {
                tracing::warn!(
                    "requests were still waiting for the store at the stop; they were not accepted"
                );
            }
        };
        tokio::join!(accepted, others, self.workers.stop());
        let checkpointed = self
            .checkpoints
            .append_due(&self.context.store, clock::now())
            .await;
        self.context.close().await?;
        checkpointed?;
        Ok(())
    }
}

/// Sends alerts, by the same client and the same way of mail as all else that leaves.
pub(super) fn alert_sender(config: &Config, base_url: &str) -> Result<Sender, CommandError> {
    Ok(Sender {
        client: callback_client(&config.callbacks)?,
        policy: config.callbacks.policy.clone(),
        transport: transport(config)?,
        base_url: base_url.into(),
    })
}

/// How mail leaves; what is written to files instead is said.
fn transport(config: &Config) -> Result<Transport, CommandError> {
    let transport = Transport::new(&config.mail, &config.storage.data_dir);
    let transport = transport.map_err(|error| CommandError::Usage(format!("--smtp-url: {error}")))?;
    if let Some(directory) = transport.directory() {
        tracing::warn!(
            directory = %directory.display(),
            "no --smtp-url is given: mail is not sent, but written to files. It is for development only"
        );
    }
    Ok(transport)
}

/// Keeps the site's memory small for as long as there is a site.
async fn tidy(site: Weak<Site>) {
    let mut hours = tokio::time::interval(Duration::from_secs(3_600));
    loop {
        hours.tick().await;
        let Some(site) = site.upgrade() else { break };
        site.tidy();
    }
}

fn committers(config: &Config, store: &Store) -> usize {
    match store.dialect() {
        Dialect::Sqlite => 1, // its writers take turns anyway
        Dialect::Postgres => config.work.committers as usize,
    }
}

pub(super) fn callback_client(config: &CallbackConfig) -> Result<CallbackClient, CommandError> {
    let extra_root_ca_pem = match &config.ca {
        Some(path) => Some(
            std::fs::read(path)
                .map_err(|error| CommandError::Usage(format!("--callback-ca {}: {error}", path.display())))?,
        ),
        None => None,
    };
    let config = ClientConfig {
        extra_root_ca_pem,
        ..ClientConfig::new(config.policy.clone())
    };
    CallbackClient::new(config).map_err(|error| CommandError::Usage(error.to_string()))
}

fn readiness(store: Store, health: Health) -> Readiness {
    Readiness::new(move || {
        let store = store.clone();
        let mut waiting_for = health.stalled();
        async move {
            match tokio::time::timeout(ASK, store.ready()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "not ready");
                    waiting_for.push("store");
                }
                Err(_) => waiting_for.push("store"),
            }
            waiting_for
        }
        .boxed()
    })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| CommandError::refused(format_args!("cannot listen on {address}: {error}")))
}

/// Each connection is a file; the usual soft limit of 1,024 of them is too low. Gives the limit there is.
fn raise_file_limit() -> u64 {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    limit.saturating_sub(OWN_FILES)
}

/// The signals that ask for a stop.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, CommandError> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The name of the next one.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
