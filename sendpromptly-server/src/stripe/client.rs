//! Asks Stripe for the pages on which an organization subscribes, and changes or ends its subscription, and for what
//! became of it. Cards are given to Stripe there, and never to this server.

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use sendpromptly_core::billing::{Answer, read_subscription};
use sendpromptly_core::hex;
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::callback::{CallOutcome, CallbackClient, ClientConfig, ClientError, RepairUrl};
use crate::config::StripeApi;

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
    /// Its address.
    pub url: Url,
    /// Up to when it can be paid there, where Stripe tells.
    pub expires_at: Option<Timestamp>,
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
        Ok(CheckoutPage {
            url: page_in(&answer).ok_or(StripeError::Unreadable)?,
            expires_at: expiry_in(&answer),
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
        let body = match self.ask(&format!("/{id}")).await {
            Ok(body) => body,
            Err(StripeError::Refused(404)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let answer = read_subscription(id, &body).map_err(|_| StripeError::Unreadable)?;
        Ok(Some(answer))
    }

    /// Whether Stripe takes the key, and lets it read subscriptions.
    ///
    /// # Errors
    /// [`StripeError`] by its cause.
    pub async fn check(&self) -> Result<(), StripeError> {
        self.ask("?limit=1").await.map(drop)
    }

    /// Asks for something among the subscriptions.
    async fn ask(&self, which: &str) -> Result<Bytes, StripeError> {
        let at = self.api.subscriptions(which).ok_or(StripeError::Unreadable)?;
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

#[cfg(test)]
mod tests {
    use sendpromptly_core::billing::Status;
    use sendpromptly_core::time::Timestamp;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";

    /// What a page comes to at a Stripe that answers with this; `None`: never.
    async fn asked(answer: Option<String>) -> Result<Url, StripeError> {
        with_stripe(answer, async |client| {
            client.manage("cus_1", "https://example.com").await
        })
        .await
        .0
    }

    /// What is asked of a Stripe that answers with this, and what it was sent.
    async fn with_stripe<T>(answer: Option<String>, ask: impl AsyncFn(StripeClient) -> T) -> (T, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = StripeApi::for_tests(&format!("http://{}", listener.local_addr().unwrap()));
        let answering = async move |sent: oneshot::Sender<String>| {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = [0; 4_096];
            let length = stream.read(&mut read).await.unwrap();
            let _ = sent.send(String::from_utf8_lossy(&read[..length]).into_owned());
            match answer {
                Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                None => pending().await,
            }
        };
        let (sent, mut heard) = oneshot::channel();
        let answering = tokio::spawn(answering(sent));
        let client = StripeClient::with_patience(&api, Duration::from_millis(300)).unwrap();
        let asked = ask(client).await;
        answering.abort();
        (asked, heard.try_recv().unwrap_or_default())
    }

    async fn read(id: &str, answer: &str) -> (Result<Option<Answer>, StripeError>, String) {
        with_stripe(Some(answer.to_owned()), async |client| {
            client.subscription(id).await
        })
        .await
    }

    #[tokio::test]
    async fn a_subscription_is_asked_for_by_its_id() {
        let body =
            r#"{"id":"sub_1","status":"past_due","items":{"data":[{"current_period_end":1900000000}]}}"#;
        let (told, sent) = read("sub_1", &format!("{OK}{body}")).await;
        let expected = Answer {
            status: Status::PastDue,
            paid_until: Some(Timestamp::from_millis(1_900_000_000_000)),
        };
        assert_eq!(told, Ok(Some(expected)));
        assert!(
            sent.starts_with("GET /v1/subscriptions/sub_1 HTTP/1.1\r\n"),
            "{sent}"
        );
        assert!(sent.contains("\r\nauthorization: Bearer sk_test_1\r\n"), "{sent}");
        // An answer of another one is none.
        let (told, _) = read("sub_2", &format!("{OK}{body}")).await;
        assert_eq!(told, Err(StripeError::Unreadable));
        let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(read("sub_1", gone).await.0, Ok(None));
        let refused = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(read("sub_1", refused).await.0, Err(StripeError::Refused(401)));
    }

    #[tokio::test]
    async fn an_id_leads_to_nothing_but_a_subscription() {
        for id in [
            "",
            "..",
            "../prices",
            "a/b",
            "a?b=c",
            "a#b",
            "a%2fb",
            "a b",
            "a.b",
        ] {
            let (told, sent) = read(id, OK).await;
            assert_eq!((told, sent.as_str()), (Err(StripeError::Unreadable), ""), "{id}");
        }
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
        let missing = |param: &str| {
            let error = format!("{{\"error\":{{\"code\":\"resource_missing\",\"param\":\"{param}\"}}}}");
            Some(format!("HTTP/1.1 400 No\r\nconnection: close\r\n\r\n{error}"))
        };
        assert_eq!(asked(missing("customer")).await, Err(StripeError::NoCustomer));
        assert_eq!(asked(missing("price")).await, Err(StripeError::Refused(400)));
    }

    #[test]
    fn of_stripes_words_only_names_are_logged() {
        let word = |text: &str| word_in(&Value::from(text)).to_owned();
        assert_eq!(word("line_items[0][price]"), "line_items[0][price]");
        for other in ["No such customer", "Jane", "a@b.example", "", &"x".repeat(65)] {
            assert_eq!(word(other), "", "{other}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_read_to_its_end() {
        let endless = format!("{OK}{{\"url\":\"https://a.example/{}\"}}", "x".repeat(MAX_ANSWER));
        assert_eq!(asked(Some(endless)).await, Err(StripeError::Unreadable));
    }
}
