//! The client against endpoints on the loopback address that answer well, badly or not at all.

mod endpoint;
mod environment;
mod guard;
mod logs;
mod tls;

use std::future::{pending, ready};
use std::time::SystemTime;

use super::*;
use crate::callback::retry_after::RetryAfter;
use endpoint::{Endpoint, Then, untouched};

/// Long enough for a slow machine, so that no test passes by its running out.
const AMPLE: Duration = Duration::from_secs(20);
/// For the tests in which time runs out.
const SHORT: Duration = Duration::from_millis(50);

fn development() -> ClientConfig {
    let policy = AddressPolicy {
        allow_private: true,
        ..AddressPolicy::default()
    };
    ClientConfig {
        connect_timeout: AMPLE,
        total_timeout: AMPLE,
        body_timeout: AMPLE,
        ..ClientConfig::new(policy)
    }
}

async fn post(config: ClientConfig, url: &str) -> CallOutcome {
    let target = RepairUrl::parse(url, &config.policy).unwrap();
    let client = CallbackClient::new(config).unwrap();
    client
        .call(&target, Vec::new(), Bytes::from_static(b"{}"), pending())
        .await
}

/// Calls an endpoint that answers with `answer` and then closes.
async fn post_to(answer: impl Into<Vec<u8>>) -> CallOutcome {
    let endpoint = Endpoint::start(answer, Then::Close).await;
    post(development(), &endpoint.url()).await
}

/// The parts of an answer that a test may look at: status, result, head.
fn answer(outcome: &CallOutcome) -> (u16, Option<ReportedResult>, &[u8]) {
    match outcome {
        CallOutcome::Answered {
            status, result, head, ..
        } => (*status, *result, head),
        other => panic!("no answer: {other:?}"),
    }
}

fn failure(outcome: &CallOutcome) -> NetworkErrorKind {
    match outcome {
        CallOutcome::NetworkError { kind, .. } => *kind,
        other => panic!("no network error: {other:?}"),
    }
}

