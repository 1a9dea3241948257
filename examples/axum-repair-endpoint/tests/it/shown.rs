//! The Rust lines that the console shows on a new project's page do what they say.

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;

use crate::callback::{CREDITS, Callback, Repair, SECRET};

#[path = "../../../../sendpromptly-server/templates/shown/receipt.rs"]
#[allow(dead_code, unreachable_pub)] // its last lines name the reader's server
mod receipt;
#[path = "../../../../sendpromptly-server/templates/shown/repair.rs"]
#[allow(clippy::print_stdout, unreachable_pub)]
mod repair;

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/repair")
}

async fn send(url: &str, callback: &Callback) -> (u16, Option<String>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::Client::new()
        .post(url)
        .header("x-sendpromptly-timestamp", callback.timestamp)
        .header("x-sendpromptly-nonce", &callback.nonce)
        .header("x-sendpromptly-signature", &callback.signature)
        .body(callback.body.clone())
        .send()
        .await
        .unwrap();
    let result = answer.headers().get("x-sendpromptly-result");
    let result = result.map(|result| result.to_str().unwrap().to_owned());
    (answer.status().as_u16(), result)
}

#[tokio::test]
async fn the_shown_endpoint_applies_a_repair_and_not_a_test() {
    let url = serve(repair::repair_routes(SECRET).unwrap()).await;
    let test = Repair {
        effect: "test",
        ..CREDITS
    };
    assert_eq!(send(&url, &test.attempt()).await, (200, None));
    let success = Some("success".to_owned());
    assert_eq!(send(&url, &CREDITS.attempt()).await, (200, success));
    let mut forged = CREDITS.attempt();
    forged.body.push(b' ');
    assert_eq!(send(&url, &forged).await, (401, None));
}

#[tokio::test]
async fn the_shown_sender_sends_a_receipt_and_tells_of_a_refusal() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let take = async |headers: HeaderMap, body: Bytes| {
        let is_json = headers["content-type"] == "application/json";
        let receipt: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let fits =
            is_json && headers.contains_key("idempotency-key") && receipt["effect_type"] == "access_unlock";
        match headers["authorization"].to_str().unwrap() {
            "Bearer sk_good" if fits => StatusCode::ACCEPTED,
            _ => StatusCode::UNAUTHORIZED,
        }
    };
    let url = serve(Router::new().route("/api/v1/receipt", post(take))).await;
    let server = url.strip_suffix("/repair").unwrap();
    let http = reqwest::Client::new();
    assert!(receipt::send_receipt(&http, server, "sk_good").await.is_ok());
    assert!(receipt::send_receipt(&http, server, "sk_bad").await.is_err());
}
