//! Asks Stripe for the pages on which an organization subscribes, and changes or ends its subscription, and for what
//! became of it. Cards are given to Stripe there, and never to this server.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use sendpromptly_core::billing::{Answer, CheckoutState, Fact, read_checkout, read_subscription};
use sendpromptly_core::hex;
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::callback::{CallOutcome, CallbackClient, ClientConfig, ClientError, RepairUrl};
use crate::config::StripeApi;

#[cfg(test)]
mod tests;

/// How long Stripe may take in all: a person waits, or a lease runs.
const PATIENCE: Duration = Duration::from_secs(10);

/// More of an answer is not read; a checkout session takes some kilobytes, a subscription of many items some more.
const MAX_ANSWER: usize = 256 * 1024;

/// Why Stripe gave nothing that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StripeError {
    /// It was not reached, or did not answer in time.
    #[error("Stripe did not answer in time")]
    NoAnswer,
    /// It answered with this status.
    #[error("Stripe answered {0}")]
    Refused(u16),
    /// It knows the customer no longer.
    #[error("Stripe no longer knows this customer")]
    NoCustomer,
    /// Its answer is not what was asked for.
    #[error("Stripe answered something that this server cannot read")]
    Unreadable,
}

/// Asks Stripe. It shows no secret.
#[derive(Debug, Clone)]
pub struct StripeClient {
    http: CallbackClient,
    api: StripeApi,
}

/// An order to subscribe.
#[derive(Debug)]
pub struct Checkout<'a> {
    /// Who subscribes.
    pub organization: OrganizationId,
    /// Stripe's id of the customer, where it is one already.
    pub customer: Option<&'a str>,
    /// The owner's address, which Stripe fills in for a new customer.
    pub email: &'a str,
    /// Where Stripe leads back to.
    pub back: &'a str,
    /// Where Stripe leads to once it was paid.
    pub paid: &'a str,
    /// The same for the same order, however often it is sent.
    pub order_key: [u8; 16],
}

/// The page on which an organization subscribes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckoutPage {
    /// Stripe's id of the checkout.
    pub session: Option<String>,
    /// Its address.
    pub url: Url,
    /// Up to when it can be paid there, where Stripe tells.
    pub expires_at: Option<Timestamp>,
}

/// What became of a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutEnd {
    /// It can be paid on this page.
    Open(CheckoutPage),
    /// It was paid, and this is so of the subscription.
    Complete(Fact),
    /// It was not paid, and cannot be any more.
    Expired,
    /// Stripe knows no such checkout.
    Unknown,
}

/// What organizations would subscribe to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Price {
    /// It recurs, and can be bought.
    Fits,
    /// It is paid once, and begins no subscription.
    PaidOnce,
    /// It can be bought no longer.
    Archived,
}

impl StripeClient {
    /// A client for this account.
    ///
    /// # Errors
    /// [`ClientError`] where the client cannot be made.
    pub fn new(api: &StripeApi) -> Result<Self, ClientError> {
        Self::with_patience(api, PATIENCE)
    }

    fn with_patience(api: &StripeApi, patience: Duration) -> Result<Self, ClientError> {
        let http = CallbackClient::new(ClientConfig {
            total_timeout: patience,
            connect_timeout: patience,
            body_timeout: patience,
            max_head_bytes: MAX_ANSWER,
            ..ClientConfig::new(api.policy.clone())
        })?;
        Ok(Self {
            http,
            api: api.clone(),
        })
    }

