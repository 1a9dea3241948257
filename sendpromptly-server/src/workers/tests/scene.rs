//! Where the workers' tests begin: a project whose calls go to an endpoint on loopback.

use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::id::{EventId, ProjectId, ReplayId};
use sendpromptly_core::replay::ReplayState;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::super::*;
use crate::callback::ClientConfig;
use crate::config::{KeyConfig, MailConfig};
use crate::platform;
use crate::store::cases::StoredCase;
use crate::store::rows::Sql;
use crate::testing::World;

/// A world whose project is called at this endpoint, with its workers' parts.
pub(in crate::workers) struct Scene {
    pub(in crate::workers) world: World,
    pub(in crate::workers) vault: Vault,
    pub(super) secret: SigningSecret,
    pub(super) keys: KeyConfig,
    pub(super) endpoint: TcpListener,
}

impl Scene {
    pub(in crate::workers) async fn set_up() -> Self {
        let world = World::set_up().await;
        let keys = world.keys();
        let vault = Vault::open(&world.store, &keys).await.unwrap();
        let secret = add_secret(&world, &vault, world.project).await;
        let endpoint = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/repair", endpoint.local_addr().unwrap());
        let change = Sql::new("UPDATE projects SET repair_url = {}").bind(url);
        world.write(change).await;
        Self {
            world,
            vault,
            secret,
            keys,
            endpoint,
        }
    }

    /// What alerts are sent with.
    pub(in crate::workers) fn sender(&self, policy: &AddressPolicy) -> Sender {
        let mail = MailConfig {
            smtp: None,
            from: "us@example.com".parse().unwrap(),
        };
        Sender {
            client: CallbackClient::new(ClientConfig::new(policy.clone())).unwrap(),
            policy: policy.clone(),
            transport: Transport::new(&mail, self.world.directory.path()).unwrap(),
            base_url: "http://127.0.0.1:9".into(),
        }
    }

    pub(super) fn start(&self, policy: &AddressPolicy) -> Workers {
        let alerts = self.sender(policy);
        Workers::start(WorkerContext {
            store: self.world.store.clone(),
            vault: self.vault.clone(),
            client: alerts.client.clone(),
            policy: policy.clone(),
            checkpoints: Arc::new(Checkpoints::open(&self.keys).unwrap()),
            schedule: RetrySchedule::default(),
            post: Post::new(self.vault.clone(), "http://127.0.0.1:9", Arc::default()),
            transport: alerts.transport.clone(),
            alerts,
            stripe: None,
            metrics: Arc::new(Metrics::new("sqlite")),
            grace: None,
            sweep_interval: Duration::from_millis(10),
        })
    }

    /// What calls need, where no worker runs.
    pub(super) fn calls(&self) -> Arc<Calls> {
        let (ends, _) = mpsc::channel(SLOTS);
        Arc::new(Calls {
            store: self.world.store.clone(),
            vault: self.vault.clone(),
            client: CallbackClient::new(ClientConfig::new(development())).unwrap(),
            policy: development(),
            schedule: Arc::default(),
            interval: Duration::from_millis(10),
            slots: Arc::new(Semaphore::new(SLOTS)),
            ends,
            metrics: Default::default(),
            wake: Arc::default(),
            took_over: AtomicBool::new(false),
        })
    }

    pub(super) async fn order(&self) -> (EventId, ReplayId) {
        let (event, incident) = self.world.failed_event("evt_1").await;
        let now = platform::clock::now();
        let project = self.world.project;
        let replay = self.world.reprocess_of(project, incident, None, false, now).await;
        (event, replay.unwrap())
    }

    /// Waits until the event's case is as wanted.
    pub(super) async fn until(&self, event: EventId, wanted: impl Fn(&StoredCase) -> bool) -> StoredCase {
        loop {
            let case = self.world.case(event).await;
            if wanted(&case) {
                return case;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn until_replay_is(&self, event: EventId, state: ReplayState) -> StoredCase {
        let is = |case: &StoredCase| {
            case.case
                .replays
                .last()
                .is_some_and(|replay| replay.state == state)
        };
        self.until(event, is).await
    }

    /// Takes the next call: its request, and where the answer goes.
    pub(super) async fn call(&self) -> (String, TcpStream) {
        let (mut stream, _) = self.endpoint.accept().await.unwrap();
        let mut bytes = Vec::new();
        loop {
            stream.read_buf(&mut bytes).await.unwrap();
            let text = String::from_utf8_lossy(&bytes);
            if text.ends_with("\"}") || text.ends_with("\"}}") {
                return (text.into_owned(), stream);
            }
        }
    }
}

/// Gives a project a secret to sign with.
pub(super) async fn add_secret(world: &World, vault: &Vault, project: ProjectId) -> SigningSecret {
    let (secret, stored) = vault.new_secret(project, platform::clock::now()).await.unwrap();
    let insert =
        Sql::new("INSERT INTO signing_secrets (id, project_id, sealed, created_at) VALUES ({}, {}, {}, 0)");
    let insert = insert
        .bind(stored.id)
        .bind(project.as_bytes())
        .bind(stored.sealed);
    world.write(insert).await;
    secret
}

pub(in crate::workers) fn development() -> AddressPolicy {
    AddressPolicy {
        allow_private: true,
        ..AddressPolicy::default()
    }
}
