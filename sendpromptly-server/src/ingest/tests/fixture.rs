//! Where the tests of a committer begin: a store, a project, and what is sent for it.

use super::*;
use crate::testing::World;

pub(super) struct Fixture {
    pub(super) ingest: Ingest,
    pub(super) store: Store,
    pub(super) project: KeyHolder,
    _directory: tempfile::TempDir,
}

impl Fixture {
    pub(super) async fn set_up() -> Self {
        Self::with_connections(8).await
    }

    pub(super) async fn with_connections(connections: u32) -> Self {
        Self::start(connections, None).await
    }

    /// With one connection, and one more that is the committers' alone.
    pub(super) async fn with_one_reserved() -> Self {
        Self::start(1, Some(1)).await
    }

    async fn start(connections: u32, reserved: Option<u32>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = match std::env::var("SENDPROMPTLY_TEST_POSTGRES") {
            Ok(url) => url.parse().unwrap(),
            Err(_) => DatabaseUrl::Sqlite(directory.path().join("test.db")),
        };
        let mut store = Store::open(&url, StoreRole::Serve, connections).await.unwrap();
        if let Some(reserved) = reserved {
            store.reserve_for_commits(&url, reserved).await.unwrap();
        }
        let project = ProjectId::new(NOW, entropy::for_id());
        let organization = OrganizationId::new(NOW, entropy::for_id());
        Self::over(store, project, organization, directory)
    }

    /// Over a store of its own.
    pub(super) fn of(world: &World) -> Self {
        let (store, directory) = (world.store.clone(), tempfile::tempdir().unwrap());
        Self::over(store, world.project, world.organization, directory)
    }

    fn over(
        store: Store,
        project: ProjectId,
        organization: OrganizationId,
        directory: tempfile::TempDir,
    ) -> Self {
        let (ingest, _) = Ingest::start(&store.for_commits(), 2, &Default::default());
        let project = KeyHolder {
            key_id: KeyId::new(NOW, entropy::for_id()),
            project,
            organization,
            timeout_minutes: 30,
            snapshots: None,
            plan: Plan {
                made_at: NOW,
                status: None,
                past_due_since: None,
            },
        };
        Self {
            ingest,
            store,
            project,
            _directory: directory,
        }
    }

    pub(super) async fn send(&self, key: &str, signal: Signal) -> Result<Accepted, IngestError> {
        self.send_at(key, signal, NOW).await
    }

    pub(super) async fn send_at(
        &self,
        key: &str,
        signal: Signal,
        now: Timestamp,
    ) -> Result<Accepted, IngestError> {
        let endpoint = match &signal {
            Signal::Receipt(_) => Endpoint::Receipt,
            Signal::Result(_) => Endpoint::Result,
        };
        // An event's id is new each time, and no part of what was asked.
        let said = match &signal {
            Signal::Receipt(new) => format!("{:?}", new.receipt),
            Signal::Result(report) => format!("{report:?}"),
        };
        let fingerprint = Fingerprint::of(endpoint, said.as_bytes());
        let key = IdempotencyKey::parse(key.as_bytes()).unwrap();
        let project = self.project;
        let request = IngestRequest {
            project,
            origin_address: None,
            key,
            fingerprint,
            received_at: now,
            signal,
        };
        self.ingest.submit(request).await
    }
}

pub(super) fn receipt(provider_event_id: &str) -> Signal {
    let receipt = Receipt {
        provider: Provider::Stripe,
        provider_event_id: provider_event_id.to_owned(),
        event_type: "invoice.paid".to_owned(),
        effect_type: EffectType::AccessUnlock,
        internal_reference: "customer-7".to_owned(),
        occurred_at: NOW,
        shop_domain: None,
        resource: None,
        timeout_minutes: None,
        payload: None,
    };
    Signal::Receipt(NewReceipt::new(receipt, NOW))
}

pub(super) fn result(provider_event_id: &str, effect: Effect) -> Signal {
    Signal::Result(report(provider_event_id, effect))
}

pub(super) fn report(provider_event_id: &str, effect: Effect) -> ResultReport {
    ResultReport {
        event_id: None,
        provider_event_id: Some(provider_event_id.to_owned()),
        stripe_event_id: None,
        provider: None,
        effect,
        error_code: None,
        error_message: None,
        replay_id: None,
    }
}
