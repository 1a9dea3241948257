//! What every answer bears, of the API and of the console, refused or not.

use sendpromptly_tests::api::RECEIPT;
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::{Answer, Request};
use sendpromptly_tests::http2::Http2;
use sendpromptly_tests::https::HttpsWorld;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::tls::HOST;

const HSTS: &str = "max-age=31536000; includeSubDomains";

/// Requests of every kind, and the status of each one's answer.
fn requests(key: &str) -> Vec<(Request, u16)> {
    let bearer = format!("Bearer {key}");
    let html = |path: &str| Request::new("GET", path).header("accept", "text/html");
    let send = || {
        Request::new("POST", RECEIPT)
            .header("authorization", &bearer)
            .header("idempotency-key", unique("key"))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(receipt(&unique("evt")).to_string())
    };
    vec![
        (send(), 202),
        (send().without("authorization"), 401),
        (send().without("accept"), 406),
        (send().without("content-type"), 415),
        (send().without("idempotency-key"), 400),
        (send().body(vec![b'x'; 65_537]), 413),
        (send().body("{}"), 422),
        (Request::new("GET", "/healthz"), 200),
        (Request::new("HEAD", "/readyz"), 200),
        (Request::new("GET", "/api/openapi.json"), 200),
        (Request::new("GET", "/.well-known/security.txt"), 200),
        (Request::new("POST", "/healthz"), 405),
        (Request::new("GET", "/nothing"), 404),
        (html("/nothing"), 404),
        (html("/"), 303),
        (html("/orgs"), 303),
        (html("/assets/nothing.css"), 404),
        (html("/healthz").method("DELETE"), 405),
        (
            Request::new("GET", "/").header("host", "a").header("host", "b"),
            400,
        ),
    ]
}

fn assert_guarded(answer: &Answer) {
    let header = |name: &str| {
        let value = answer.header(name);
        value
            .unwrap_or_else(|| panic!("no {name}: {answer:?}"))
            .to_owned()
    };
    assert!(header("x-request-id").starts_with("req_"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "same-origin");
    assert_eq!(header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(header("cache-control"), "no-store");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
}

#[tokio::test]
async fn every_answer_over_tls_bears_them_and_hsts() {
    let world = HttpsWorld::start(StoreKind::Sqlite).await;
    for (request, status) in requests(&world.project.api_key) {
        let answer = world.send(&request).await;
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
        assert_guarded(&answer);
        assert_eq!(
            answer.header("strict-transport-security"),
            Some(HSTS),
            "{request:?}"
        );
    }
    let by_http_2 = world.authority.client_of(rustls::DEFAULT_VERSIONS, &[b"h2"]);
    let stream = by_http_2.connect_as(world.server.address, HOST).await.unwrap();
    let mut connection = Http2::over(stream).await;
    let answer = connection.post("/nothing", &[], "").await;
    assert_guarded(&answer);
    assert_eq!(
        (answer.status, answer.header("strict-transport-security")),
        (404, Some(HSTS))
    );
}

#[tokio::test]
async fn every_answer_over_plain_http_bears_them_without_hsts() {
    let world = HttpsWorld::start(StoreKind::Sqlite).await;
    for (request, _) in requests("sk_none") {
        let answer = world.send_plain(&request).await;
        assert!(
            [308, 400, 403].contains(&answer.status),
            "{request:?}: {answer:?}"
        );
        assert_guarded(&answer);
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    let store = TestStore::new(StoreKind::Sqlite).await;
    let server = Server::start(&store, &Options::quick()).await;
    for (request, _) in requests("sk_none") {
        let forged = request.header("x-forwarded-proto", "https");
        let answer = forged.send(server.address).await;
        assert_guarded(&answer);
        assert_eq!(
            answer.header("strict-transport-security"),
            None,
            "nobody trusts the peer"
        );
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_its_word_on_tls_counts() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let options = Options::quick().set("--trusted-proxy", "127.0.0.1");
    let server = Server::start(&store, &options).await;
    for (forwarded, proto, expected) in [
        ("198.51.100.7", "https", Some(HSTS)),
        ("198.51.100.7", "http", None),
        ("198.51.100.7", "https, http", None),
        ("198.51.100.7, 127.0.0.1", "https, http", Some(HSTS)),
    ] {
        for (request, _) in requests("sk_none") {
            let request = request
                .header("x-forwarded-for", forwarded)
                .header("x-forwarded-proto", proto);
            let answer = request.send(server.address).await;
            assert_guarded(&answer);
            assert_eq!(answer.header("strict-transport-security"), expected, "{proto}");
        }
    }
}
