//! One Idempotency-Key, one effect, one answer, for 24 hours.

use std::collections::HashSet;

use serde_json::{Value, json};

use sendpromptly_tests::api::{Api, RECEIPT};
use sendpromptly_tests::bodies::{receipt, result, with};
use sendpromptly_tests::http::Answer;
use sendpromptly_tests::http2::Http2;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    the_same_request_gets_the_first_answer_byte_for_byte,
    another_request_under_the_key_is_a_conflict,
    a_refused_request_leaves_the_key_free,
    a_key_in_double_quotes_is_the_key_between_them,
    keys_of_two_projects_never_meet,
    a_key_is_forgotten_after_24_hours,
    a_thousand_at_once_have_one_effect,
    of_many_different_requests_at_once_one_is_accepted,
    an_answer_is_remembered_after_the_server_was_killed,
);

fn is_replay_of(again: &Answer, first: &Answer) {
    assert_eq!(again.status, 202, "{}", again.text());
    assert_eq!(again.text(), first.text());
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    assert_eq!(again.header("content-type"), first.header("content-type"));
}

async fn the_same_request_gets_the_first_answer_byte_for_byte(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let first = api.receipt("key-1", &receipt("evt_1")).await;
    let event = first.json()["event_id"].as_str().unwrap().to_owned();
    let failed = api.result("key-2", &result(&event, "failed")).await;
    // What has happened since does not change what was answered.
    api.report(&event, "success").await;
    for _ in 0..3 {
        is_replay_of(&api.receipt("key-1", &receipt("evt_1")).await, &first);
        is_replay_of(&api.result("key-2", &result(&event, "failed")).await, &failed);
    }
    assert_eq!(world.cli.event(&event).await["state"], json!("succeeded"));
    assert_eq!(world.sql().await.rows("results").await, 2);
}

async fn another_request_under_the_key_is_a_conflict(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let body = receipt("evt_1");
    let first = api.receipt("key-1", &body).await;
    let event = first.json()["event_id"].as_str().unwrap().to_owned();
    api.result("key-2", &result(&event, "success")).await;

    let same_meaning = format!(" {body}");
    let spaced = api.request(RECEIPT, "key-1", &body).body(same_meaning);
    for (name, answer) in [
        ("another event", api.receipt("key-1", &receipt("evt_2")).await),
        ("one byte more", spaced.send(api.server).await),
        (
            "a result under a receipt's key",
            api.result("key-1", &result(&event, "success")).await,
        ),
        (
            "a receipt under a result's key",
            api.receipt("key-2", &receipt("evt_2")).await,
        ),
        (
            "another result",
            api.result("key-2", &result(&event, "failed")).await,
        ),
    ] {
        assert_eq!(answer.verdict(), "409 idempotency_conflict", "{name}");
        assert_eq!(answer.header("idempotent-replayed"), None, "{name}");
    }
    assert_eq!(
        world.sql().await.rows("events").await,
        1,
        "a conflict stores nothing"
    );
    is_replay_of(&api.receipt("key-1", &body).await, &first);
}

async fn a_refused_request_leaves_the_key_free(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let wrong = with(receipt("evt_1"), "effect_type", json!("nonsense"));
    assert_eq!(api.receipt("key-1", &wrong).await.status, 422);
    assert_eq!(api.receipt("key-1", &wrong).await.status, 422, "handled afresh");
    let early = json!({ "provider_event_id": "evt_1", "status": "success" });
    assert_eq!(api.result("key-2", &early).await.verdict(), "404 not_found");

    assert_eq!(api.receipt("key-1", &receipt("evt_1")).await.status, 202);
    let late = api.result("key-2", &early).await;
    assert_eq!((late.status, late.header("idempotent-replayed")), (202, None));

    let foreign = with(early, "replay_id", json!("rpl_019a0b1c2d3e7f40815263748596a7b8"));
    assert_eq!(
        api.result("key-3", &foreign).await.verdict(),
        "422 validation_error"
    );
    let right = json!({ "provider_event_id": "evt_1", "status": "failed" });
    assert_eq!(api.result("key-3", &right).await.status, 202);
}

async fn a_key_in_double_quotes_is_the_key_between_them(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let longest = "k".repeat(255);
    for (key, quoted) in [("k", "\"k\"".to_owned()), (&longest, format!("\"{longest}\""))] {
        let first = api.receipt(&quoted, &receipt(key)).await;
        is_replay_of(&api.receipt(key, &receipt(key)).await, &first);
    }
    for key in ["\"", "a\"", "\"a", "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"] {
        assert_eq!(api.receipt(key, &receipt(key)).await.status, 202, "{key}");
    }
    let too_long = "k".repeat(256);
    let quoted_too_long = format!("\"{too_long}\"");
    for key in ["", "\"\"", " ", "a b", "é", &too_long, &quoted_too_long] {
        let answer = api.receipt(key, &receipt("evt")).await;
        assert_eq!(answer.verdict(), "400 invalid_idempotency_key", "{key:?}");
    }
}

