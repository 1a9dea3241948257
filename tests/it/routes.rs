//! Paths and methods, and the paths that need no key.

use sendpromptly_tests::api::{RECEIPT, RESULT};
use sendpromptly_tests::bodies::{now_millis, receipt, unique};
use sendpromptly_tests::http::Request;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const OPEN: [&str; 4] = [
    "/healthz",
    "/readyz",
    "/api/openapi.json",
    "/.well-known/security.txt",
];
const INGEST: [&str; 4] = [RECEIPT, RESULT, "/v1/receipt", "/v1/result"];

#[tokio::test]
async fn a_path_is_met_to_the_letter() {
    let world = World::start(StoreKind::Sqlite).await;
    for path in [
        "/api",
        "/api/v1",
        "/api/v1/receipt/",
        "/api/v1/receipts",
        "/API/v1/receipt",
        "//api/v1/receipt",
        "/api//v1/receipt",
        "/api/v1/./receipt",
        "/api/v1/x/../receipt",
        "/api/v1/%72eceipt",
        "/api/v1/receipt%00",
        "/api/v1/receipt;a=1",
        "/api/v2/receipt",
        "/healthz/",
        "/metrics",
        "/.well-known/",
    ] {
        for method in ["GET", "POST"] {
            let answer = Request::new(method, path).send(world.server.address).await;
            assert_eq!(answer.verdict(), "404 not_found", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_query_and_an_absolute_target_change_nothing() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for path in [
        "/api/v1/receipt?a=b",
        "http://localhost/api/v1/receipt",
        "/api/v1/receipt?",
    ] {
        let answer = api
            .request(path, &unique("key"), &receipt(&unique("evt")))
            .send(api.server)
            .await;
        assert_eq!(answer.verdict(), "202", "{path}");
    }
}

#[tokio::test]
async fn another_method_is_told_which_are_allowed() {
    let world = World::start(StoreKind::Sqlite).await;
    let methods = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
    ];
    for (paths, allowed) in [(&INGEST, "POST"), (&OPEN, "GET, HEAD")] {
        for path in paths {
            for method in methods {
                if allowed.split(", ").any(|known| known == method) {
                    continue;
                }
                let answer = Request::new(method, path).send(world.server.address).await;
                assert_eq!(answer.status, 405, "{method} {path}");
                assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
                let body = if method == "HEAD" {
                    String::new()
                } else {
                    answer.code()
                };
                assert_eq!(body.is_empty(), method == "HEAD", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let world = World::start(StoreKind::Sqlite).await;
    for path in OPEN {
        let get = world.server.get(path).await;
        let head = Request::new("HEAD", path).send(world.server.address).await;
        assert_eq!((get.status, head.status), (200, 200), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
        for name in ["content-type", "content-length", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn every_answer_bears_an_id_of_its_own_and_security_headers() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let right = api.request(RECEIPT, "key-1", &receipt("evt_1"));
    let requests = [
        right.clone(),
        right.clone(),
        right.clone().without("authorization"),
        right.clone().without("accept"),
        right.clone().without("content-type"),
        right.clone().without("idempotency-key"),
        right.clone().body("{}"),
        right.clone().body("x".repeat(65_537)),
        right.clone().with("idempotency-key", "key-2").body("{}"),
        right.clone().method("GET"),
        right.path("/nothing"),
        Request::new("GET", "/healthz"),
        Request::new("GET", "/readyz"),
        Request::new("HEAD", "/readyz"),
        Request::new("GET", "/api/openapi.json"),
        Request::new("GET", "/.well-known/security.txt"),
    ];
    let mut ids = std::collections::HashSet::new();
    for request in requests {
        let answer = request.header("x-request-id", "req_mine").send(api.server).await;
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert!(
            sendpromptly_tests::bodies::is_id("req_", &id.clone().into()),
            "{id}"
        );
        assert!(ids.insert(id), "an id stands twice");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{}", answer.text());
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert_eq!(answer.header("server"), None, "nobody needs to know");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn whom_to_tell_of_a_security_problem_is_said() {
    let options = Options::quick().set("--public-url", "https://sendpromptly.example");
    let world = World::start_with(StoreKind::Sqlite, &options, &[]).await;
    let answer = world.server.get("/.well-known/security.txt").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = answer.text();
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let value = lines.next().unwrap_or_else(|| panic!("no {name} in {text}"));
        assert!(lines.next().is_none(), "{name} stands twice");
        value.trim().to_owned()
    };
    assert!(field("Contact:").starts_with("https://"), "{text}");
    let canonical = "https://sendpromptly.example/.well-known/security.txt";
    assert_eq!(field("Canonical:"), canonical);
    let expires = OffsetDateTime::parse(&field("Expires:"), &Rfc3339).unwrap();
    let days = (expires.unix_timestamp() * 1_000 - now_millis()) / 86_400_000;
    assert!((1..=366).contains(&days), "{days} days");
}
