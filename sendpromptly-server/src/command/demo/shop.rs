//! The sample customer: a shop that sells through Stripe, tells SendPromptly of each payment, and repairs what
//! it is asked to. It keeps its work in memory, which is what goes wrong in the demo.
//!
//! How a shop does it well is shown by `examples/stripe-webhook-app` and `examples/axum-repair-endpoint`.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, StatusCode};
use sendpromptly_core::credential::ApiKey;
use sendpromptly_core::id::EventId;
use sendpromptly_core::time::Timestamp;
use sendpromptly_verify::replay::{MemoryReplays, Outcome};
use sendpromptly_verify::{Callback, Endpoint, unix_now};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::stripe_event::{Effect, Payment};
use super::wire::{self, Reply};
use crate::command::CommandError;
use crate::http::listener::{self, Limits};
use crate::http::{body, response};
use crate::stripe::signature::{self, StripeSecret};

/// Where the shop's webhook and its repair endpoint are.
pub(super) const WEBHOOK: &str = "/webhooks/stripe";
pub(super) const REPAIR: &str = "/repair";

/// A running shop. It closes when it is dropped.
#[derive(Debug)]
pub(super) struct Shop {
    business: Arc<Business>,
    _open: oneshot::Sender<()>,
}

/// What a shop is run with.
#[derive(Debug)]
pub(super) struct Business {
    /// Verifies what comes from Stripe.
    pub(super) stripe: StripeSecret,
    /// Where SendPromptly takes receipts and results.
    pub(super) server: SocketAddr,
    /// The key to it.
    pub(super) api_key: ApiKey,
    /// Verifies what SendPromptly sends.
    pub(super) endpoint: Endpoint,
    /// Which repairs have been carried out.
    pub(super) replays: MemoryReplays,
    /// What else the shop knows.
    pub(super) books: Books,
}

/// What the shop has written down.
#[derive(Debug, Default)]
pub(super) struct Books(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    queue: VecDeque<Payment>,
    receipts: BTreeMap<String, EventId>,
    applied: Vec<Applied>,
    answered: Vec<Answered>,
}

/// An effect that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Applied {
    payment: String,
    effect_type: String,
}

/// A callback as it came, and what was answered.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) status: u16,
    pub(super) answer: String,
}

impl Shop {
    /// Opens the shop at this listener.
    pub(super) fn open(listener: TcpListener, business: Business) -> Self {
        let business = Arc::new(business);
        let (open, closed) = oneshot::channel();
        let answering = business.clone();
        tokio::spawn(listener::serve(
            listener,
            None,
            move |request, _| answering.clone().answer(request),
            closed.map(|_| ()),
            Limits::default(),
        ));
        Self {
            business,
            _open: open,
        }
    }

    /// Does the next job of the queue and tells its result; gives the answer to that.
    pub(super) async fn work(&self) -> Result<StatusCode, CommandError> {
        let next = self.business.books.pages().queue.pop_front();
        let payment = next.ok_or_else(|| CommandError::refused("the shop's queue is empty"))?;
        let books = &self.business.books;
        books.apply(&payment.event_id, payment.effect.effect_type());
        let result = json!({"provider_event_id": payment.event_id, "status": "success"});
        Ok(self.business.tell("result", &payment, &result).await?.status)
    }

    /// The worker's process dies, and its queue with it; gives how many jobs are lost.
    pub(super) fn crash_worker(&self) -> usize {
        self.business.books.pages().queue.drain(..).count()
    }

    /// SendPromptly's id of a payment whose receipt was accepted.
    pub(super) fn event_of(&self, payment: &str) -> Option<EventId> {
        self.business.books.pages().receipts.get(payment).copied()
    }

    /// The callbacks that came so far.
    pub(super) fn answered(&self) -> Vec<Answered> {
        self.business.books.pages().answered.clone()
    }

    /// How often a payment's effect has been applied.
    pub(super) fn times_applied(&self, payment: &str) -> usize {
        let pages = self.business.books.pages();
        pages
            .applied
            .iter()
            .filter(|applied| applied.payment == payment)
            .count()
    }
}

