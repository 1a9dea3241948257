//! The app on a database of its own.

use axum_repair_endpoint::{database, repair};
use sendpromptly_verify::{Endpoint, Verifier};
use sqlx::sqlite::SqlitePool;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::callback::{Callback, PAYMENT, SECRET};

pub(crate) struct App {
    _directory: TempDir,
    pub(crate) pool: SqlitePool,
    url: String,
}

/// Status and `X-SendPromptly-Result`.
pub(crate) type Answer = (u16, Option<String>);

pub(crate) fn success() -> Answer {
    (200, Some("success".to_owned()))
}

impl App {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let pool = database::open(&directory.path().join("app.db")).await.unwrap();
        database::create_example(&pool, "account_42", PAYMENT, 500)
            .await
            .unwrap();
        let endpoint = Endpoint::new(Verifier::new([SECRET]).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/repair", listener.local_addr().unwrap());
        let router = repair::router(endpoint, pool.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            _directory: directory,
            pool,
            url,
        }
    }

    pub(crate) async fn call(&self, callback: Callback) -> Answer {
        call(&self.url, callback).await.unwrap()
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }

    pub(crate) async fn credits(&self) -> i64 {
        credits(&self.pool).await
    }
}

pub(crate) async fn credits(pool: &SqlitePool) -> i64 {
    let credits = sqlx::query_scalar("SELECT credits FROM accounts");
    credits.fetch_one(pool).await.unwrap()
}

pub(crate) async fn call(url: &str, callback: Callback) -> reqwest::Result<Answer> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let response = reqwest::Client::new()
        .post(url)
        .header("X-SendPromptly-Timestamp", callback.timestamp)
        .header("X-SendPromptly-Nonce", callback.nonce)
        .header("X-SendPromptly-Signature", callback.signature)
        .body(callback.body)
        .send()
        .await?;
    let result = response.headers().get("x-sendpromptly-result");
    let result = result.map(|value| value.to_str().unwrap().to_owned());
    Ok((response.status().as_u16(), result))
}
