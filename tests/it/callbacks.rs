//! Callbacks on the wire: what an attempt carries, and what its answer means.

use sendpromptly_tests::bodies::{millis, now_millis};
use sendpromptly_tests::endpoint::{Call, Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};
use time::OffsetDateTime;

on_both_stores!(
    a_callback_is_signed_and_names_what_to_repair,
    every_attempt_has_the_same_body_a_new_nonce_and_the_next_number,
    every_3xx_and_4xx_halts_and_no_redirect_is_followed,
    a_5xx_or_a_lost_connection_is_retried_until_the_schedule_is_exhausted,
    retry_after_lengthens_a_step_and_never_shortens_it,
);

async fn a_callback_is_signed_and_names_what_to_repair(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let (event, incident) = world.api().new_incident().await;
    let replay = world.cli.reprocess(&incident).await;
    let call = endpoint.after_calls(1).await.remove(0);

    assert_eq!(call.request_line, "POST /repair HTTP/1.1");
    assert_eq!(call.header("content-type"), "application/json");
    assert!(call.header("user-agent").starts_with("SendPromptly/"));
    assert_eq!(call.header("x-sendpromptly-attempt"), "1");
    let timestamp: i64 = call.header("x-sendpromptly-timestamp").parse().unwrap();
    assert!(
        (timestamp - now_millis() / 1000).abs() <= 60,
        "Unix seconds: {timestamp}"
    );
    assert!(is_nonce(call.header("x-sendpromptly-nonce")));
    assert!(call.is_signed_with(&[&world.project.signing_secret]));
    for never in ["authorization", "cookie", "referer"] {
        assert!(call.headers.iter().all(|(name, _)| name != never), "{never}");
    }

    let shown = world.incident(&incident).await;
    let expected = json!({
        "replay_id": replay,
        "incident_id": incident,
        "event_id": event,
        "project_id": world.project.id,
        "mode": "test",
        "provider": "stripe",
        "provider_event_id": shown["provider_event_id"],
        "event_type": "checkout.session.completed",
        "effect_type": "access_unlock",
        "internal_reference": "customer_42",
        "occurred_at": "2026-01-02T03:04:05.000Z",
    });
    assert_eq!(call.json(), expected);
}

async fn every_attempt_has_the_same_body_a_new_nonce_and_the_next_number(kind: StoreKind) {
    let endpoint = Endpoint::start(|number, _| match number {
        0 => Reply::status(500),
        1 => Reply::HangUp,
        _ => Reply::status(204),
    })
    .await;
    let world = World::start_calling(kind, &endpoint).await;
    let (_, incident) = world.api().new_incident().await;
    world.cli.reprocess(&incident).await;
    let replay = world.replay_becomes(&incident, "delivered").await;
    assert_eq!(
        (&replay["attempts"], &replay["last_status"]),
        (&json!(3), &json!(204))
    );

    let calls = endpoint.calls();
    let numbers: Vec<_> = calls
        .iter()
        .map(|call| call.header("x-sendpromptly-attempt"))
        .collect();
    assert_eq!(numbers, ["1", "2", "3"]);
    assert!(calls.iter().all(|call| call.body == calls[0].body));
    assert!(
        calls
            .iter()
            .all(|call| call.is_signed_with(&[&world.project.signing_secret]))
    );
    let mut nonces: Vec<_> = calls
        .iter()
        .map(|call| call.header("x-sendpromptly-nonce"))
        .collect();
    assert!(nonces.iter().all(|nonce| is_nonce(nonce)));
    nonces.sort_unstable();
    nonces.dedup();
    assert_eq!(nonces.len(), 3, "each attempt has a nonce of its own");
}

async fn every_3xx_and_4xx_halts_and_no_redirect_is_followed(kind: StoreKind) {
    const HALTING: [u16; 10] = [301, 302, 304, 307, 308, 400, 401, 404, 410, 429];
    let elsewhere = Endpoint::always(200).await;
    let target = elsewhere.url();
    let endpoint = Endpoint::start(move |_, call| {
        let headers = vec![("location", target.clone()), ("retry-after", "0".to_owned())];
        Reply::Status(call.reference().parse().unwrap(), headers)
    })
    .await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut incidents = Vec::new();
    for status in HALTING {
        let (_, incident) = world.incident_for(&status.to_string()).await;
        world.cli.reprocess(&incident).await;
        incidents.push((status, incident));
    }
    for (status, id) in incidents {
        let replay = world.replay_becomes(&id, "halted").await;
        assert_eq!(
            (&replay["attempts"], &replay["last_status"]),
            (&json!(1), &json!(status))
        );
        assert_eq!(world.incident(&id).await["state"], "open", "after {status}");
    }
    assert_eq!(endpoint.calls().len(), HALTING.len(), "each was called once");
    assert!(elsewhere.calls().is_empty(), "no redirect is followed");
}