impl Books {
    /// No step panics half done, so what a poisoned lock guards is whole.
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies an effect, unless it has been applied before by whichever way.
    fn apply(&self, payment: &str, effect_type: &str) {
        let effect = Applied {
            payment: payment.to_owned(),
            effect_type: effect_type.to_owned(),
        };
        let mut pages = self.pages();
        if !pages.applied.contains(&effect) {
            pages.applied.push(effect);
        }
    }
}

impl Business {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> response::Response {
        let (head, body) = request.into_parts();
        let Ok(body) = body::read(body).await else {
            return response::text(StatusCode::BAD_REQUEST, "");
        };
        match head.uri.path() {
            WEBHOOK => self.take_payment(&head.headers, &body).await,
            REPAIR => self.repair(head.headers, body),
            _ => response::text(StatusCode::NOT_FOUND, ""),
        }
    }

    /// Stripe's event is verified, SendPromptly told of it, its work queued, and only then Stripe answered.
    async fn take_payment(&self, headers: &HeaderMap, body: &[u8]) -> response::Response {
        let header = headers
            .get("stripe-signature")
            .and_then(|value| value.to_str().ok());
        let now = u64::try_from(unix_now()).unwrap_or(0);
        let secret = std::slice::from_ref(&self.stripe);
        let genuine = signature::verify(secret, header.unwrap_or_default(), body, now);
        let Ok(Some(payment)) = genuine.map_err(drop).and(Payment::read(body).map_err(drop)) else {
            return response::text(StatusCode::BAD_REQUEST, "");
        };
        let receipt = json!({
            "provider": "stripe",
            "provider_event_id": payment.event_id,
            "event_type": payment.event_type,
            "effect_type": payment.effect.effect_type(),
            "internal_reference": payment.account,
            "occurred_at": Timestamp::from_millis(payment.occurred_at * 1_000).to_string(),
        });
        let Some(event) = self
            .tell("receipt", &payment, &receipt)
            .await
            .ok()
            .and_then(event_id)
        else {
            // Stripe sends it again.
            return response::text(StatusCode::BAD_GATEWAY, "");
        };
        let mut pages = self.books.pages();
        pages.receipts.insert(payment.event_id.clone(), event);
        pages.queue.push_back(payment);
        response::text(StatusCode::OK, "")
    }

    /// The whole of a repair endpoint: the crate verifies, and applies once for each `replay_id`.
    fn repair(&self, headers: HeaderMap, body: Bytes) -> response::Response {
        let answer = self.endpoint.handle(
            &self.replays,
            &headers,
            &body,
            unix_now(),
            |callback: &Callback| {
                self.books
                    .apply(&callback.provider_event_id, &callback.effect_type);
                Outcome::Applied
            },
        );
        self.books.pages().answered.push(Answered {
            headers,
            body,
            status: answer.status(),
            answer: answer.to_string(),
        });
        hyper::Response::from(answer).map(Either::Left)
    }

    async fn tell(&self, what: &str, payment: &Payment, body: &Value) -> Result<Reply, CommandError> {
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", self.api_key.expose());
        let key = format!("{}/{what}", payment.event_id);
        for (name, value) in [
            (AUTHORIZATION, bearer.as_str()),
            (HeaderName::from_static("idempotency-key"), key.as_str()),
            (ACCEPT, "application/json"),
        ] {
            headers.insert(name, HeaderValue::from_str(value).map_err(CommandError::refused)?);
        }
        let url = format!("http://{}/api/v1/{what}", self.server);
        wire::post(&url, headers, body.to_string().into()).await
    }
}

/// The event's id in the answer to a receipt that was accepted.
fn event_id(reply: Reply) -> Option<EventId> {
    let answer: Value = serde_json::from_slice(&reply.body).ok()?;
    answer["event_id"].as_str()?.parse().ok()
}

impl Effect {
    /// What the account gets, in words.
    pub(super) fn in_words(self) -> String {
        match self {
            Self::AccessUnlock => "access".to_owned(),
            Self::CreditGrant(credits) => format!("{credits} credits"),
        }
    }
}
