//! The demo's stage: a server on a store of its own, and a shop that is its customer.

use std::net::SocketAddr;
use std::path::Path;

use sendpromptly_core::credential::{ApiKey, SigningSecret};
use sendpromptly_core::event::Mode;
use sendpromptly_core::hex;
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::project::Timeout;
use sendpromptly_verify::replay::MemoryReplays;
use sendpromptly_verify::{Endpoint, Verifier};
use tempfile::TempDir;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::shop::{Books, Business, REPAIR, Shop};
use crate::account::email::Email;
use crate::account::password::Password;
use crate::command::serve::Server;
use crate::command::{CommandError, org, project};
use crate::config::Config;
use crate::platform::entropy;
use crate::projects::{CheckedUrl, Created, NewProject};
use crate::store::projects::Project;
use crate::stripe::signature::StripeSecret;

/// The e-mail address of the shop's owner.
pub(super) const OWNER: &str = "owner@shop.example";

/// Everything that plays a part.
#[derive(Debug)]
pub(super) struct Stage {
    /// The server.
    pub(super) server: Server,
    /// The shop.
    pub(super) shop: Shop,
    /// Where the shop is.
    pub(super) shop_address: SocketAddr,
    /// What Stripe signs the shop's webhooks with.
    pub(super) stripe: StripeSecret,
    /// Who owns the project.
    pub(super) organization: OrganizationId,
    /// What [`OWNER`] signs in to the console with.
    pub(super) owner_password: Zeroizing<String>,
    /// The shop's project.
    pub(super) project: Project,
    /// Its key.
    pub(super) api_key: ApiKey,
    /// What its callbacks are signed with.
    pub(super) signing_secret: SigningSecret,
    directory: TempDir,
}

impl Stage {
    /// Sets everything up. The shop verifies callbacks with what `shop_secret` makes of the project's secret.
    pub(super) async fn set(
        config: Config,
        directory: TempDir,
        shop_secret: impl FnOnce(&SigningSecret) -> SigningSecret,
    ) -> Result<Self, CommandError> {
        let server = Server::start(config).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let shop_address = listener.local_addr()?;
        let (organization, owner_password) = create_organization(&server).await?;
        let project = NewProject {
            name: "Sample shop".parse().map_err(CommandError::refused)?,
            mode: Mode::Test,
            repair_url: Some(repair_url(&server, shop_address).await?),
            timeout: Timeout::default(),
        };
        let Created {
            project,
            api_key,
            signing_secret,
        } = project::create(&server.context, organization, project).await?;
        let stripe = StripeSecret::new("whsec_demo");
        let verifier = Verifier::new([shop_secret(&signing_secret).expose()]);
        let business = Business {
            stripe: stripe.clone(),
            server: server.address,
            api_key: api_key.clone(),
            endpoint: Endpoint::new(verifier.map_err(CommandError::refused)?),
            replays: MemoryReplays::default(),
            books: Books::default(),
        };
        Ok(Self {
            server,
            shop: Shop::open(listener, business),
            shop_address,
            stripe,
            organization,
            owner_password,
            project,
            api_key,
            signing_secret,
            directory,
        })
    }

    /// Where the store is.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Stops the server and removes the store.
    pub(super) async fn clear(self) -> Result<(), CommandError> {
        self.server.stop().await?;
        Ok(self.directory.close()?)
    }
}

async fn repair_url(server: &Server, shop: SocketAddr) -> Result<CheckedUrl, CommandError> {
    let url = format!("http://{shop}{REPAIR}");
    let policy = &server.context.config.callbacks.policy;
    CheckedUrl::check(&url, policy)
        .await
        .map_err(CommandError::refused)
}

/// An organization, and the password of its owner.
async fn create_organization(server: &Server) -> Result<(OrganizationId, Zeroizing<String>), CommandError> {
    let email = Email::parse(OWNER).map_err(CommandError::refused)?;
    let text = Zeroizing::new(hex::encode(&entropy::bytes::<10>()));
    let password = Password::new(text.clone(), &[]).map_err(CommandError::refused)?;
    let (organization, _) = org::create(&server.context, "Shop", &email, password).await?;
    Ok((organization, text))
}
