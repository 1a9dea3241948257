//! Asks Stripe for the pages on which an organization subscribes, and changes or ends its subscription. Cards are
//! given to Stripe there, and never to this server.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use sendpromptly_core::hex;
use sendpromptly_core::id::OrganizationId;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::callback::{CallOutcome, CallbackClient, ClientConfig, ClientError, RepairUrl};
use crate::config::{StripeApi, StripeKey};

/// How long Stripe may take in all: a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// More of an answer is not read; a checkout session takes some kilobytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Why Stripe gave no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StripeError {
    /// It was not reached, or did not answer in time.
    #[error("Stripe did not answer in time")]
    NoAnswer,
    /// It answered with this status.
    #[error("Stripe answered {0}")]
    Refused(u16),
    /// Its answer names no page.
    #[error("Stripe answered something that this server cannot read")]
    Unreadable,
}

/// Asks Stripe. It shows no secret.
#[derive(Debug, Clone)]
pub struct StripeClient {
    http: CallbackClient,
    key: StripeKey,
    price: String,
    checkout: RepairUrl,
    portal: RepairUrl,
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
    /// The same for the same order, however often it is sent.
    pub order_key: [u8; 16],
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
            key: api.key.clone(),
            price: api.price.clone(),
            checkout: api.checkout.clone(),
            portal: api.portal.clone(),
        })
    }

    /// The page on which an organization subscribes. The organization's id goes along, and comes back with what
    /// Stripe tells of the subscription.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn check_out(&self, order: &Checkout<'_>) -> Result<Url, StripeError> {
        let organization = order.organization.to_string();
        let customer = match order.customer {
            Some(customer) => ("customer", customer),
            None => ("customer_email", order.email),
        };
        let fields = [
            ("mode", "subscription"),
            ("line_items[0][price]", &self.price),
            ("line_items[0][quantity]", "1"),
            ("client_reference_id", &organization),
            ("subscription_data[metadata][organization_id]", &organization),
            ("success_url", order.back),
            ("cancel_url", order.back),
            customer,
        ];
        self.page(&self.checkout, &fields, Some(order.order_key)).await
    }

    /// The page on which a customer changes the card or ends the subscription.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn manage(&self, customer: &str, back: &str) -> Result<Url, StripeError> {
        let fields = [("customer", customer), ("return_url", back)];
        self.page(&self.portal, &fields, None).await
    }

    async fn page(
        &self,
        at: &RepairUrl,
        fields: &[(&str, &str)],
        order_key: Option<[u8; 16]>,
    ) -> Result<Url, StripeError> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut headers = vec![(AUTHORIZATION, self.key.bearer()), (CONTENT_TYPE, form)];
        if let Some(key) = order_key
            && let Ok(key) = HeaderValue::from_str(&hex::encode(&key))
        {
            headers.push((HeaderName::from_static("idempotency-key"), key));
        }
        match self.http.call(at, headers, Bytes::from(body), pending()).await {
            CallOutcome::Answered {
                status: 200..=299,
                head,
                ..
            } => page_in(&head).ok_or(StripeError::Unreadable),
            CallOutcome::Answered { status, .. } => Err(StripeError::Refused(status)),
            outcome => {
                tracing::debug!(?outcome, "Stripe was not reached");
                Err(StripeError::NoAnswer)
            }
        }
    }
}

/// The page's address. A browser is led there, so it must be one that a browser may be led to.
fn page_in(answer: &[u8]) -> Option<Url> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let url = Url::parse(answer["url"].as_str()?).ok()?;
    (url.scheme() == "https" && url.has_host()).then_some(url)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

    /// A Stripe that answers everything with this; `None`: never.
    async fn asked(answer: Option<String>) -> Result<Url, StripeError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = StripeApi::for_tests(&format!("http://{}", listener.local_addr().unwrap()));
        let answering = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let Some(answer) = answer else {
                return pending::<()>().await;
            };
            let mut read = [0; 4_096];
            let _ = stream.read(&mut read).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        };
        let answering = tokio::spawn(answering);
        let client = StripeClient::with_patience(&api, Duration::from_millis(300)).unwrap();
        let asked = client.manage("cus_1", "https://example.com").await;
        answering.abort();
        asked
    }

    #[tokio::test]
    async fn a_page_is_led_to_only_where_stripe_names_one() {
        let page = format!("{OK}{{\"url\":\"https://billing.stripe.com/p/1\"}}");
        let url = asked(Some(page)).await.unwrap();
        assert_eq!(url.as_str(), "https://billing.stripe.com/p/1");
        for body in [
            "",
            "{",
            "{}",
            r#"{"url":null}"#,
            r#"{"url":"javascript:alert(1)"}"#,
            r#"{"url":"http://billing.stripe.com/"}"#,
        ] {
            assert_eq!(
                asked(Some(format!("{OK}{body}"))).await,
                Err(StripeError::Unreadable),
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn what_goes_wrong_at_stripe_is_told_apart() {
        let refused = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned();
        assert_eq!(asked(Some(refused)).await, Err(StripeError::Refused(500)));
        assert_eq!(asked(Some(String::new())).await, Err(StripeError::NoAnswer));
        assert_eq!(asked(None).await, Err(StripeError::NoAnswer));
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_read_to_its_end() {
        let endless = format!("{OK}{{\"url\":\"https://a.example/{}\"}}", "x".repeat(MAX_ANSWER));
        assert_eq!(asked(Some(endless)).await, Err(StripeError::Unreadable));
    }
}
