//! The whole way of a callback.

use sendpromptly_verify::replay::{MemoryReplays, Outcome};
use sendpromptly_verify::{Answer, Endpoint, NonceMemory, VerifyError};

use crate::callback::{BODY, NONCE, NOW, headers, verifier};

struct App {
    endpoint: Endpoint,
    replays: MemoryReplays,
}

impl App {
    fn new() -> Self {
        Self {
            endpoint: Endpoint::new(verifier()),
            replays: MemoryReplays::default(),
        }
    }

    /// Receives an attempt; gives the answer and how often the effect was applied for it.
    fn receive(&self, nonce: &str, body: &[u8], outcome: Outcome) -> (Answer, u32) {
        let mut applied = 0;
        let headers = headers(NOW, nonce, body);
        let answer = self.endpoint.handle(&self.replays, &headers, body, NOW, |_| {
            applied += 1;
            outcome
        });
        (answer, applied)
    }
}

fn nonce(number: u8) -> String {
    format!("{number:032x}")
}

#[test]
fn an_effect_is_applied_once_over_many_attempts() {
    let app = App::new();
    let (first, applied) = app.receive(&nonce(1), BODY, Outcome::Applied);
    assert_eq!((first.status(), applied), (200, 1));
    for attempt in 2..5 {
        let (again, applied) = app.receive(&nonce(attempt), BODY, Outcome::Applied);
        assert!(matches!(again, Answer::AlreadyApplied));
        assert_eq!(
            (again.status(), again.result(), applied),
            (200, Some("success"), 0)
        );
    }
}

