//! The app, configured from the environment: see `README.md`.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use stripe_webhook_app::jobs::Jobs;
use stripe_webhook_app::outbox::Outbox;
use stripe_webhook_app::sender::Sender;
use stripe_webhook_app::stripe_signature::StripeSecret;
use stripe_webhook_app::{database, webhook};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let secret = StripeSecret::new(&required("STRIPE_WEBHOOK_SECRET")?)
        .map_err(|error| format!("STRIPE_WEBHOOK_SECRET: {error}"))?;
    let api_key = required("API_KEY")?;
    let server = optional("API_URL", "http://127.0.0.1:8080").parse()?;
    let listen: SocketAddr = optional("LISTEN", "127.0.0.1:4242").parse()?;
    let file = PathBuf::from(optional("DATABASE", "stripe-webhook-app.db"));

    let pool = database::open(&file).await?;
    // A real app has accounts of its own.
    database::create_account(&pool, "account_42").await?;
    let outbox = Outbox::new(pool.clone());
    let refused = outbox.count_refused().await?;
    if refused > 0 {
        tracing::error!(refused, "messages in the outbox were REFUSED: see the README");
    }
    let jobs = Jobs::new(pool, outbox.clone());
    let sender = Sender::new(outbox, server, api_key)?;
    let listener = TcpListener::bind(listen).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");

    let router = webhook::router(secret, jobs.clone());
    // Nothing needs to be brought in order at a stop: what is committed goes on at the next start.
    tokio::select! {
        ended = async { axum::serve(listener, router).await } => ended?,
        () = jobs.run() => {}
        () = sender.run() => {}
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(())
}

fn required(name: &str) -> Result<String, String> {
    let value = env::var(name).ok().filter(|value| !value.trim().is_empty());
    value.ok_or_else(|| format!("{name} must be set, and not blank: see the README"))
}

fn optional(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