#[tokio::test]
async fn sends_the_request_as_it_was_given() {
    let endpoint = Endpoint::start("HTTP/1.1 204 No Content\r\n\r\n", Then::Close).await;
    let client = CallbackClient::new(development()).unwrap();
    let url = format!("{}?a=%20b", endpoint.url());
    let target = RepairUrl::parse(&url, &development().policy).unwrap();
    let headers = vec![
        (
            HeaderName::from_static("content-type"),
            HeaderValue::from_static("application/json"),
        ),
        (
            HeaderName::from_static("x-sendpromptly-attempt"),
            HeaderValue::from_static("2"),
        ),
    ];
    let outcome = client
        .call(
            &target,
            headers,
            Bytes::from_static(br#"{"replay_id":"rpl_1"}"#),
            pending(),
        )
        .await;
    assert_eq!(answer(&outcome), (204, None, &b""[..]));

    let address = endpoint.address;
    let request = endpoint.request().await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines().map(str::to_ascii_lowercase).collect::<Vec<_>>();
    lines.sort_unstable();
    let agent = format!("user-agent: sendpromptly/{}", env!("CARGO_PKG_VERSION"));
    let host = format!("host: {address}");
    assert_eq!(
        lines,
        [
            "accept: */*",
            "content-length: 21",
            "content-type: application/json",
            &host,
            "post /repair?a=%20b http/1.1",
            &agent,
            "x-sendpromptly-attempt: 2",
        ]
    );
    assert_eq!(body, r#"{"replay_id":"rpl_1"}"#);
}

#[tokio::test]
async fn reads_the_result_that_a_2xx_reports() {
    let outcome = post_to("HTTP/1.1 200 OK\r\nX-SendPromptly-Result: success\r\n\r\n").await;
    assert_eq!(answer(&outcome), (200, Some(ReportedResult::Success), &b""[..]));
    let outcome =
        post_to("HTTP/1.1 202 Accepted\r\nx-sendpromptly-result:  failed \r\n\r\nno such user").await;
    assert_eq!(
        answer(&outcome),
        (202, Some(ReportedResult::Failed), &b"no such user"[..])
    );
}

#[tokio::test]
async fn takes_no_result_from_other_statuses_or_unclear_headers() {
    for answer_head in [
        "HTTP/1.1 500 Oh\r\nX-SendPromptly-Result: success\r\n\r\n",
        "HTTP/1.1 302 Found\r\nX-SendPromptly-Result: success\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-SendPromptly-Result: success\r\nX-SendPromptly-Result: failed\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-SendPromptly-Result: Success\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-SendPromptly-Result: \r\n\r\n",
    ] {
        assert_eq!(answer(&post_to(answer_head).await).1, None, "{answer_head}");
    }
}

#[tokio::test]
async fn reads_retry_after_as_seconds_or_date() {
    let date = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    for (value, expected) in [
        ("Retry-After: 120\r\n", Some(RetryAfter::Seconds(120))),
        (
            "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            Some(RetryAfter::At(date)),
        ),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: \u{fc}\r\n", None),
        ("", None),
    ] {
        let outcome = post_to(format!("HTTP/1.1 503 Busy\r\n{value}\r\n")).await;
        let CallOutcome::Answered {
            status: 503,
            retry_after,
            ..
        } = outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(retry_after, expected, "{value}");
    }
}

#[tokio::test]
async fn passes_over_informational_answers() {
    let outcome = post_to(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\n\r\n",
    )
    .await;
    assert_eq!(answer(&outcome).0, 201);
}

#[tokio::test]
async fn an_offer_to_switch_protocols_is_an_answer() {
    let outcome =
        post_to("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await;
    assert_eq!(answer(&outcome).0, 101);
}

#[tokio::test]
async fn follows_no_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let location = elsewhere.local_addr().unwrap();
        let outcome = post_to(format!(
            "HTTP/1.1 {status} Go\r\nLocation: http://{location}/\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        assert_eq!(answer(&outcome).0, status);
        assert!(untouched(&elsewhere).await, "{status}");
    }
}

#[tokio::test]
async fn keeps_the_first_1024_bytes_of_a_body_that_never_ends() {
    let endpoint = Endpoint::start("HTTP/1.1 200 OK\r\n\r\n", Then::Flood).await;
    let outcome = post(development(), &endpoint.url()).await;
    assert_eq!(answer(&outcome), (200, None, &[b'x'; MAX_HEAD_BYTES][..]));
    endpoint.request().await; // ends only once the client has hung up
}

#[tokio::test]
async fn does_not_wait_for_a_body_that_stalls() {
    let endpoint = Endpoint::start(
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes!",
        Then::Hold,
    )
    .await;
    let config = ClientConfig {
        body_timeout: SHORT,
        ..development()
    };
    assert_eq!(
        answer(&post(config, &endpoint.url()).await),
        (200, None, &b"ten bytes!"[..])
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_undo_the_status() {
    for broken in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nten bytes!\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nten bytes!\r\n",
    ] {
        assert_eq!(
            answer(&post_to(broken).await),
            (200, None, &b"ten bytes!"[..]),
            "{broken}"
        );
    }
    let endpoint = Endpoint::start("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", Then::Reset).await;
    assert_eq!(answer(&post(development(), &endpoint.url()).await).0, 200);
}

#[tokio::test]
async fn unpacks_no_compressed_body() {
    let outcome = post_to("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f raw").await;
    assert_eq!(answer(&outcome).2, b"\x1f raw");
}

#[tokio::test]
async fn what_is_not_http_is_malformed() {
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(200));
    let long_header = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(1 << 20));
    for garbage in [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "hello\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        &many_headers,
        &long_header,
    ] {
        let outcome = post_to(garbage).await;
        assert_eq!(
            failure(&outcome),
            NetworkErrorKind::Malformed,
            "{}",
            &garbage[..12]
        );
    }
}

#[tokio::test]
async fn a_connection_cut_before_the_answer_is_a_reset() {
    for (answer, then) in [
        ("", Then::Close),
        ("", Then::Reset),
        ("HTTP/1.1 2", Then::Close),
        ("HTTP/1.1 100 Go\r\n\r\n", Then::Close),
    ] {
        let endpoint = Endpoint::start(answer, then).await;
        assert_eq!(
            failure(&post(development(), &endpoint.url()).await),
            NetworkErrorKind::Reset,
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_a_connect_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = post(development(), &format!("http://{address}/")).await;
    assert_eq!(failure(&outcome), NetworkErrorKind::Connect);
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let endpoint = Endpoint::start("", Then::Hold).await;
    let config = ClientConfig {
        total_timeout: SHORT,
        ..development()
    };
    let outcome = post(config, &endpoint.url()).await;
    assert_eq!(failure(&outcome), NetworkErrorKind::Timeout);
    let CallOutcome::NetworkError { duration, .. } = outcome else {
        unreachable!()
    };
    assert!(duration >= SHORT, "{duration:?}");
}

#[tokio::test]
async fn keeps_no_connection_after_a_call() {
    let endpoint = Endpoint::start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Then::Hold).await;
    let client = CallbackClient::new(development()).unwrap();
    let target = RepairUrl::parse(&endpoint.url(), &development().policy).unwrap();
    let outcome = client.call(&target, Vec::new(), Bytes::new(), pending()).await;
    assert_eq!(answer(&outcome).0, 200);
    endpoint.request().await; // ends only once the client has hung up
    drop(client);
}

#[tokio::test]
async fn a_call_cut_off_before_its_status_line_hangs_up() {
    let mut endpoint = Endpoint::start("", Then::Hold).await;
    let client = CallbackClient::new(development()).unwrap();
    let target = RepairUrl::parse(&endpoint.url(), &development().policy).unwrap();
    let cut = endpoint.request_arrived();
    let outcome = client.call(&target, Vec::new(), Bytes::new(), cut).await;
    assert_eq!(outcome, CallOutcome::CutOff);
    endpoint.request().await; // ends only once the client has hung up
}

#[tokio::test]
async fn a_call_cut_off_after_its_status_line_is_answered_all_the_same() {
    let head = "HTTP/1.1 200 OK\r\nX-SendPromptly-Result: success\r\nContent-Length: 9\r\n\r\n";
    let endpoint = Endpoint::start(head, Then::Hold).await;
    let client = CallbackClient::new(development()).unwrap();
    let response = client.http.post(endpoint.url()).send().await.unwrap();
    let now = Instant::now();
    let outcome = client.read_answer(response, now, now + AMPLE, ready(())).await;
    assert_eq!(answer(&outcome), (200, Some(ReportedResult::Success), &b""[..]));
    endpoint.request().await; // ends only once the client has hung up
}

#[test]
fn refuses_a_configuration_that_cannot_work() {
    let with_ca = |pem: &str| ClientConfig {
        extra_root_ca_pem: Some(pem.into()),
        ..development()
    };
    let refused = CallbackClient::new(with_ca("no certificate")).unwrap_err();
    assert!(matches!(refused, ClientError::NoCa), "{refused}");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let refused = CallbackClient::new(with_ca(broken)).unwrap_err();
    assert!(matches!(refused, ClientError::BadCa), "{refused}");
    let agent = ClientConfig {
        user_agent: "a\r\nb".into(),
        ..development()
    };
    let refused = CallbackClient::new(agent).unwrap_err();
    assert!(matches!(refused, ClientError::UserAgent), "{refused}");
}
