//! HTTP itself: HTTP/2, kept connections, pipelining, and what is not quite HTTP.

use serde_json::json;

use sendpromptly_tests::api::{Api, RECEIPT, RESULT};
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::{Connection, Request};
use sendpromptly_tests::http2::Http2;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::PATIENCE;
use sendpromptly_tests::world::World;

fn request(api: &Api) -> Request {
    api.request(RECEIPT, &unique("key"), &receipt(&unique("evt")))
}

#[tokio::test]
async fn http_2_carries_the_same_answers() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let mut connection = Http2::open(api.server).await;
    let bearer = format!("Bearer {}", api.key);
    let headers = [
        ("authorization", bearer.as_str()),
        ("idempotency-key", "key-1"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
    ];
    let body = receipt("evt_1").to_string();
    let first = connection.post(RECEIPT, &headers, body.clone()).await;
    assert_eq!(first.verdict(), "202", "{}", first.text());
    let again = request(&api).with("idempotency-key", "key-1").body(body);
    let again = again.send(api.server).await;
    assert_eq!(again.text(), first.text(), "over HTTP/1.1 it is the same request");

    let mut verdict = async |path, headers: &[(&str, &str)], body: String| {
        connection.post(path, headers, body).await.verdict()
    };
    assert_eq!(
        verdict(RECEIPT, &headers, "x".repeat(65_537)).await,
        "413 payload_too_large"
    );
    assert_eq!(
        verdict(RECEIPT, &headers[1..], String::new()).await,
        "401 unauthorized"
    );
    assert_eq!(
        verdict(RECEIPT, &headers, "{}".to_owned()).await,
        "422 validation_error"
    );
    assert_eq!(
        verdict("/nothing", &headers, String::new()).await,
        "404 not_found"
    );
    assert_eq!(
        verdict("/healthz", &headers, String::new()).await,
        "405 method_not_allowed"
    );
    let result = json!({ "provider_event_id": "evt_1", "status": "success" }).to_string();
    let with_key = [headers[0], ("idempotency-key", "key-2"), headers[2], headers[3]];
    assert_eq!(
        verdict(RESULT, &with_key, result).await,
        "202",
        "the connection is good still"
    );
}

#[tokio::test]
async fn a_connection_is_kept_after_a_refusal() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let mut connection = Connection::open(api.server).await;
    for (request, verdict) in [
        (request(&api), "202"),
        (request(&api).without("authorization"), "401 unauthorized"),
        (request(&api).body("{}"), "422 validation_error"),
        (request(&api).path("/nothing"), "404 not_found"),
        (request(&api), "202"),
    ] {
        assert!(connection.send(&request.to_bytes()).await);
        assert_eq!(connection.answer().await.unwrap().verdict(), verdict);
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let mut bytes = Vec::new();
    for id in ["evt_1", "evt_2", "evt_1"] {
        bytes.extend(request(&api).body(receipt(id).to_string()).chunked(10).to_bytes());
    }
    bytes.extend(request(&api).without("accept").to_bytes());
    let mut connection = Connection::open(api.server).await;
    connection.send(&bytes).await;
    let mut events = Vec::new();
    for _ in 0..3 {
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.verdict(), "202", "{}", answer.text());
        events.push(answer.json()["event_id"].clone());
    }
    assert_eq!(events[0], events[2]);
    assert_ne!(events[0], events[1]);
    assert_eq!(
        connection.answer().await.unwrap().verdict(),
        "406 missing_accept_header"
    );
}

#[tokio::test]
async fn a_request_in_tiny_pieces_is_read_whole() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let mut connection = Connection::open(api.server).await;
    for byte in request(&api).chunked(7).to_bytes().chunks(3) {
        connection.send(byte).await;
    }
    assert_eq!(connection.answer().await.unwrap().verdict(), "202");
}

/// A valid receipt with this in place of its request line and headers' start.
fn raw(api: &Api, start: &str, headers: &str) -> Vec<u8> {
    let body = receipt(&unique("evt")).to_string();
    format!(
        "{start}\r\nauthorization: Bearer {}\r\nidempotency-key: {}\r\naccept: */*\r\n\
         content-type: application/json\r\n{}\r\n\r\n{body}",
        api.key,
        unique("key"),
        headers.replace("LENGTH", &body.len().to_string()),
    )
    .into_bytes()
}

const START: &str = "POST /api/v1/receipt HTTP/1.1\r\nhost: localhost";
const LENGTH: &str = "content-length: LENGTH";