#[test]
fn the_effect_is_given_the_payload_to_the_letter_and_it_does_not_print() {
    let app = App::new();
    let payload = r#"{ "z" : 1.0e2,"card":[ "}" , "4242" ] }"#;
    let fields = std::str::from_utf8(BODY).unwrap().strip_suffix('}').unwrap();
    let admit = |body: String, number| {
        let headers = headers(NOW, &nonce(number), body.as_bytes());
        app.endpoint.admit(&headers, body.as_bytes(), NOW).unwrap()
    };
    let with = admit(format!(r#"{fields},"payload":{payload}}}"#), 1);
    assert_eq!(with.payload.as_ref().unwrap().as_json(), payload);
    assert!(!format!("{with:?}").contains("4242"));
    for (number, without) in [(2, "}"), (3, r#","payload":null}"#)] {
        assert_eq!(admit(format!("{fields}{without}"), number).payload, None);
    }
}

#[test]
fn the_effect_is_given_the_fields_of_the_body() {
    let app = App::new();
    let callback = app.endpoint.admit(&headers(NOW, NONCE, BODY), BODY, NOW).unwrap();
    let replay_id = callback.replay_id.to_string();
    assert_eq!(replay_id, "rpl_019c133d2fc07a0b8f6e5d4c3b2a1908");
    let fields = [
        (callback.incident_id, "inc_1"),
        (callback.event_id, "evt_1"),
        (callback.project_id, "prj_1"),
        (callback.mode, "live"),
        (callback.provider, "stripe"),
        (callback.provider_event_id, "evt_1"),
        (callback.event_type, "invoice.paid"),
        (callback.effect_type, "credit_grant"),
        (callback.internal_reference, "user 7"),
        (callback.occurred_at, "2026-01-31T09:00:00.000Z"),
    ];
    for (field, expected) in fields {
        assert_eq!(field, expected);
    }
}

#[test]
fn fields_and_words_of_a_later_version_do_not_break_an_endpoint() {
    let later = String::from_utf8(BODY.to_vec())
        .unwrap()
        .replace("credit_grant", "licence_grant")
        .replace(r#""mode""#, r#""amount":{"cents":1},"mode""#);
    let app = App::new();
    let headers = headers(NOW, NONCE, later.as_bytes());
    let callback = app.endpoint.admit(&headers, later.as_bytes(), NOW).unwrap();
    assert_eq!(callback.effect_type, "licence_grant");
}

#[test]
fn a_test_callback_is_answered_with_2xx_and_nothing_is_applied() {
    let test = String::from_utf8(BODY.to_vec())
        .unwrap()
        .replace("credit_grant", "test");
    let app = App::new();
    let (answer, applied) = app.receive(&nonce(1), test.as_bytes(), Outcome::Applied);
    assert!(matches!(answer, Answer::Tested), "{answer}");
    assert_eq!((answer.status(), answer.result(), applied), (200, None, 0));
    // It was a genuine one: its nonce is used up, and a forged one is refused as any other.
    let (again, _) = app.receive(&nonce(1), test.as_bytes(), Outcome::Applied);
    assert!(matches!(again, Answer::Refused(VerifyError::ReplayedNonce)));
    let forged = headers(NOW, &nonce(2), BODY);
    let refused = app.endpoint.admit(&forged, test.as_bytes(), NOW).unwrap_err();
    assert_eq!(refused.status(), 401);
    // And the replay that it names is not claimed by it.
    assert_eq!(app.receive(&nonce(3), BODY, Outcome::Applied).1, 1);
}

#[test]
fn a_genuine_body_that_can_not_be_read_halts() {
    for (number, body) in [&b""[..], b"{}", b"[]", b"\xff", br#"{"replay_id":"evt_7"}"#]
        .into_iter()
        .enumerate()
    {
        let (answer, applied) = App::new().receive(&nonce(number as u8), body, Outcome::Applied);
        assert!(matches!(answer, Answer::Unreadable(_)));
        assert_eq!((answer.status(), applied), (400, 0));
        assert!(!answer.to_string().contains("evt_7"));
    }
}

#[test]
fn a_nonce_is_taken_once() {
    let app = App::new();
    assert_eq!(app.receive(NONCE, BODY, Outcome::NotApplied).0.status(), 503);
    let (answer, applied) = app.receive(NONCE, BODY, Outcome::Applied);
    assert!(matches!(answer, Answer::Refused(VerifyError::ReplayedNonce)));
    assert_eq!((answer.status(), applied), (401, 0));
}

#[test]
fn a_forged_callback_does_not_use_up_a_nonce() {
    let app = App::new();
    let mut forged = headers(NOW, NONCE, BODY);
    forged[2].1 = format!("v1={}", "0".repeat(64));
    let refused = app.endpoint.verify(&forged, BODY, NOW).err();
    assert_eq!(refused, Some(VerifyError::WrongSignature));
    assert!(app.endpoint.verify(&headers(NOW, NONCE, BODY), BODY, NOW).is_ok());
}

#[test]
fn a_full_memory_of_nonces_asks_for_a_later_attempt() {
    let endpoint = Endpoint::new(verifier()).with_nonces(NonceMemory::new(0));
    let answer = endpoint.admit(&headers(NOW, NONCE, BODY), BODY, NOW).unwrap_err();
    assert!(matches!(answer, Answer::Refused(VerifyError::NonceMemoryFull)));
    assert_eq!((answer.status(), answer.retry_after()), (503, Some("60")));
}

#[test]
fn an_effect_may_be_awaited_with_its_claim_held() {
    let app = App::new();
    let repair = async {
        let (callback, repair) = app
            .endpoint
            .begin(&app.replays, &headers(NOW, NONCE, BODY), BODY, NOW)?;
        let outcome = async { Outcome::Applied }.await;
        assert_eq!(callback.provider, "stripe");
        Ok::<_, Answer>(repair.finish(outcome))
    };
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answer) = std::pin::pin!(repair).poll(&mut context) else {
        panic!("nothing in it waits")
    };
    assert!(matches!(answer, Ok(Answer::Applied)));
}

#[test]
fn an_effect_that_is_cancelled_while_it_waits_is_a_doubt() {
    let app = App::new();
    let mut repair = Box::pin(async {
        let (_, repair) = app
            .endpoint
            .begin(&app.replays, &headers(NOW, NONCE, BODY), BODY, NOW)?;
        std::future::pending::<()>().await;
        Ok::<_, Answer>(repair.finish(Outcome::Applied))
    });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(repair.as_mut().poll(&mut context).is_pending());
    drop(repair);
    let (answer, applied) = app.receive(&nonce(2), BODY, Outcome::Applied);
    assert!(matches!(answer, Answer::InDoubt { since: NOW }));
    assert_eq!(applied, 0);
}

#[cfg(feature = "axum")]
#[test]
fn an_answer_is_a_response() {
    use axum_core::response::IntoResponse;

    let (answer, _) = App::new().receive(NONCE, BODY, Outcome::Applied);
    let response = answer.into_response();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-sendpromptly-result"], "success");
    let response = Answer::Running.into_response();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "60");
}
