//! Plain HTTP beside HTTPS: sent on, but for a request that bears a credential.

use sendpromptly_tests::api::RECEIPT;
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::{Answer, Connection, Request};
use sendpromptly_tests::http2::Http2;
use sendpromptly_tests::https::HttpsWorld;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use serde_json::Value;

on_both_stores!(a_live_key_that_came_in_clear_is_refused_and_audited_once);

fn assert_sent_on(answer: &Answer, to: &str) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (308, Some(to)),
        "{answer:?}"
    );
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(
        answer.header("strict-transport-security"),
        None,
        "it means nothing over plain HTTP"
    );
}

fn assert_exposed(answer: &Answer) {
    assert_eq!(answer.verdict(), "403 https_required", "{answer:?}");
    let json = answer.json();
    let message = json["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("travelled in clear") && message.contains("revoke"),
        "{message}"
    );
    assert_eq!(json["request_id"].as_str(), answer.header("x-request-id"));
    assert_eq!(answer.header("strict-transport-security"), None);
    assert_eq!(answer.header("location"), None);
}

async fn exposures(world: &HttpsWorld) -> Vec<Value> {
    let export = world
        .cli
        .run(&["audit", "export", "--org", &world.organization])
        .await;
    let entries = export.json_lines().into_iter();
    entries
        .filter(|entry| entry["action"] == "api_key.exposed")
        .collect()
}

#[tokio::test]
async fn every_request_is_sent_on_with_its_path_and_query() {
    let world = HttpsWorld::start(StoreKind::Sqlite).await;
    let port = world.server.address.port();
    for (method, path) in [
        ("GET", "/"),
        ("HEAD", "/healthz"),
        ("POST", "/api/v1/receipt?a=b%20c"),
        ("DELETE", "//evil.example/x?y"),
        ("OPTIONS", "/nothing"),
        ("GET", "http://evil.example/x"),
    ] {
        let answer = world.send_plain(&Request::new(method, path)).await;
        let path = path.strip_prefix("http://evil.example").unwrap_or(path);
        assert_sent_on(&answer, &format!("https://localhost:{port}{path}"));
    }
    let answer = world.send_plain(&Request::new("OPTIONS", "*")).await;
    assert_sent_on(&answer, &format!("https://localhost:{port}/"));
    let named = Request::new("GET", "/x").header("host", "pay.example.com:80");
    assert_sent_on(
        &world.send_plain(&named).await,
        &format!("https://pay.example.com:{port}/x"),
    );
    for host in ["user@evil.example", "evil.example/", "a b", ""] {
        let answer = world
            .send_plain(&Request::new("GET", "/").header("host", host))
            .await;
        assert_eq!(answer.verdict(), "400 bad_request", "{host}");
    }
}

#[tokio::test]
async fn the_public_url_is_where_it_goes_whatever_host_is_named() {
    let options = Options::quick()
        .set("--redirect-listen", "127.0.0.1:0")
        .set("--public-url", "https://pay.example.com");
    let world = HttpsWorld::start_with(StoreKind::Sqlite, &options).await;
    for host in ["pay.example.com", "evil.example", "user@evil.example"] {
        let answer = world
            .send_plain(&Request::new("GET", "/x?y").header("host", host))
            .await;
        assert_sent_on(&answer, "https://pay.example.com/x?y");
    }
    let mut connection = Http2::open(world.server.redirects_at()).await;
    let answer = connection.post("/x", &[], "").await;
    assert_sent_on(&answer, "https://pay.example.com/x");
}

#[tokio::test]
async fn no_body_is_waited_for() {
    let world = HttpsWorld::start(StoreKind::Sqlite).await;
    let mut connection = Connection::open(world.server.redirects_at()).await;
    let head = b"POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000000\r\n\r\nhalf";
    assert!(connection.send(head).await);
    assert_eq!(connection.answer().await.unwrap().status, 308);
}

async fn a_live_key_that_came_in_clear_is_refused_and_audited_once(kind: StoreKind) {
    let world = HttpsWorld::start(kind).await;
    let request = || {
        world
            .api()
            .request(RECEIPT, &unique("key"), &receipt(&unique("evt")))
    };
    for _ in 0..3 {
        assert_exposed(&world.send_plain(&request()).await);
    }
    let listed = world
        .cli
        .run(&["key", "list", "--project", &world.project.id])
        .await;
    let key = &listed.json_lines()[0];
    assert!(
        key.get("exposed_at").is_none(),
        "the command line's form stays as it is"
    );
    let exposures = exposures(&world).await;
    assert_eq!(exposures.len(), 1, "{exposures:?}");
    assert_eq!(exposures[0]["actor"], "system:redirect");
    assert_eq!(exposures[0]["target"], key["key_id"]);
    assert!(
        exposures[0]["details"].to_string().contains("127.0.0.1"),
        "{exposures:?}"
    );
    let sql = world.store.sql().await;
    assert_eq!(
        sql.rows("events").await,
        0,
        "nothing that came in clear was handled"
    );
    assert!(!world.server.log().contains(&world.project.api_key));
    // Refused once more where it is revoked, and of no interest then.
    assert_eq!(
        world.send(&request()).await.verdict(),
        "202",
        "the key itself is good still"
    );
}

#[tokio::test]
async fn any_credential_is_refused_and_one_that_opens_nothing_is_not_audited() {
    let world = HttpsWorld::start(StoreKind::Sqlite).await;
    let unknown = "Bearer sk_F67VuXSkp3EZrn02ZR5lQrjiorc4K5C8xE3UJcQF";
    for (name, value) in [
        ("authorization", unknown),
        ("authorization", "Bearer sk_nonsense"),
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("authorization", ""),
        ("cookie", "session=abc"),
        ("cookie", "theme=dark; __Host-session=abc"),
    ] {
        let answer = world
            .send_plain(&Request::new("GET", "/").header(name, value))
            .await;
        assert_exposed(&answer);
    }
    let harmless = Request::new("GET", "/").header("cookie", "theme=dark");
    assert_eq!(world.send_plain(&harmless).await.status, 308);
    assert_eq!(exposures(&world).await, Vec::<Value>::new());
}

#[tokio::test]
async fn guessing_over_plain_http_tells_nothing() {
    let world = HttpsWorld::start(StoreKind::Sqlite).await;
    let unknown = "Bearer sk_F67VuXSkp3EZrn02ZR5lQrjiorc4K5C8xE3UJcQF";
    let mut answers = Vec::new();
    for _ in 0..150 {
        let answer = world
            .send_plain(&Request::new("GET", "/").header("authorization", unknown))
            .await;
        answers.push(answer.verdict());
    }
    assert!(
        answers.iter().all(|verdict| verdict == "403 https_required"),
        "{answers:?}"
    );
}