/// It is refused with a 4xx, or the connection is closed; and nothing after it is read as a request.
async fn is_refused(api: &Api, name: &str, bytes: &[u8]) {
    let mut connection = Connection::open(api.server).await;
    connection.send(bytes).await;
    if let Some(answer) = connection.answer().await {
        assert!(
            matches!(answer.status, 400 | 414 | 431),
            "{name}: {}",
            answer.status
        );
    }
    connection.send(&Request::new("GET", "/healthz").to_bytes()).await;
    assert!(
        connection.closes_within(PATIENCE).await,
        "{name}: the connection lives"
    );
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let mut connection = Connection::open(api.server).await;
    connection.send(&raw(&api, START, LENGTH)).await;
    assert_eq!(
        connection.answer().await.unwrap().verdict(),
        "202",
        "what is left alone is right"
    );

    let long = "x".repeat(20_000);
    let many = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    for (name, start) in [
        ("no version", "POST /api/v1/receipt".to_owned()),
        ("another protocol", "POST /api/v1/receipt RTSP/1.0".to_owned()),
        (
            "a version that is not",
            "POST /api/v1/receipt HTTP/3.7".to_owned(),
        ),
        ("no target", "POST HTTP/1.1".to_owned()),
        (
            "a space in the target",
            "POST /api/v1/receipt x HTTP/1.1".to_owned(),
        ),
        (
            "a control character in the target",
            "POST /api/v1/\u{1}receipt HTTP/1.1".to_owned(),
        ),
        ("a broken method", "PO(ST /api/v1/receipt HTTP/1.1".to_owned()),
        ("a long target", format!("POST /{long} HTTP/1.1")),
        ("a long header", format!("{START}\r\nx: {long}")),
        ("many headers", format!("{START}\r\n{}", many.trim_end())),
        ("a space before the colon", format!("{START}\r\nx : 1")),
        ("a header without a name", format!("{START}\r\n: 1")),
        ("a header without a colon", format!("{START}\r\nnothing")),
        ("a folded header", format!("{START}\r\nx: 1\r\n 2")),
        ("a DEL in a header", format!("{START}\r\nx: \u{7f}")),
        ("a NUL in a header", format!("{START}\r\nx: \u{0}")),
        ("a bare CR in a header", format!("{START}\r\nx: a\rb: c")),
        (
            "TLS to a plain port",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned(),
        ),
        ("nothing but text", "hello".to_owned()),
    ] {
        is_refused(&api, name, &raw(&api, &start, LENGTH)).await;
    }
    assert_eq!(request(&api).send(api.server).await.verdict(), "202");
}

#[tokio::test]
async fn two_ways_to_read_a_length_are_none() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for (name, headers) in [
        ("two lengths", "content-length: LENGTH\r\ncontent-length: 3"),
        ("two lengths in one", "content-length: LENGTH, 3"),
        ("a negative length", "content-length: -1"),
        ("a signed length", "content-length: +LENGTH"),
        ("a length in hex", "content-length: 0x10"),
        ("an empty length", "content-length:"),
        (
            "a length beyond all bounds",
            "content-length: 99999999999999999999999",
        ),
        ("another coding", "transfer-encoding: gzip"),
        ("chunked, but not last", "transfer-encoding: chunked, gzip"),
        ("a spoilt coding", "transfer-encoding: xchunked"),
        ("no coding", "transfer-encoding: identity"),
    ] {
        is_refused(&api, name, &raw(&api, START, headers)).await;
    }
    let old = "POST /api/v1/receipt HTTP/1.0\r\nhost: localhost";
    is_refused(
        &api,
        "chunks in HTTP/1.0",
        &raw(&api, old, "transfer-encoding: chunked"),
    )
    .await;
    assert_eq!(world.sql().await.rows("events").await, 0, "none was accepted");
}

#[tokio::test]
async fn broken_chunks_are_refused() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for (name, chunks) in [
        ("no hex", "xyz\r\n{}\r\n0\r\n\r\n"),
        ("a negative size", "-2\r\n{}\r\n0\r\n\r\n"),
        (
            "a size beyond all bounds",
            "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        ),
        ("more than announced", "1\r\n{}\r\n0\r\n\r\n"),
        ("no size", "\r\n{}\r\n0\r\n\r\n"),
        ("a bare line feed after a chunk", "2\r\n{}\n0\r\n\r\n"),
    ] {
        let broken = request(&api)
            .header("transfer-encoding", "chunked")
            .body(chunks.as_bytes());
        is_refused(&api, name, &broken.to_bytes()).await;
    }
    assert_eq!(request(&api).send(api.server).await.verdict(), "202");
}

/// Where both stand, chunks decide (RFC 9112, section 6.3): what a proxy might have taken for the rest of the
/// body is never a body of ours.
#[tokio::test]
async fn chunks_count_more_than_a_length_beside_them() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for length in ["0", "5", "100000"] {
        let both = request(&api).chunked(50).header("content-length", length);
        let mut connection = Connection::open(api.server).await;
        connection.send(&both.to_bytes()).await;
        let answer = connection.answer().await;
        let status = answer.map_or(400, |answer| answer.status);
        assert!(matches!(status, 202 | 400), "{length}: {status}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_accepted() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let whole = request(&api).to_bytes();
    for cut in [1, 20, 100] {
        let mut connection = Connection::open(api.server).await;
        connection.send(&whole[..whole.len() - cut]).await;
        connection.finish().await;
        let answer = connection.answer().await;
        assert!(
            answer.is_none_or(|answer| answer.status == 400),
            "{cut} bytes are missing"
        );
    }
    assert_eq!(world.sql().await.rows("events").await, 0);
}

#[tokio::test]
async fn a_header_that_stands_twice_is_no_header() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let bearer = format!("Bearer {}", api.key);
    for (name, value, verdict) in [
        ("authorization", bearer.as_str(), "401 unauthorized"),
        ("idempotency-key", "key-1", "400 invalid_idempotency_key"),
    ] {
        let twice = request(&api).with(name, value).header(name, value);
        assert_eq!(twice.send(api.server).await.verdict(), verdict);
    }
}

#[tokio::test]
async fn a_request_has_one_host() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let line = "POST /api/v1/receipt HTTP/1";
    for (start, verdict) in [
        (format!("{line}.1"), "400 bad_request"),
        (format!("{line}.1\r\nhost: a\r\nhost: b"), "400 bad_request"),
        (format!("{line}.1\r\nhost: a"), "202"),
        (format!("{line}.0"), "202"),
    ] {
        let mut connection = Connection::open(api.server).await;
        connection.send(&raw(&api, &start, LENGTH)).await;
        let answer = connection.answer().await.unwrap();
        assert_eq!(answer.verdict(), verdict, "{start:?}");
    }
}
