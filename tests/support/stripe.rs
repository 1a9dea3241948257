//! Stripe, played by the test: webhooks signed by its own library, and events of the shapes that it sends.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;

use crate::endpoint::{Call, Endpoint, Reply};
use crate::http::{Answer, Request};
use crate::python::{installed, sources};
use crate::wait::PATIENCE;
use crate::world::World;

/// What webhooks are signed with.
pub const SECRET: &str = "whsec_tests-of-billing-5Gh2Lq";

/// Seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    crate::bodies::now_millis() / 1_000
}

/// Stripe's own library, in a process of its own; it ends when it is dropped.
#[derive(Debug)]
pub struct Signer {
    _child: Child,
    orders: ChildStdin,
    headers: Lines<BufReader<ChildStdout>>,
}

impl Signer {
    /// Starts it.
    pub async fn start() -> Self {
        let mut child = installed("python3")
            .arg(sources().join("support/stripe_sign.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            orders: child.stdin.take().unwrap(),
            headers: BufReader::new(child.stdout.take().unwrap()).lines(),
            _child: child,
        }
    }

    /// The `Stripe-Signature` of a body, made at this time.
    pub async fn sign(&mut self, secret: &str, time: i64, body: &str) -> String {
        let order = json!({"secret": secret, "time": time, "body": body});
        self.orders
            .write_all(format!("{order}\n").as_bytes())
            .await
            .unwrap();
        let header = timeout(PATIENCE, self.headers.next_line()).await;
        let header = header.expect("a signature in time").unwrap();
        header.expect("the library is alive")
    }

    /// Delivers an event, signed now.
    pub async fn deliver(&mut self, world: &World, event: &Value) -> Answer {
        let body = event.to_string();
        let header = self.sign(SECRET, now(), &body).await;
        webhook(&header, &body).send(world.server.address).await
    }
}

/// Stripe's API; it ends when it is dropped.
#[derive(Debug)]
pub struct Api {
    endpoint: Endpoint,
    replies: Arc<Mutex<Replies>>,
}

/// What is answered, by what the request line holds; and what to all else.
#[derive(Debug)]
struct Replies {
    to: Vec<(String, Reply)>,
    otherwise: Reply,
}

impl Replies {
    fn to(&self, call: &Call) -> Reply {
        let fits = |(part, _): &&(String, Reply)| call.request_line.contains(part.as_str());
        let found = self.to.iter().find(fits).map(|(_, reply)| reply);
        found.unwrap_or(&self.otherwise).clone()
    }
}

impl Api {
    /// One that answers so until it is told otherwise.
    pub async fn start(reply: Reply) -> Self {
        let replies = Arc::new(Mutex::new(Replies {
            to: Vec::new(),
            otherwise: reply,
        }));
        let current = replies.clone();
        let endpoint = Endpoint::start(move |_, call| current.lock().unwrap().to(call)).await;
        Self { endpoint, replies }
    }

    /// Answers so from now on.
    pub fn answers(&self, reply: Reply) {
        self.replies.lock().unwrap().otherwise = reply;
    }

    /// Answers requests whose first line holds this so from now on.
    pub fn answers_to(&self, part: &str, reply: Reply) {
        let to = &mut self.replies.lock().unwrap().to;
        to.retain(|(known, _)| known != part);
        to.push((part.to_owned(), reply));
    }

    /// Its address, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        self.endpoint.url().replace("/repair", "")
    }

    /// Waits until it was asked so often, and gives what it was asked.
    pub async fn after_questions(&self, count: usize) -> Vec<Call> {
        self.endpoint.after_calls(count).await
    }

    /// How often it was asked.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.endpoint.calls().len()
    }
}

/// A webhook with this signature.
#[must_use]
pub fn webhook(signature: &str, body: &str) -> Request {
    Request::new("POST", "/webhooks/stripe")
        .header("content-type", "application/json; charset=utf-8")
        .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("stripe-signature", signature)
        .body(body)
}

/// An event as Stripe sends one.
#[must_use]
pub fn event(id: &str, created: i64, kind: &str, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2026-10-29.basil", "created": created, "type": kind,
        "livemode": false, "pending_webhooks": 1, "request": {"id": null, "idempotency_key": null},
        "data": {"object": object},
    })
}

/// A subscription in this state, paid for until then.
#[must_use]
pub fn subscription(status: &str, paid_until: i64) -> Value {
    json!({
        "id": "sub_known", "object": "subscription", "customer": "cus_known", "status": status,
        "currency": "usd", "metadata": {"note": "canary-metadata"}, "description": "canary-description",
        "default_payment_method": "pm_canary-card",
        "items": {"object": "list", "data": [{
            "id": "si_canary-item", "quantity": 1, "current_period_end": paid_until,
            "price": {"id": "price_canary-price", "unit_amount": 4900},
        }]},
    })
}

/// A subscription of this organization, in this state.
#[must_use]
pub fn subscription_of(organization: &str, status: &str, paid_until: i64) -> Value {
    let mut subscription = subscription(status, paid_until);
    subscription["metadata"]["organization_id"] = organization.into();
    subscription
}

/// A checkout that an organization has completed.
#[must_use]
pub fn checkout(organization: &str) -> Value {
    json!({
        "id": "cs_canary-session", "object": "checkout.session", "mode": "subscription", "customer": "cus_known",
        "subscription": "sub_known", "client_reference_id": organization, "payment_status": "paid",
        "customer_details": {"email": "canary@card.example", "name": "Canary Cardholder",
            "address": {"line1": "1 Canary Road"}},
    })
}

/// An invoice of the subscription.
#[must_use]
pub fn invoice(paid_until: i64) -> Value {
    json!({
        "id": "in_canary-invoice", "object": "invoice", "customer": "cus_known", "amount_paid": 4900,
        "customer_email": "canary@card.example", "hosted_invoice_url": "https://canary-invoice.example",
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_known"}},
        "lines": {"object": "list", "data": [{"id": "il_canary-line", "period": {"end": paid_until}}]},
    })
}
