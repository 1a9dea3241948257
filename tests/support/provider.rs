//! Providers, played by the test: webhooks that are signed by the providers' own means.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::bodies::now_millis;
use crate::command::{Cli, Output};
use crate::http::{Answer, Request};
use crate::python::{installed, sources};

/// A secret such as Stripe's.
pub const STRIPE_SECRET: &str = "whsec_intake4Qm2xVb9Rd5yNc3J";
/// A secret such as Shopify's.
pub const SHOPIFY_SECRET: &str = "hush-intake-h4Zt8kLwXw2vTq8M";

/// A webhook as it is sent.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// `stripe` or `shopify`.
    pub provider: &'static str,
    /// The body.
    pub body: String,
    /// The provider's signature.
    pub signature: String,
    /// The headers beside it.
    pub headers: Vec<(&'static str, String)>,
}

/// An event of Stripe about an invoice that customer `cus_1` has paid.
#[must_use]
pub fn stripe_event(id: &str, event_type: &str) -> Value {
    json!({
        "id": id, "object": "event", "type": event_type, "created": now_millis() / 1_000 - 5, "livemode": false,
        "data": { "object": { "customer": "cus_1", "client_reference_id": "customer_42", "amount_paid": 990 } },
    })
}

/// Webhooks of Stripe with these bodies, signed now by Stripe's library with this secret.
pub async fn stripe_webhooks(secret: &str, bodies: &[String]) -> Vec<Webhook> {
    let time = now_millis() / 1_000;
    let asked: Vec<_> = bodies
        .iter()
        .map(|body| json!({"provider": "stripe", "secret": secret, "time": time, "body": body}))
        .collect();
    let signed = signatures(&json!(asked)).await;
    let signed = signed.into_iter().zip(bodies);
    signed
        .map(|(signature, body)| Webhook {
            provider: "stripe",
            body: body.clone(),
            signature,
            headers: Vec::new(),
        })
        .collect()
}

/// A webhook of Stripe with this event.
pub async fn stripe_webhook(event: &Value) -> Webhook {
    let mut signed = stripe_webhooks(STRIPE_SECRET, &[event.to_string()]).await;
    signed.remove(0)
}

/// A webhook of Shopify about this event.
pub async fn shopify_webhook(event_id: &str, topic: &str, body: &str) -> Webhook {
    let asked = json!([{"provider": "shopify", "secret": SHOPIFY_SECRET, "body": body}]);
    Webhook {
        provider: "shopify",
        body: body.to_owned(),
        signature: signatures(&asked).await.remove(0),
        headers: vec![
            ("x-shopify-event-id", event_id.to_owned()),
            ("x-shopify-topic", topic.to_owned()),
            ("x-shopify-shop-domain", "example.myshopify.com".to_owned()),
            ("x-shopify-triggered-at", "2026-01-02T03:04:05.678Z".to_owned()),
        ],
    }
}

async fn signatures(webhooks: &Value) -> Vec<String> {
    let mut python = installed("python")
        .arg(sources().join("support/provider_signatures.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    input.write_all(webhooks.to_string().as_bytes()).await.unwrap();
    drop(input);
    let output = python.wait_with_output().await.unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

impl Webhook {
    /// The request to the endpoint of this project.
    #[must_use]
    pub fn request(&self, project: &str) -> Request {
        let header = match self.provider {
            "stripe" => "stripe-signature",
            _ => "x-shopify-hmac-sha256",
        };
        let path = format!("/v1/providers/{}/{project}", self.provider);
        let request = Request::new("POST", &path)
            .header("content-type", "application/json")
            .header(header, &self.signature)
            .body(self.body.clone());
        let headers = self.headers.iter();
        headers.fold(request, |request, (name, value)| request.header(name, value))
    }

    /// Sends it to the endpoint of this project.
    pub async fn send(&self, server: SocketAddr, project: &str) -> Answer {
        self.request(project).send(server).await
    }
}

/// Sets a provider's secret, with these options beside.
pub async fn set_secret(cli: &Cli, project: &str, provider: &str, secret: &str, more: &[&str]) -> Output {
    let mut set = vec!["intake", "secret", "--project", project, "--provider", provider];
    set.extend(more);
    cli.run_with_input(&set, &format!("{secret}\n")).await
}