    /// The page on which an organization subscribes. The organization's id goes along, and comes back with what
    /// Stripe tells of the subscription. Where Stripe no longer knows the customer, it is a new one.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn check_out(&self, order: &Checkout<'_>) -> Result<CheckoutPage, StripeError> {
        match self.try_check_out(order).await {
            Err(StripeError::NoCustomer) if order.customer.is_some() => {
                let afresh = Checkout {
                    customer: None,
                    // Another order, of which Stripe would otherwise remember the first answer.
                    order_key: order.order_key.map(|byte| !byte),
                    ..*order
                };
                self.try_check_out(&afresh).await
            }
            page => page,
        }
    }

    async fn try_check_out(&self, order: &Checkout<'_>) -> Result<CheckoutPage, StripeError> {
        let organization = order.organization.to_string();
        let customer = match order.customer {
            Some(customer) => ("customer", customer),
            None => ("customer_email", order.email),
        };
        let fields = [
            ("mode", "subscription"),
            ("line_items[0][price]", &self.api.price),
            ("line_items[0][quantity]", "1"),
            ("client_reference_id", &organization),
            ("subscription_data[metadata][organization_id]", &organization),
            ("success_url", order.paid),
            ("cancel_url", order.back),
            customer,
        ];
        let answer = self
            .order(&self.api.checkout, &fields, Some(order.order_key))
            .await?;
        checkout_page_in(&answer)
    }

    /// What became of a checkout that was begun here, at this time.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn checkout(&self, session: &str, now: Timestamp) -> Result<CheckoutEnd, StripeError> {
        if !is_plain(session) {
            return Err(StripeError::Unreadable);
        }
        let path = format!("/v1/checkout/sessions/{session}?expand%5B%5D=subscription");
        let Some(body) = self.find(&path).await? else {
            return Ok(CheckoutEnd::Unknown);
        };
        let state = read_checkout(session, &body, now).map_err(|_| StripeError::Unreadable)?;
        Ok(match state {
            CheckoutState::Open => {
                let answer = serde_json::from_slice(&body).map_err(|_| StripeError::Unreadable)?;
                CheckoutEnd::Open(checkout_page_in(&answer)?)
            }
            CheckoutState::Complete(fact) => CheckoutEnd::Complete(fact),
            CheckoutState::Expired => CheckoutEnd::Expired,
        })
    }

    /// The page on which a customer changes the card or ends the subscription.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn manage(&self, customer: &str, back: &str) -> Result<Url, StripeError> {
        let fields = [("customer", customer), ("return_url", back)];
        let answer = self.order(&self.api.portal, &fields, None).await?;
        page_in(&answer).ok_or(StripeError::Unreadable)
    }

    /// What became of a subscription; `None` where Stripe knows none of this id.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn subscription(&self, id: &str) -> Result<Option<Answer>, StripeError> {
        if !is_plain(id) {
            return Err(StripeError::Unreadable);
        }
        let Some(body) = self.find(&format!("/v1/subscriptions/{id}")).await? else {
            return Ok(None);
        };
        let answer = read_subscription(id, &body).map_err(|_| StripeError::Unreadable)?;
        Ok(Some(answer))
    }

    /// Whether organizations can subscribe to what is configured; `None` where Stripe knows no such price.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn price(&self) -> Result<Option<Price>, StripeError> {
        // Prices that were plans once have ids of their maker's choice.
        let id: String = form_urlencoded::byte_serialize(self.api.price.as_bytes()).collect();
        let Some(body) = self.find(&format!("/v1/prices/{id}")).await? else {
            return Ok(None);
        };
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if answer["id"] != self.api.price.as_str() {
            return Err(StripeError::Unreadable);
        }
        let recurs = answer["recurring"].is_object();
        Ok(Some(match answer["active"].as_bool() {
            _ if !recurs => Price::PaidOnce,
            Some(true) => Price::Fits,
            _ => Price::Archived,
        }))
    }

    /// Whether Stripe takes the key, and lets it read subscriptions.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn check(&self) -> Result<(), StripeError> {
        self.ask("/v1/subscriptions?limit=1").await.map(drop)
    }

    /// The same as [`ask`](Self::ask); `None` where nothing is there.
    async fn find(&self, path: &str) -> Result<Option<Bytes>, StripeError> {
        match self.ask(path).await {
            Err(StripeError::Refused(404)) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Asks for what is at this path.
    async fn ask(&self, path: &str) -> Result<Bytes, StripeError> {
        let at = self.api.at(path).ok_or(StripeError::Unreadable)?;
        let headers = vec![(AUTHORIZATION, self.api.key.bearer())];
        body_of(self.http.get(&at, headers).await)
    }

    /// Has something made, and gives what Stripe answers.
    async fn order(
        &self,
        at: &RepairUrl,
        fields: &[(&str, &str)],
        order_key: Option<[u8; 16]>,
    ) -> Result<Value, StripeError> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut headers = vec![(AUTHORIZATION, self.api.key.bearer()), (CONTENT_TYPE, form)];
        if let Some(key) = order_key
            && let Ok(key) = HeaderValue::from_str(&hex::encode(&key))
        {
            headers.push((HeaderName::from_static("idempotency-key"), key));
        }
        let answered = self.http.call(at, headers, Bytes::from(body), pending()).await;
        serde_json::from_slice(&body_of(answered)?).map_err(|_| StripeError::Unreadable)
    }
}

/// What Stripe answered where it did as it was asked.
fn body_of(outcome: CallOutcome) -> Result<Bytes, StripeError> {
    match outcome {
        CallOutcome::Answered {
            status: 200..=299,
            head,
            ..
        } => Ok(head),
        CallOutcome::Answered { status, head, .. } => Err(refusal(status, &head)),
        outcome => {
            tracing::debug!(?outcome, "Stripe was not reached");
            Err(StripeError::NoAnswer)
        }
    }
}

/// Whether an id is one that can stand in a path, as all of Stripe's can.
fn is_plain(id: &str) -> bool {
    !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn checkout_page_in(answer: &Value) -> Result<CheckoutPage, StripeError> {
    Ok(CheckoutPage {
        session: answer["id"].as_str().filter(|id| is_plain(id)).map(str::to_owned),
        url: page_in(answer).ok_or(StripeError::Unreadable)?,
        expires_at: expiry_in(answer),
    })
}

/// The page's address. A browser is led there, so it must be one that a browser may be led to.
fn page_in(answer: &Value) -> Option<Url> {
    let url = Url::parse(answer["url"].as_str()?).ok()?;
    (url.scheme() == "https" && url.has_host()).then_some(url)
}

/// When a checkout's page expires, in whole seconds since 1970.
fn expiry_in(answer: &Value) -> Option<Timestamp> {
    let seconds = answer["expires_at"].as_i64()?;
    seconds.checked_mul(1_000).map(Timestamp::from_millis)
}

/// Why Stripe refused. Its words may name a person; its code and the parameter's name do not, and say what is wrong.
fn refusal(status: u16, answer: &[u8]) -> StripeError {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let (code, param) = (
        word_in(&answer["error"]["code"]),
        word_in(&answer["error"]["param"]),
    );
    tracing::warn!(status, code, param, "Stripe refused what it was asked for");
    match (code, param) {
        ("resource_missing", "customer") => StripeError::NoCustomer,
        _ => StripeError::Refused(status),
    }
}

/// A name of Stripe's own; empty for what may be anything else.
fn word_in(value: &Value) -> &str {
    let is_of_a_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_[]".contains(&byte);
    let word = value
        .as_str()
        .filter(|word| word.len() <= 64 && word.bytes().all(is_of_a_name));
    word.unwrap_or_default()
}
