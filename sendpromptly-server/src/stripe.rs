//! Stripe, as this server speaks with it: its webhooks are believed by [`signature`], and [`client`] asks it for
//! pages on which an organization pays.

use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::billing::{Access, Plan};
use sendpromptly_core::event::Mode;
use sendpromptly_core::time::Timestamp;

use crate::callback::ClientError;
use crate::config::BillingConfig;

pub mod client;
pub mod signature;

use client::StripeClient;
use signature::StripeSecret;

/// What billing goes by, where the operator has turned it on.
#[derive(Debug, Clone)]
pub struct Billing {
    /// What webhooks are signed with.
    pub webhook_secrets: Arc<[StripeSecret]>,
    /// The mode of Stripe's in which subscriptions are, where the key tells; events of the other one are not heard.
    pub mode: Option<Mode>,
    /// How long a missing payment may be made up for.
    pub grace: Duration,
    /// Asks Stripe, where it may be asked.
    pub client: Option<StripeClient>,
}

impl Billing {
    /// Billing as it is configured.
    ///
    /// # Errors
    /// [`ClientError`] where the client cannot be made.
    pub fn of(config: &BillingConfig) -> Result<Self, ClientError> {
        Ok(Self {
            webhook_secrets: config.webhook_secrets.clone().into(),
            mode: config.api.as_ref().and_then(|api| api.key.mode()),
            grace: config.grace,
            client: config.api.as_ref().map(StripeClient::new).transpose()?,
        })
    }

    /// What an organization may do now.
    #[must_use]
    pub fn access(&self, plan: &Plan, now: Timestamp) -> Access {
        plan.access(now, self.grace)
    }
}
