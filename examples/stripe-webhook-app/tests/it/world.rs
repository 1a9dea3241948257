//! The app's parts in this process, on a database of their own.

use sqlx::sqlite::SqlitePool;
use stripe_webhook_app::clock::unix_millis;
use stripe_webhook_app::jobs::Jobs;
use stripe_webhook_app::outbox::Outbox;
use stripe_webhook_app::sender::Sender;
use stripe_webhook_app::stripe_signature::StripeSecret;
use stripe_webhook_app::{database, webhook};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) const CHECKOUT: &str = include_str!("../../fixtures/checkout.session.completed.json");
pub(crate) const INVOICE: &str = include_str!("../../fixtures/invoice.paid.json");
pub(crate) const CHECKOUT_ID: &str = "evt_1SaQ4nKd7Lw2TzVbM9xUeR3c";
pub(crate) const SECRET: &str = "whsec_test";

/// A signature of now.
pub(crate) fn signature(body: &str) -> String {
    signature_of(body, unix_millis())
}

/// A signature of this time, in Unix milliseconds.
pub(crate) fn signature_of(body: &str, at: i64) -> String {
    let seconds = u64::try_from(at / 1000).unwrap();
    StripeSecret::new(SECRET).unwrap().sign(body.as_bytes(), seconds)
}

pub(crate) struct World {
    _directory: TempDir,
    pub(crate) pool: SqlitePool,
    pub(crate) outbox: Outbox,
    pub(crate) jobs: Jobs,
    webhook: String,
}

impl World {
    /// Where `account_42` exists.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pool = database::open(&directory.path().join("app.db")).await.unwrap();
        database::create_account(&pool, "account_42").await.unwrap();
        let outbox = Outbox::new(pool.clone());
        let jobs = Jobs::new(pool.clone(), outbox.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
        let router = webhook::router(StripeSecret::new(SECRET).unwrap(), jobs.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            _directory: directory,
            pool,
            outbox,
            jobs,
            webhook,
        }
    }

    /// Stripe delivers an event; gives the status of the answer.
    pub(crate) async fn deliver(&self, body: &str, signature: &str) -> u16 {
        deliver(&self.webhook, body, signature).await
    }

    /// A sender that brings this app's messages to this address.
    pub(crate) fn sender_to(&self, address: std::net::SocketAddr) -> Sender {
        let url = format!("http://{address}").parse().unwrap();
        Sender::new(self.outbox.clone(), url, "sk_test".to_owned()).unwrap()
    }

    /// The first column of the first row.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }
}

pub(crate) async fn deliver(url: &str, body: &str, signature: &str) -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let request = reqwest::Client::new()
        .post(url)
        .header("Stripe-Signature", signature);
    request
        .body(body.to_owned())
        .send()
        .await
        .unwrap()
        .status()
        .as_u16()
}
