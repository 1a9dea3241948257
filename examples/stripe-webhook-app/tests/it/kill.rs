//! The real app, killed with SIGKILL between what it stores and what it sends.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::ingest::Ingest;
use crate::world::{CHECKOUT, INVOICE, SECRET, deliver, signature};

struct App {
    process: Child,
    webhook: String,
}

impl App {
    async fn start(database: &Path, server: std::net::SocketAddr) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_stripe-webhook-app"))
            .env("STRIPE_WEBHOOK_SECRET", SECRET)
            .env("API_KEY", "sk_test")
            .env("API_URL", format!("http://{server}"))
            .env("DATABASE", database)
            .env("LISTEN", "127.0.0.1:0")
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next_line().await.unwrap().expect("the app starts");
            if let Some((_, address)) = line.split_once("listening address=") {
                break address.to_owned();
            }
        };
        // What it says later has to go somewhere.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let webhook = format!("http://{address}/webhooks/stripe");
        Self { process, webhook }
    }
}

#[tokio::test]
async fn a_kill_between_storing_and_sending_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("app.db");
    // It takes connections and never answers, so each message is on its way when the app is killed.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = silent.local_addr().unwrap();

    let mut app = App::start(&database, server).await;
    for event in [CHECKOUT, INVOICE] {
        assert_eq!(deliver(&app.webhook, event, &signature(event)).await, 200);
    }
    drop(silent.accept().await.unwrap());
    app.process.kill().await.unwrap();
    drop(silent);

    let ingest = Ingest::start_on(TcpListener::bind(server).await.unwrap(), &[]);
    let _app = App::start(&database, server).await;
    let requests = ingest.after(4).await;
    for (key, expected) in [
        ("evt_1SaQ4nKd7Lw2TzVbM9xUeR3c/receipt", "access_unlock"),
        ("evt_1SaQ9fKd7Lw2TzVbXo4HsJ6p/receipt", "credit_grant"),
    ] {
        let sent: Vec<_> = requests.iter().filter(|request| request.key == key).collect();
        assert_eq!(sent.len(), 1, "{key}");
        assert_eq!(sent[0].json()["effect_type"], expected);
    }
    let results = requests.iter().filter(|request| request.path == "/api/v1/result");
    assert!(
        results.clone().count() == 2
            && results
                .map(|result| result.json())
                .all(|r| r["status"] == "success")
    );
}