async fn keys_of_two_projects_never_meet(kind: StoreKind) {
    let world = World::start(kind).await;
    let other = world.cli.create_project(&world.organization, &[]).await;
    let other = Api {
        key: other.api_key,
        ..world.api()
    };
    let first = world.api().receipt("key-1", &receipt("evt_1")).await;
    for body in [receipt("evt_1"), receipt("evt_2")] {
        let answer = other.receipt("key-1", &body).await;
        if body == receipt("evt_1") {
            assert_eq!((answer.status, answer.header("idempotent-replayed")), (202, None));
            assert_ne!(answer.json()["event_id"], first.json()["event_id"]);
        } else {
            assert_eq!(answer.verdict(), "409 idempotency_conflict");
        }
    }
    is_replay_of(&world.api().receipt("key-1", &receipt("evt_1")).await, &first);
}

async fn a_key_is_forgotten_after_24_hours(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let first = api.receipt("key-1", &receipt("evt_1")).await;
    api.receipt("key-2", &receipt("evt_2")).await;
    world.sql().await.age_idempotency_keys_by_a_day().await;

    let again = api.receipt("key-1", &receipt("evt_1")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (202, None));
    assert_eq!(again.json()["duplicate"], json!(true), "the event is known still");
    assert_eq!(again.json()["event_id"], first.json()["event_id"]);
    let another = api.receipt("key-2", &receipt("evt_3")).await;
    assert_eq!(
        (another.status, &another.json()["duplicate"]),
        (202, &json!(false))
    );
    is_replay_of(&api.receipt("key-1", &receipt("evt_1")).await, &again);
}

/// Sends each of these bodies under one key, on twenty connections at once.
async fn at_once(api: &Api, key: &str, bodies: Vec<Value>) -> Vec<Answer> {
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(Http2::open(api.server).await);
    }
    let bearer = format!("Bearer {}", api.key);
    let tasks: Vec<_> = bodies
        .into_iter()
        .enumerate()
        .map(|(n, body)| {
            let mut connection = connections[n % connections.len()].clone();
            let (bearer, key) = (bearer.clone(), key.to_owned());
            tokio::spawn(async move {
                let headers = [
                    ("authorization", bearer.as_str()),
                    ("idempotency-key", &key),
                    ("content-type", "application/json"),
                    ("accept", "application/json"),
                ];
                connection.post(RECEIPT, &headers, body.to_string()).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

async fn a_thousand_at_once_have_one_effect(kind: StoreKind) {
    let world = World::start(kind).await;
    let answers = at_once(&world.api(), "key-1", vec![receipt("evt_1"); 1_000]).await;
    let bodies: HashSet<_> = answers.iter().map(Answer::text).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(answers.iter().all(|answer| answer.status == 202));
    let ran = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed").is_none());
    assert_eq!(ran.count(), 1);
    let ids: HashSet<_> = answers
        .iter()
        .map(|answer| answer.header("x-request-id"))
        .collect();
    assert_eq!(ids.len(), 1_000);
    let sql = world.sql().await;
    assert_eq!((sql.rows("events").await, sql.rows("idempotency").await), (1, 1));
}

async fn of_many_different_requests_at_once_one_is_accepted(kind: StoreKind) {
    let world = World::start(kind).await;
    let bodies = (0..200).map(|n| receipt(&format!("evt_{n}"))).collect();
    let answers = at_once(&world.api(), "key-1", bodies).await;
    let accepted = answers.iter().filter(|answer| answer.status == 202).count();
    let conflicts = answers
        .iter()
        .filter(|answer| answer.verdict() == "409 idempotency_conflict")
        .count();
    assert_eq!((accepted, conflicts), (1, 199));
    assert_eq!(
        world.sql().await.rows("events").await,
        1,
        "a 409 was not accepted"
    );
}

async fn an_answer_is_remembered_after_the_server_was_killed(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let first = world.api().receipt("key-1", &receipt("evt_1")).await;
    world.server.kill().await;
    world.server = Server::start(&world.store, &Options::quick()).await;
    is_replay_of(&world.api().receipt("key-1", &receipt("evt_1")).await, &first);
    let other = world.api().receipt("key-1", &receipt("evt_2")).await;
    assert_eq!(other.verdict(), "409 idempotency_conflict");
}
