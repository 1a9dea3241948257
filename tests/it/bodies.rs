//! The body as a whole: JSON, its size, and its number of fields.

use std::fmt::Write;

use sendpromptly_tests::api::{Api, RECEIPT, RESULT};
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::{Answer, Connection, Request};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

/// The most bytes of a body.
const LIMIT: usize = 65_536;

fn request(api: &Api, path: &str, body: impl Into<Vec<u8>>) -> Request {
    api.request(path, &unique("key"), &serde_json::Value::Null)
        .body(body)
}

async fn send(api: &Api, body: impl Into<Vec<u8>>) -> Answer {
    request(api, RECEIPT, body).send(api.server).await
}

/// A receipt's JSON text with this much more before its last brace.
fn receipt_and(more: &str) -> String {
    let text = receipt(&unique("evt")).to_string();
    format!("{},{more}}}", text.strip_suffix('}').unwrap())
}

/// A receipt of exactly so many bytes.
fn receipt_of(length: usize) -> String {
    let short = receipt_and(r#""filler":"""#);
    let filler = "x".repeat(length - short.len());
    short.replace(r#""filler":"""#, &format!(r#""filler":"{filler}""#))
}

#[tokio::test]
async fn a_body_is_one_json_object() {
    let world = World::start(StoreKind::Sqlite).await;
    let wrong: &[&[u8]] = &[
        b"",
        b" ",
        b"null",
        b"[]",
        b"\"text\"",
        b"1",
        b"{",
        b"{}{}",
        b"{} x",
        b"{'a':1}",
        b"{\"a\":1,}",
        b"{\"a\":01}",
        b"{\"a\":NaN}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\\ud800\", }",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{\"a\":1/* comment */}",
        b"a=1&b=2",
        b"\x00",
    ];
    for path in [RECEIPT, RESULT] {
        for body in wrong {
            let name = String::from_utf8_lossy(body);
            let answer = request(&world.api(), path, *body)
                .send(world.server.address)
                .await;
            assert_eq!(answer.verdict(), "422 validation_error", "{path} {name:?}");
            assert_eq!(answer.wrong_fields(), ["body"], "{path} {name:?}");
        }
    }
}

#[tokio::test]
async fn a_field_that_stands_twice_is_refused_in_every_spelling() {
    let world = World::start(StoreKind::Sqlite).await;
    for twice in [
        r#""provider":"stripe""#,
        r#""provider":null"#,
        r#""\u0070rovider":"shopify""#,
        r#""a":1,"a":1"#,
    ] {
        let answer = send(&world.api(), receipt_and(twice)).await;
        assert_eq!(answer.verdict(), "422 validation_error", "{twice}");
        assert_eq!(answer.wrong_fields(), ["body"], "{twice}");
    }
    let inside = send(&world.api(), receipt_and(r#""payload":{"a":1,"a":2}"#)).await;
    assert_eq!(inside.verdict(), "202", "a payload is not looked into");
}

#[tokio::test]
async fn a_body_has_at_most_32_fields() {
    let world = World::start(StoreKind::Sqlite).await;
    let fields = |count: usize| {
        let text = (0..count).fold(String::new(), |mut text, n| {
            write!(text, r#","f{n}":{n}"#).unwrap();
            text
        });
        text[1..].to_owned()
    };
    let verdict = async |more| send(&world.api(), receipt_and(&fields(more))).await.verdict();
    assert_eq!(verdict(32 - 6).await, "202", "a receipt has 6 of its own");
    assert_eq!(verdict(32 - 5).await, "413 too_many_fields");
    assert_eq!(verdict(5_000).await, "413 too_many_fields");
}

#[tokio::test]
async fn integers_are_written_without_fraction_or_exponent() {
    let world = World::start(StoreKind::Sqlite).await;
    for wrong in [
        "30.0",
        "3e1",
        "3E1",
        "+30",
        "030",
        "-0",
        "99999999999999999999",
        "0x1e",
    ] {
        let answer = send(
            &world.api(),
            receipt_and(&format!(r#""timeout_minutes":{wrong}"#)),
        )
        .await;
        assert_eq!(answer.verdict(), "422 validation_error", "{wrong}");
    }
    for right in ["30", " 30 ", "1", "43200"] {
        let answer = send(
            &world.api(),
            receipt_and(&format!(r#""timeout_minutes":{right}"#)),
        )
        .await;
        assert_eq!(answer.verdict(), "202", "{right}");
    }
}

#[tokio::test]
async fn half_of_a_surrogate_pair_is_no_text() {
    let world = World::start(StoreKind::Sqlite).await;
    let body = receipt("evt_1").to_string().replace("customer_42", "\\ud83e");
    let answer = send(&world.api(), body).await;
    assert_eq!(answer.wrong_fields(), ["internal_reference"]);
    let body = receipt("evt_1")
        .to_string()
        .replace("customer_42", "\\ud83e\\udd80");
    assert_eq!(send(&world.api(), body).await.verdict(), "202");
}

#[tokio::test]
async fn a_payload_is_nested_no_deeper_than_128() {
    let world = World::start(StoreKind::Sqlite).await;
    // The payload itself is one level, and each bracket one more.
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        receipt_and(&format!(r#""payload":{{"a":{open}{close}}}"#))
    };
    assert_eq!(send(&world.api(), nested(128)).await.verdict(), "202");
    for depth in [129, 1_000, 30_000] {
        let answer = send(&world.api(), nested(depth)).await;
        assert_eq!(answer.verdict(), "422 validation_error", "{depth}");
        assert_eq!(answer.wrong_fields(), ["payload"], "{depth}");
    }
    let in_text = format!(r#""payload":{{"a":"\"{}"}}"#, "[{".repeat(1_000));
    assert_eq!(send(&world.api(), receipt_and(&in_text)).await.verdict(), "202");
}

/// An unknown field is ignored, and however deep it is, it does no harm.
#[tokio::test]
async fn a_deep_unknown_field_does_no_harm() {
    let world = World::start(StoreKind::Sqlite).await;
    let deep = format!(r#""unknown":{}{}"#, "[".repeat(30_000), "]".repeat(30_000));
    let answer = send(&world.api(), receipt_and(&deep)).await;
    assert!(matches!(answer.status, 202 | 422), "{}", answer.text());
    let open = format!(r#"{{"unknown":{}"#, "[".repeat(60_000));
    assert_eq!(send(&world.api(), open).await.wrong_fields(), ["body"]);
    assert_eq!(send(&world.api(), receipt_and(r#""a":1"#)).await.verdict(), "202");
}

#[tokio::test]
async fn a_body_has_at_most_65536_bytes_however_it_is_sent() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for (length, verdict) in [(LIMIT, "202"), (LIMIT + 1, "413 payload_too_large")] {
        let whole = request(&api, RECEIPT, receipt_of(length));
        assert_eq!(
            whole.send(api.server).await.verdict(),
            verdict,
            "{length} at once"
        );
        for chunk in [1_000, 70_000] {
            let chunked = request(&api, RECEIPT, receipt_of(length)).chunked(chunk);
            let answer = chunked.send(api.server).await;
            assert_eq!(answer.verdict(), verdict, "{length} in chunks of {chunk}");
        }
    }
}

/// A client that has not read the answer yet goes on sending; it must get to read it nevertheless.
#[tokio::test]
async fn a_body_that_is_far_too_large_is_answered_while_it_comes() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let large = "x".repeat(4 << 20);
    let answer = send(&api, large.clone()).await;
    assert_eq!(answer.verdict(), "413 payload_too_large");
    let chunked = request(&api, RECEIPT, large).chunked(16_384);
    assert_eq!(chunked.send(api.server).await.verdict(), "413 payload_too_large");
}

#[tokio::test]
async fn an_announced_length_is_refused_before_the_body_is_sent() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for length in ["65537", "4294967296", "9223372036854775807"] {
        for expect in [false, true] {
            let mut head = request(&api, RECEIPT, "").header("content-length", length);
            if expect {
                head = head.header("expect", "100-continue");
            }
            let mut connection = Connection::open(api.server).await;
            connection.send(&head.to_bytes()).await;
            let answer = connection.answer().await.expect("an answer without the body");
            assert_eq!(answer.verdict(), "413 payload_too_large", "{length}");
        }
    }
}

#[tokio::test]
async fn a_client_may_wait_to_be_told_to_go_on() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let body = receipt("evt_1").to_string();
    let head = request(&api, RECEIPT, "")
        .header("content-length", body.len().to_string())
        .header("expect", "100-continue");
    let mut connection = Connection::open(api.server).await;
    connection.send(&head.to_bytes()).await;
    assert_eq!(connection.interim().await, 100);
    connection.send(body.as_bytes()).await;
    assert_eq!(connection.answer().await.unwrap().verdict(), "202");
}
