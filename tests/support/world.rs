//! A server with one organization and one project: where most tests begin.

use serde_json::Value;

use crate::api::Api;
use crate::bodies::{receipt, unique, with};
use crate::command::{Cli, Project};
use crate::endpoint::Endpoint;
use crate::server::{Options, Server};
use crate::sql::Sql;
use crate::store::{StoreKind, TestStore};
use crate::wait::eventually;

/// Everything that a test needs.
#[derive(Debug)]
pub struct World {
    /// Where the data is.
    pub store: TestStore,
    /// The server.
    pub server: Server,
    /// Commands beside it.
    pub cli: Cli,
    /// The organization's id.
    pub organization: String,
    /// Its project.
    pub project: Project,
}

impl World {
    /// One whose project has no repair URL.
    pub async fn start(kind: StoreKind) -> Self {
        Self::start_with(kind, &Options::quick(), &[]).await
    }

    /// One whose project has this repair endpoint.
    pub async fn start_calling(kind: StoreKind, endpoint: &Endpoint) -> Self {
        Self::start_with(kind, &Options::quick(), &["--repair-url", &endpoint.url()]).await
    }

    /// One with these options of `serve` and of `project create`.
    pub async fn start_with(kind: StoreKind, options: &Options, project: &[&str]) -> Self {
        Self::start_on(TestStore::new(kind).await, options, project).await
    }

    /// The same on a store that is there already.
    pub async fn start_on(store: TestStore, options: &Options, project: &[&str]) -> Self {
        let cli = Cli::on(&store);
        let server = Server::start(&store, options).await;
        let organization = cli.create_organization("acme").await;
        let project = cli.create_project(&organization, project).await;
        Self {
            store,
            server,
            cli,
            organization,
            project,
        }
    }

    /// Starts a server in place of the one that has ended.
    pub async fn restart(&mut self, options: &Options) {
        self.server = Server::start(&self.store, options).await;
    }

    /// Starts a second server on the same store, with a data directory of its own and the first one's master
    /// and audit keys.
    pub async fn start_second_node(&self, options: &Options) -> Server {
        let directory = self.store.directory().join("second");
        std::fs::create_dir(&directory).unwrap();
        let key = |name: &str| self.store.data_dir().join(name).to_str().unwrap().to_owned();
        let options = options
            .clone()
            .set("--master-key-file", key("master.key"))
            .set("--audit-key-file", key("audit.key"));
        Server::start_as(&self.store, &options, &directory).await
    }

    /// The ingest API with the project's key.
    #[must_use]
    pub fn api(&self) -> Api {
        Api {
            server: self.server.address,
            key: self.project.api_key.clone(),
        }
    }

    /// Sends a receipt with this `internal_reference`, by which an endpoint can tell the callback, and reports
    /// its failure; gives the ids of event and incident.
    pub async fn incident_for(&self, reference: &str) -> (String, String) {
        let body = with(receipt(&unique("evt")), "internal_reference", reference.into());
        let answer = self.api().receipt(&unique("key"), &body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let event = answer.json()["event_id"].as_str().unwrap().to_owned();
        let answer = self.api().report(&event, "failed").await;
        (event, answer["incident_id"].as_str().unwrap().to_owned())
    }

    /// A connection into the database.
    pub async fn sql(&self) -> Sql {
        self.store.sql().await
    }

    /// The project's incident with this id, as the operator sees it.
    pub async fn incident(&self, incident_id: &str) -> Value {
        let incidents = self.cli.incidents(&self.project.id).await;
        let found = incidents
            .into_iter()
            .find(|incident| incident["incident_id"] == incident_id);
        found.unwrap_or_else(|| panic!("no incident {incident_id}"))
    }

    /// Waits until the incident is in this state, and gives it.
    pub async fn incident_becomes(&self, incident_id: &str, state: &str) -> Value {
        eventually(&format!("the incident becomes {state}"), async || {
            Some(self.incident(incident_id).await).filter(|incident| incident["state"] == state)
        })
        .await
    }

    /// Waits until the incident's latest replay is in this state, and gives that replay.
    pub async fn replay_becomes(&self, incident_id: &str, state: &str) -> Value {
        eventually(&format!("the replay becomes {state}"), async || {
            let incident = self.incident(incident_id).await;
            let replay = incident["replays"].as_array().unwrap().last().cloned();
            replay.filter(|replay| replay["state"] == state)
        })
        .await
    }

    /// Waits until the event has an incident, and gives it.
    pub async fn incident_of(&self, event_id: &str) -> Value {
        eventually("the event has an incident", async || {
            let incidents = self.cli.incidents(&self.project.id).await;
            incidents
                .into_iter()
                .find(|incident| incident["event_id"] == event_id)
        })
        .await
    }
}
