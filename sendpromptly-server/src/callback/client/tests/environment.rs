//! What the environment says must not matter. Each test runs itself again as a child with other variables set, for
//! a process cannot change its own safely.

use std::process::Command;

use tokio::net::TcpListener;

use super::*;

/// Set in the child.
const CHILD: &str = "SENDPROMPTLY_TEST_CHILD";

/// Runs the test `name` of this module in a child with `variables` set, and asserts that it passes there.
async fn passes_as_child(name: &str, variables: Vec<(&'static str, String)>) {
    let name = format!("callback::client::tests::environment::{name}");
    let run = move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .env_remove("REQUEST_METHOD")
            .envs(variables)
            .env(CHILD, "1")
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("1 passed"), "the child ran nothing: {said}");
}

fn in_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[tokio::test]
async fn ignores_proxy_variables() {
    if in_child() {
        let endpoint = Endpoint::start("HTTP/1.1 204 No Content\r\n\r\n", Then::Close).await;
        assert_eq!(answer(&post(development(), &endpoint.url()).await).0, 204);
        return;
    }
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let names = [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ];
    let variables = names.map(|name| (name, url.clone())).to_vec();
    passes_as_child("ignores_proxy_variables", variables).await;
    assert!(untouched(&proxy).await);
}

#[tokio::test]
async fn starts_without_root_certificates_and_then_trusts_nobody() {
    if in_child() {
        let endpoint = Endpoint::start("HTTP/1.1 204 No Content\r\n\r\n", Then::Close).await;
        assert_eq!(answer(&post(development(), &endpoint.url()).await).0, 204);
        let outcome = tls::call_with_system_roots_only().await;
        assert_eq!(failure(&outcome), NetworkErrorKind::Certificate);
        return;
    }
    let nowhere = || "/nonexistent/sendpromptly".to_owned();
    let variables = vec![("SSL_CERT_FILE", nowhere()), ("SSL_CERT_DIR", nowhere())];
    passes_as_child(
        "starts_without_root_certificates_and_then_trusts_nobody",
        variables,
    )
    .await;
}
