//! A server that speaks HTTPS, with one organization and one project.

use crate::api::Api;
use crate::command::{Cli, Project};
use crate::http::{Answer, Request};
use crate::server::{Options, Server};
use crate::store::{StoreKind, TestStore};
use crate::tls::{Authority, Identity, TlsClient};

/// Everything that a test of HTTPS needs.
#[derive(Debug)]
pub struct HttpsWorld {
    /// Whom the server's certificates are of.
    pub authority: Authority,
    /// The server's certificate and key.
    pub identity: Identity,
    /// A client that trusts the authority.
    pub client: TlsClient,
    /// The server.
    pub server: Server,
    /// Commands beside it.
    pub cli: Cli,
    /// The organization's id.
    pub organization: String,
    /// Its project.
    pub project: Project,
    /// Where the data is.
    pub store: TestStore,
}

impl HttpsWorld {
    /// One that sends plain HTTP on to HTTPS.
    pub async fn start(kind: StoreKind) -> Self {
        Self::start_with(kind, &Options::quick().set("--redirect-listen", "127.0.0.1:0")).await
    }

    /// One with these options.
    pub async fn start_with(kind: StoreKind, options: &Options) -> Self {
        let store = TestStore::new(kind).await;
        let authority = Authority::new();
        let identity = authority.certify_in(&store.directory());
        let client = authority.client();
        let server = Server::start_https(&store, options, &identity, &client).await;
        let cli = Cli::on(&store);
        let organization = cli.create_organization("acme").await;
        let project = cli.create_project(&organization, &[]).await;
        Self {
            authority,
            identity,
            client,
            server,
            cli,
            organization,
            project,
            store,
        }
    }

    /// Requests with the project's key.
    #[must_use]
    pub fn api(&self) -> Api {
        Api {
            server: self.server.address,
            key: self.project.api_key.clone(),
        }
    }

    /// Sends a request over HTTPS.
    pub async fn send(&self, request: &Request) -> Answer {
        self.client.send(self.server.address, request).await
    }

    /// Sends a request over plain HTTP.
    pub async fn send_plain(&self, request: &Request) -> Answer {
        request.send(self.server.redirects_at()).await
    }
}
