//! The app, configured from the environment: see `README.md`.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum_repair_endpoint::{database, repair};
use sendpromptly_verify::{Endpoint, Verifier};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let secrets = env::var("SIGNING_SECRETS").map_err(|_| "SIGNING_SECRETS must be set: see the README")?;
    let verifier = Verifier::new(secrets.split(','))?;
    let listen: SocketAddr = optional("LISTEN", "127.0.0.1:4243").parse()?;
    let file = PathBuf::from(optional("DATABASE", "axum-repair-endpoint.db"));

    let pool = database::open(&file).await?;
    database::create_example(&pool, "account_42", "evt_example", 500).await?;
    let listener = TcpListener::bind(listen).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let router = repair::router(Endpoint::new(verifier), pool);
    tokio::select! {
        ended = async { axum::serve(listener, router).await } => ended?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(())
}

fn optional(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
