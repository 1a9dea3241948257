//! The workers as they run: from an order to its outcome, against an endpoint on loopback.

use sendpromptly_core::alert::Channel;
use sendpromptly_core::id::{EventId, IncidentId, ProjectId};
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::replay::ReplayState;
use sendpromptly_core::signing::{Nonce, signature_header};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;

mod payloads;
mod refusals;
pub(super) mod scene;

use scene::{Scene, development};

use super::rounds::Left;
use super::*;
use crate::platform;
use crate::store::Dialect;
use crate::store::attempts::LEASE;
use crate::store::cases::StoredCase;
use crate::store::rows::{self, Sql};
use crate::vault::Purpose;

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let mut lines = request.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.unwrap_or_else(|| panic!("no {name} in {request}")).1
}

async fn answer(mut stream: TcpStream, answer: &str) {
    stream.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn an_order_becomes_a_signed_call_and_its_answer_is_kept_sealed() {
    let scene = Scene::set_up().await;
    let workers = scene.start(&development());
    let (event, replay) = scene.order().await;
    let (request, stream) = scene.call().await;
    answer(stream, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthank").await;
    scene.until_replay_is(event, ReplayState::Delivered).await;
    workers.stop().await;

    let body = request.split_once("\r\n\r\n").unwrap().1;
    assert!(body.contains(&replay.to_string()), "{body}");
    assert_eq!(header(&request, "x-sendpromptly-attempt"), "1");
    let timestamp = header(&request, "x-sendpromptly-timestamp").parse().unwrap();
    let nonce = header(&request, "x-sendpromptly-nonce");
    let nonce = Nonce::from_entropy(u128::from_str_radix(nonce, 16).unwrap().to_be_bytes());
    let signature = signature_header(
        std::slice::from_ref(&scene.secret),
        timestamp,
        &nonce,
        body.as_bytes(),
    );
    assert_eq!(header(&request, "x-sendpromptly-signature"), signature);

    let kept = Sql::new("SELECT lease_token, answer_head FROM attempts");
    let row = kept.one(scene.world.store.reader()).await.unwrap().unwrap();
    let head: Vec<u8> = rows::get(&row, "answer_head").unwrap();
    let lease = rows::id(&row, "lease_token").unwrap();
    let opened = scene
        .vault
        .open_sealed(Purpose::Answer(scene.world.project), &lease, &head);
    assert_eq!(opened.await.unwrap().as_slice(), b"thank");
}

#[tokio::test]
async fn a_project_that_keeps_no_answers_has_none() {
    let scene = Scene::set_up().await;
    scene
        .world
        .write(Sql::new("UPDATE projects SET keep_answers = 0"))
        .await;
    let workers = scene.start(&development());
    let (event, _) = scene.order().await;
    let (_, stream) = scene.call().await;
    answer(
        stream,
        "HTTP/1.1 200 OK\r\nX-SendPromptly-Result: success\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    let case = scene.until_replay_is(event, ReplayState::Succeeded).await;
    assert_eq!(case.case.incident.unwrap().state, IncidentState::Resolved);
    workers.stop().await;
    let kept = Sql::new("SELECT count(*) AS n FROM attempts WHERE answer_head IS NOT NULL");
    assert_eq!(scene.world.number(kept).await, 0);
}

#[tokio::test]
async fn a_call_that_a_dead_node_began_is_cut_off_and_goes_again() {
    let scene = Scene::set_up().await;
    let (event, replay) = scene.order().await;
    let begun = platform::clock::now();
    let abandoned = scene.world.claim(begun).await;
    assert_eq!(abandoned.len(), 1);
    if scene.world.store.dialect() == Dialect::Postgres {
        // Another node may still make it, until its lease is over.
        let over = i64::try_from(LEASE.as_millis()).unwrap();
        let age = Sql::new("UPDATE attempts SET started_at = started_at - {}").bind(over);
        scene.world.write(age).await;
    }
    let workers = scene.start(&development());
    let (request, stream) = scene.call().await;
    assert_eq!(header(&request, "x-sendpromptly-attempt"), "2");
    assert!(request.contains(&replay.to_string()));
    answer(stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
    scene.until_replay_is(event, ReplayState::Delivered).await;
    workers.stop().await;
}

#[tokio::test]
async fn a_stop_cuts_off_what_takes_too_long_and_hands_its_lease_back() {
    let scene = Scene::set_up().await;
    let workers = scene.start(&development());
    let (event, _) = scene.order().await;
    let held = scene.call().await;
    workers.stop_within(Duration::ZERO).await;
    let stored = scene.world.case(event).await;
    assert_eq!(stored.lease, None);
    assert_eq!(stored.case.replays[0].cut_offs, 1);
    drop(held);

    let workers = scene.start(&development());
    let (request, stream) = scene.call().await;
    assert_eq!(header(&request, "x-sendpromptly-attempt"), "2");
    answer(stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
    scene.until_replay_is(event, ReplayState::Delivered).await;
    workers.stop().await;
}

#[tokio::test]
async fn a_stop_waits_for_a_call_that_ends_in_time() {
    let scene = Scene::set_up().await;
    let workers = scene.start(&development());
    let (event, _) = scene.order().await;
    let (_, stream) = scene.call().await;
    let stop = tokio::spawn(workers.stop());
    answer(stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
    stop.await.unwrap();
    let replay = scene.world.case(event).await.case.replays.remove(0);
    assert_eq!(replay.state, ReplayState::Delivered);
}

#[tokio::test]
async fn a_stop_waits_for_a_claim_under_way_and_its_call_is_made() {
    let scene = Scene::set_up().await;
    if scene.world.store.dialect() == Dialect::Postgres {
        return; // there a claim waits for nobody
    }
    let (event, _) = scene.order().await;
    let (first, now) = (ProjectId::from_bytes([0; 16]), platform::clock::now());
    let due = scene.world.store.projects_to_call(first, now, 1).await.unwrap();
    assert_eq!(due.len(), 1);
    let writer = scene.world.store.begin().await.unwrap();
    let workers = scene.start(&development());
    let slots = workers.slots.clone();
    while slots.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let mut stage = workers.supervisor.stage();
    let stop = tokio::spawn(workers.stop());
    stage.wait_for(|stage| *stage == Stage::Stopping).await.unwrap();
    writer.rollback().await.unwrap();
    let (_, stream) = scene.call().await;
    answer(stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
    stop.await.unwrap();
    let replay = scene.world.case(event).await.case.replays.remove(0);
    assert_eq!((replay.state, replay.attempts), (ReplayState::Delivered, 1));
}

#[tokio::test]
async fn a_round_after_the_stop_has_begun_begins_no_attempt() {
    let scene = Scene::set_up().await;
    let (event, _) = scene.order().await;
    let stage = watch::Sender::new(Stage::Stopping);
    let mut deliver = Deliver::new(scene.calls(), stage.subscribe());
    deliver.round(platform::clock::now()).await.unwrap();
    assert_eq!(scene.world.case(event).await.case.replays[0].attempts, 0);
    stage.send_replace(Stage::Running);
    deliver.round(platform::clock::now()).await.unwrap();
    assert_eq!(scene.world.case(event).await.case.replays[0].attempts, 1);
}

#[tokio::test]
async fn a_pass_over_many_projects_that_claims_nothing_rests() {
    let scene = Scene::set_up().await;
    let now = platform::clock::now();
    // One more than a round looks at, and none has a secret to sign with.
    for number in 1..=65 {
        let project = ProjectId::from_bytes([number; 16]);
        scene.world.add_project(project).await;
        let (_, incident) = scene.world.failed_event_of(project, "evt_1").await;
        let order = scene.world.reprocess_of(project, incident, None, false, now);
        order.await.unwrap();
    }
    let (_stage, running) = watch::channel(Stage::Running);
    let mut deliver = Deliver::new(scene.calls(), running);
    let (mut left, now) = (Vec::new(), platform::clock::now());
    for _ in 0..2 {
        left.push(deliver.round(now).await.unwrap());
    }
    assert_eq!(left, [Left::More, Left::Nothing]);
    scene.order().await;
    let now = platform::clock::now();
    for _ in 0..2 {
        left.push(deliver.round(now).await.unwrap());
    }
    assert_eq!(
        left[2..],
        [Left::More, Left::More],
        "one that has claimed goes on"
    );
}

#[tokio::test]
async fn a_lease_counts_from_the_claim_and_not_from_the_rounds_start() {
    let scene = Scene::set_up().await;
    scene.order().await;
    let before = platform::clock::now();
    let due = Sql::new("UPDATE replays SET next_attempt_at = {}");
    let round = before.plus_millis(-60_000);
    scene.world.write(due.bind(round)).await;
    let (_stage, running) = watch::channel(Stage::Running);
    Deliver::new(scene.calls(), running).round(round).await.unwrap();
    let started = Sql::new("SELECT started_at AS n FROM attempts");
    assert!(scene.world.number(started).await >= before.as_millis());
}

#[tokio::test]
async fn an_address_that_may_not_be_called_any_more_halts_and_nothing_is_sent() {
    let scene = Scene::set_up().await;
    let workers = scene.start(&AddressPolicy::default());
    let (event, _) = scene.order().await;
    let case = scene.until_replay_is(event, ReplayState::Halted).await;
    assert_eq!(case.case.incident.unwrap().state, IncidentState::Open);
    workers.stop().await;
    let outcome =
        Sql::new("SELECT count(*) AS n FROM attempts WHERE outcome = 'refused' AND answer_head IS NULL");
    assert_eq!(scene.world.number(outcome).await, 1);
    let untouched = tokio::time::timeout(Duration::ZERO, scene.endpoint.accept()).await;
    assert!(untouched.is_err(), "somebody connected");
}

#[tokio::test]
async fn an_unanswered_replay_opens_its_incident_again() {
    let scene = Scene::set_up().await;
    let workers = scene.start(&development());
    let (event, _) = scene.order().await;
    let (_, stream) = scene.call().await;
    answer(stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
    scene.until_replay_is(event, ReplayState::Delivered).await;
    scene
        .world
        .write(Sql::new("UPDATE replays SET answer_due_at = 1000"))
        .await;
    let case = scene.until_replay_is(event, ReplayState::Unanswered).await;
    assert_eq!(case.case.incident.unwrap().state, IncidentState::Open);
    assert!(workers.health().stalled().is_empty());
    workers.stop().await;
}

#[tokio::test]
async fn a_stop_hands_back_an_alert_that_takes_too_long_and_the_try_does_not_count() {
    let scene = Scene::set_up().await;
    let to = format!("http://{}/alerts", scene.endpoint.local_addr().unwrap());
    let world = &scene.world;
    world.add_alert(&scene.vault, Channel::Webhook, &to, false).await;
    world.failed_event("evt_1").await;
    let workers = scene.start(&development());
    let held = scene.call().await;
    workers.stop_within(Duration::ZERO).await;
    let leased = "SELECT count(*) AS n FROM alert_destinations WHERE lease_token IS NOT NULL";
    assert_eq!(world.number(Sql::new(leased)).await, 0);
    drop(held);

    let workers = scene.start(&development());
    let (request, stream) = scene.call().await;
    assert_eq!(header(&request, "x-sendpromptly-attempt"), "1");
    answer(stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
    workers.stop().await;
    let taken = "SELECT count(*) AS n FROM alert_destinations WHERE sent_at IS NOT NULL AND newest = told_to";
    assert_eq!(world.number(Sql::new(taken)).await, 1);
}