async fn a_5xx_or_a_lost_connection_is_retried_until_the_schedule_is_exhausted(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, call| match call.reference().parse() {
        Ok(status) => Reply::Status(status, vec![("x-sendpromptly-result", "success".to_owned())]),
        Err(_) => Reply::HangUp,
    })
    .await;
    let world = World::start_calling(kind, &endpoint).await;
    let expected = [("500", json!(500)), ("503", json!(503)), ("hang up", Value::Null)];
    for (reference, last_status) in expected {
        let (_, incident) = world.incident_for(reference).await;
        world.cli.reprocess(&incident).await;
        let replay = world.replay_becomes(&incident, "exhausted").await;
        assert_eq!(
            (&replay["attempts"], &replay["last_status"]),
            (&json!(3), &last_status)
        );
        assert_eq!(world.incident(&incident).await["state"], "open");
        assert_eq!(endpoint.calls_for(reference).len(), 3);
    }
}

async fn retry_after_lengthens_a_step_and_never_shortens_it(kind: StoreKind) {
    const HOUR: i64 = 3_600_000;
    let in_two_hours = http_date(now_millis() / 1000 + 7200);
    let date = in_two_hours.clone();
    let endpoint = Endpoint::start(move |_, call| {
        let asked = match call.reference().as_str() {
            "date" => date.clone(),
            seconds => seconds.to_owned(),
        };
        Reply::Status(503, vec![("retry-after", asked)])
    })
    .await;
    let options = Options::quick().set("--retry-schedule", "0s,1h,1h");
    let world = World::start_with(kind, &options, &["--repair-url", &endpoint.url()]).await;
    let sql = world.sql().await;
    let next_step = async |asked: &str| {
        let (_, incident) = world.incident_for(asked).await;
        let replay = world.cli.reprocess(&incident).await;
        step_after_first_attempt(&sql, &replay).await
    };

    let jittered = HOUR * 9 / 10..=HOUR * 11 / 10;
    for too_short in ["0", "1", "600"] {
        assert!(
            jittered.contains(&next_step(too_short).await),
            "{too_short} never shortens"
        );
    }
    assert!(
        jittered.contains(&next_step("soon").await),
        "what cannot be read asks for nothing"
    );
    assert_eq!(next_step("7200").await, 2 * HOUR);
    assert_eq!(next_step("9999999").await, 24 * HOUR, "no longer than a day");
    // The date was made before the call, and has whole seconds only.
    let by_date = next_step("date").await;
    assert!(
        (2 * HOUR - 60_000..=2 * HOUR).contains(&by_date),
        "{in_two_hours}: {by_date} ms"
    );
}

/// From the end of the first attempt to when the second is due, in milliseconds.
async fn step_after_first_attempt(sql: &Sql, replay: &str) -> i64 {
    let id = sql.id(replay);
    let ended = format!(
        "SELECT r.next_attempt_at - a.ended_at AS n FROM replays r
         JOIN attempts a ON a.project_id = r.project_id AND a.replay_id = r.id AND a.number = 1
         WHERE r.id = {id} AND a.ended_at IS NOT NULL"
    );
    eventually("the first attempt has ended", async || sql.find(&ended).await).await
}

#[tokio::test]
async fn while_a_secret_rotates_a_callback_is_signed_with_both() {
    let endpoint = Endpoint::always(400).await;
    let world = World::start_calling(StoreKind::Sqlite, &endpoint).await;
    let old = world.project.signing_secret.clone();
    let rotate = ["secret", "rotate", "--project", &world.project.id];
    let rotated = world.cli.run(&rotate).await.json();
    let new = rotated["signing_secret"].as_str().unwrap();
    assert_ne!(new, old);
    let day = millis(&rotated["previous_expires_at"]) - now_millis();
    assert!((86_340_000..=86_400_000).contains(&day), "24 hours: {day} ms");

    let (_, incident) = world.api().new_incident().await;
    let next_call = async || {
        let replay = world.cli.reprocess(&incident).await;
        world.replay_becomes(&incident, "halted").await;
        let calls = endpoint.calls();
        let find = |call: &&Call| call.json()["replay_id"] == replay.as_str();
        calls.iter().find(find).cloned().unwrap()
    };
    eventually("both secrets sign", async || {
        next_call().await.is_signed_with(&[new, &old]).then_some(())
    })
    .await;

    // The overlap ends: the old one, made first, is no longer good for anything.
    let ended = world
        .sql()
        .await
        .run("UPDATE signing_secrets SET expires_at = 1000 WHERE expires_at IS NOT NULL")
        .await;
    assert_eq!(ended, 1);
    eventually("the new secret signs alone", async || {
        next_call().await.is_signed_with(&[new]).then_some(())
    })
    .await;
}

fn is_nonce(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A Unix time as HTTP writes it (RFC 9110, section 5.6.7).
fn http_date(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    format!(
        "{:.3}, {:02} {:.3} {} {:02}:{:02}:{:02} GMT",
        time.weekday().to_string(),
        time.day(),
        time.month().to_string(),
        time.year(),
        time.hour(),
        time.minute(),
        time.second()
    )
}
