//! The error table: each check, and their order. Of two things that are wrong, the check that comes first
//! answers, whatever comes after it.

use serde_json::{Value, json};

use sendpromptly_tests::api::{Api, RECEIPT, RESULT};
use sendpromptly_tests::bodies::{receipt, result, unique};
use sendpromptly_tests::http::{Answer, Request};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    each_wrong_thing_has_its_answer,
    of_two_wrong_things_the_first_check_answers,
    a_fault_of_the_server_says_nothing_of_its_inside,
);

/// A request before it is sent: headers and fields that can be made wrong one beside another.
struct Attempt {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    fields: Value,
}

impl Attempt {
    fn set(&mut self, header: &str, value: &str) {
        let named = self.headers.iter_mut().filter(|(name, _)| *name == header);
        named.for_each(|(_, known)| value.clone_into(known));
    }

    fn remove(&mut self, header: &str) {
        self.headers.retain(|(name, _)| *name != header);
    }

    async fn send(&self, api: &Api) -> Answer {
        let mut request = Request::new(self.method, &self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(self.fields.to_string()).send(api.server).await
    }
}

/// Something that can be wrong.
struct Fault {
    verdict: &'static str,
    /// Makes the attempt wrong.
    spoil: fn(&mut Attempt),
    /// Whether only a result can have it.
    results_only: bool,
}

const fn fault(verdict: &'static str, spoil: fn(&mut Attempt)) -> Fault {
    Fault {
        verdict,
        spoil,
        results_only: false,
    }
}

const fn of_results(verdict: &'static str, spoil: fn(&mut Attempt)) -> Fault {
    Fault {
        results_only: true,
        ..fault(verdict, spoil)
    }
}

/// The key under which another request has been accepted.
const USED_KEY: &str = "used-key";

/// In the order of the checks, as `docs/api.md` has them.
const FAULTS: &[Fault] = &[
    fault("404 not_found", |attempt| attempt.path.push('/')),
    fault("405 method_not_allowed", |attempt| attempt.method = "PUT"),
    fault("401 unauthorized", |attempt| attempt.remove("authorization")),
    fault("406 missing_accept_header", |attempt| attempt.remove("accept")),
    fault("406 not_acceptable", |attempt| attempt.set("accept", "text/html")),
    fault("415 unsupported_media_type", |attempt| {
        attempt.set("content-type", "text/plain");
    }),
    fault("400 missing_idempotency_key", |attempt| {
        attempt.remove("idempotency-key");
    }),
    fault("400 invalid_idempotency_key", |attempt| {
        attempt.set("idempotency-key", "two words");
    }),
    fault("413 payload_too_large", |attempt| {
        attempt.fields["filler"] = json!("x".repeat(65_536));
    }),
    fault("413 too_many_fields", |attempt| {
        (0..33).for_each(|n| attempt.fields[format!("field_{n}")] = json!(n));
    }),
    fault("422 validation_error", |attempt| {
        let field = if attempt.fields["status"].is_null() {
            "effect_type"
        } else {
            "status"
        };
        attempt.fields[field] = json!("nonsense");
    }),
    fault("409 idempotency_conflict", |attempt| {
        attempt.set("idempotency-key", USED_KEY);
    }),
    of_results("404 not_found", |attempt| {
        attempt.fields["event_id"] = json!("evt_019a0b1c2d3e7f40815263748596a7b8");
    }),
    of_results("422 validation_error", |attempt| {
        attempt.fields["replay_id"] = json!("rpl_019a0b1c2d3e7f40815263748596a7b8");
    }),
];

/// An attempt with nothing wrong, under a key of its own.
fn right(api: &Api, path: &str, event: &str) -> Attempt {
    Attempt {
        method: "POST",
        path: path.to_owned(),
        headers: vec![
            ("authorization", format!("Bearer {}", api.key)),
            ("accept", "application/json".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", unique("key")),
        ],
        fields: if path == RECEIPT {
            receipt(&unique("evt"))
        } else {
            result(event, "success")
        },
    }
}

/// A project with an event, and a used key.
async fn with_event(kind: StoreKind) -> (World, String) {
    let world = World::start(kind).await;
    let used = world.api().receipt(USED_KEY, &receipt("evt_1")).await;
    assert_eq!(used.status, 202, "{}", used.text());
    let event = used.json()["event_id"].as_str().unwrap().to_owned();
    (world, event)
}

fn faults_of(path: &str) -> impl Iterator<Item = &'static Fault> {
    let is_result = path == RESULT;
    FAULTS
        .iter()
        .filter(move |fault| is_result || !fault.results_only)
}

async fn each_wrong_thing_has_its_answer(kind: StoreKind) {
    let (world, event) = with_event(kind).await;
    let api = world.api();
    for path in [RECEIPT, RESULT] {
        assert_eq!(
            right(&api, path, &event).send(&api).await.verdict(),
            "202",
            "{path}"
        );
        for fault in faults_of(path) {
            let mut attempt = right(&api, path, &event);
            (fault.spoil)(&mut attempt);
            let answer = attempt.send(&api).await;
            assert_eq!(answer.verdict(), fault.verdict, "{path}");
            is_well_formed(&answer);
        }
    }
}

/// What every error has, and what only some have.
fn is_well_formed(answer: &Answer) {
    let (json, text) = (answer.json(), answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{text}");
    assert_eq!(
        json["request_id"].as_str(),
        answer.header("x-request-id"),
        "{text}"
    );
    assert!(!json["error"]["message"].as_str().unwrap().is_empty(), "{text}");
    assert_eq!(
        json["error"]["fields"].is_object(),
        answer.status == 422,
        "{text}"
    );
    let has = |name: &str| answer.header(name).is_some();
    assert_eq!(has("www-authenticate"), answer.status == 401, "{text}");
    assert_eq!(has("allow"), answer.status == 405, "{text}");
    assert!(!has("idempotent-replayed"), "{text}");
}

async fn of_two_wrong_things_the_first_check_answers(kind: StoreKind) {
    let (world, event) = with_event(kind).await;
    let api = world.api();
    for path in [RECEIPT, RESULT] {
        let faults: Vec<_> = faults_of(path).collect();
        for (place, first) in faults.iter().enumerate() {
            for later in &faults[place + 1..] {
                let mut attempt = right(&api, path, &event);
                (later.spoil)(&mut attempt);
                // Last, for both may spoil the same header.
                (first.spoil)(&mut attempt);
                let verdict = attempt.send(&api).await.verdict();
                assert_eq!(verdict, first.verdict, "{path}, beside {}", later.verdict);
            }
        }
    }
}

#[tokio::test]
async fn the_rate_is_checked_after_the_key_and_before_everything_else() {
    let options = Options::quick().set("--rate-limit", "1");
    let world = World::start_with(StoreKind::Sqlite, &options, &[]).await;
    let api = world.api();
    for fault in faults_of(RESULT).skip(3) {
        let mut attempt = right(&api, RESULT, "evt_019a0b1c2d3e7f40815263748596a7b8");
        (fault.spoil)(&mut attempt);
        let mut verdict = String::new();
        // Each of them counts, so one too many comes soon, however slow the machine is.
        for _ in 0..1_000 {
            verdict = attempt.send(&api).await.verdict();
            if verdict.starts_with("429") {
                break;
            }
        }
        assert_eq!(verdict, "429 rate_limited", "beside {}", fault.verdict);
    }
    for fault in faults_of(RESULT).take(3) {
        let mut attempt = right(&api, RESULT, "evt_019a0b1c2d3e7f40815263748596a7b8");
        (fault.spoil)(&mut attempt);
        assert_eq!(attempt.send(&api).await.verdict(), fault.verdict);
    }
}

async fn a_fault_of_the_server_says_nothing_of_its_inside(kind: StoreKind) {
    let world = World::start(kind).await;
    let (api, sql) = (world.api(), world.sql().await);
    sql.run("ALTER TABLE events RENAME TO lost").await;
    let answer = api.receipt("key-1", &receipt("evt_1")).await;
    assert_eq!(answer.verdict(), "500 internal_error");
    let text = answer.text().to_lowercase();
    for inside in ["events", "table", "relation", "sql", "column"] {
        assert!(!text.contains(inside), "{text}");
    }
    sql.run("ALTER TABLE lost RENAME TO events").await;
    let answer = api.receipt("key-1", &receipt("evt_1")).await;
    assert_eq!(answer.verdict(), "202", "the key was left free");
}
