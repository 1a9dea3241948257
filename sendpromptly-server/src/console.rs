//! The console: pages for people, made on the server, which work without JavaScript.
//!
//! [`routes`] is the table of everything that answers; [`access`] is the one place that decides by it who may
//! come in; a handler gets a [`Visit`] and who asks, and gives a page.

use std::fmt;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use sendpromptly_core::id::RequestId;
use sendpromptly_core::replay::RetrySchedule;
use tokio::sync::Semaphore;

use crate::account::guesses::Guesses;
use crate::account::hasher::Hasher;
use crate::account::passwords::Passwords;
use crate::account::second_factor::SecondFactors;
use crate::alerts::Sender;
use crate::callback::{AddressPolicy, CallbackClient};
use crate::checkpoints::Checkpoints;
use crate::config::SignUp;
use crate::http::{ApiError, Client, Response};
use crate::mail::Post;
use crate::store::Store;
use crate::stripe::Billing;
use crate::vault::Vault;

pub mod access;
pub mod account;
pub mod alerts;
pub mod arrival;
pub mod assets;
pub mod audit;
pub mod billing;
pub mod browser_name;
pub mod bulk;
pub mod code;
pub mod cookie;
pub mod credentials;
pub mod error;
pub mod first_lines;
pub mod form;
pub mod form_token;
pub mod home;
pub mod incident;
pub mod incidents;
pub mod intake;
pub mod invitations;
pub mod inviting;
pub mod links;
pub mod live;
#[cfg(test)]
mod matrix;
pub mod member;
pub mod members;
pub mod new_password;
pub mod organization;
pub mod organization_deletion;
pub mod origin;
pub mod overview;
pub mod page;
pub mod plot;
pub mod project;
pub mod project_settings;
pub mod projects;
pub mod rates;
pub mod reset;
pub mod routes;
pub mod second_factor;
pub mod security;
pub mod sign_in;
pub mod sign_in_code;
pub mod sign_up;
pub mod step_up;
pub mod trials;
mod unhurried;
pub mod verdict;
pub mod visit;
pub mod when;

pub use error::PageError;
pub use visit::Visit;

use rates::Rates;
use routes::Found;
use trials::Trials;

/// What the console works with.
pub struct Setting {
    /// The store.
    pub store: Store,
    /// Seals and opens.
    pub vault: Vault,
    /// Signs the end of an export of the audit log.
    pub checkpoints: Arc<Checkpoints>,
    /// Calls repair endpoints.
    pub callbacks: CallbackClient,
    /// Which addresses may be called.
    pub policy: AddressPolicy,
    /// When attempts of a replay are made.
    pub schedule: RetrySchedule,
    /// How links in mails lead here: scheme and host, without a slash at its end.
    pub base_url: String,
    /// Sends test alerts.
    pub alerts: Sender,
    /// Takes the letters that pages cause.
    pub post: Post,
    /// Whether mail is written to files in the data directory in place of being sent.
    pub mail_goes_to_files: bool,
    /// Who may make an account.
    pub sign_up: SignUp,
    /// What billing goes by. Without it everything is allowed.
    pub billing: Option<Billing>,
}

/// The console.
pub struct Console {
    /// What it works with.
    pub setting: Setting,
    /// How many test callbacks are sent.
    pub trials: Trials,
    /// Those who listen to what changes.
    pub live: live::Live,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// Counts guesses at passwords and codes.
    pub guesses: Guesses,
    /// Checks passwords.
    pub passwords: Passwords,
    /// Sets second factors up and takes their codes.
    pub second_factors: SecondFactors,
    /// One check of an audit log at a time.
    check_turn: Semaphore,
    rates: Rates,
}

impl Console {
    /// A console in this setting.
    #[must_use]
    pub fn new(setting: Setting) -> Arc<Self> {
        let live = live::Live::new(setting.store.clone());
        let (hasher, guesses) = (Hasher::start(), Guesses::new(setting.store.clone()));
        let passwords = Passwords::new(setting.store.clone(), hasher.clone(), guesses.clone());
        let (store, vault) = (setting.store.clone(), setting.vault.clone());
        let second_factors = SecondFactors::new(store, vault, guesses.clone());
        Arc::new(Self {
            setting,
            live,
            hasher,
            guesses,
            passwords,
            second_factors,
            check_turn: Semaphore::new(1),
            rates: Rates::default(),
            trials: Trials::default(),
        })
    }

    /// Answers a request for one of its paths.
    ///
    /// # Errors
    /// [`ApiError`] for what is refused or failed, to be shown by [`error_page`](Self::error_page) or as JSON.
    pub async fn answer(
        self: &Arc<Self>,
        found: Found,
        request: Request<Incoming>,
        client: Client,
        id: RequestId,
    ) -> Result<Response, ApiError> {
        let (head, body) = request.into_parts();
        access::answer(self, found, &head, body, client, id).await
    }

    /// The page that tells of an error.
    #[must_use]
    pub fn error_page(&self, error: ApiError, id: RequestId) -> Response {
        error::page_of(&PageError::from(error), id)
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console(..)")
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Setting(..)")
    }
}
