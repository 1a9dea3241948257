//! Replays: how an order makes one, and how its result, or the want of one, ends it.

use sendpromptly_tests::bodies::{is_id, result, unique, with};
use sendpromptly_tests::command::Output;
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

on_both_stores!(
    a_delivered_replay_ends_by_its_result,
    a_result_may_come_with_the_answer,
    a_delivered_replay_without_a_result_opens_the_incident_again,
    another_order_while_a_replay_is_under_way_is_refused,
    a_success_ends_a_replay_under_way_and_no_further_call_is_made,
    a_result_may_come_before_the_answer,
    a_late_result_leaves_an_ended_replay_as_it_is,
    a_failure_of_an_older_replay_says_nothing_of_the_one_under_way,
    a_result_for_a_foreign_replay_is_refused,
);

async fn a_delivered_replay_ends_by_its_result(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    for (status, replay_ends, incident_becomes) in
        [("failed", "failed", "open"), ("success", "succeeded", "resolved")]
    {
        let (event, incident) = world.api().new_incident().await;
        let replay = world.cli.reprocess(&incident).await;
        world.replay_becomes(&incident, "delivered").await;
        assert_eq!(world.incident(&incident).await["state"], "reprocessing");
        let answer = world.api().report_as(&answering(&event, status, &replay)).await;
        assert_eq!(answer["incident_id"], json!(incident));
        let ended = world.incident(&incident).await;
        assert_eq!(ended["state"], incident_becomes);
        assert_eq!(
            ended["replays"],
            json!([{"replay_id": replay, "state": replay_ends, "attempts": 1, "last_status": 200}])
        );
    }
}

async fn a_result_may_come_with_the_answer(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, call| Reply::result(&call.reference())).await;
    let world = World::start_calling(kind, &endpoint).await;
    let expected = [
        ("success", "succeeded", "resolved", "succeeded"),
        ("failed", "failed", "open", "failed"),
        // Neither word: the result has yet to come.
        ("perhaps", "delivered", "reprocessing", "failed"),
    ];
    for (effect, replay_ends, incident_becomes, event_state) in expected {
        let (event, incident) = world.incident_for(effect).await;
        world.cli.reprocess(&incident).await;
        world.replay_becomes(&incident, replay_ends).await;
        assert_eq!(world.incident(&incident).await["state"], incident_becomes);
        assert_eq!(world.cli.event(&event).await["state"], event_state);
    }
}

async fn a_delivered_replay_without_a_result_opens_the_incident_again(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let (_, incident) = world.api().new_incident().await;
    let first = world.cli.reprocess(&incident).await;
    world.replay_becomes(&incident, "delivered").await;
    world.sql().await.make_answer_overdue(&first).await;
    world.replay_becomes(&incident, "unanswered").await;
    assert_eq!(world.incident(&incident).await["state"], "open");

    // The effect may have been applied, so the order must say that it knows.
    let reprocess = ["incident", "reprocess", &incident];
    let refused = world.cli.run(&reprocess).await;
    assert_refused(&refused, &["may have been applied", "--again"]);
    assert_eq!(endpoint.calls().len(), 1);
    let again = world
        .cli
        .run(&[&reprocess[..], &["--again"]].concat())
        .await
        .json();
    assert_eq!(again["incident_id"], json!(incident));
    assert!(is_id("rpl_", &again["replay_id"]) && again["replay_id"] != json!(first));
    world.replay_becomes(&incident, "delivered").await;
    let replays = world.incident(&incident).await["replays"].clone();
    assert_eq!(
        (&replays[0]["replay_id"], &replays[1]["replay_id"]),
        (&json!(first), &again["replay_id"])
    );
}

async fn another_order_while_a_replay_is_under_way_is_refused(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, _| Reply::Held(200)).await;
    let world = World::start_calling(kind, &endpoint).await;
    let (event, incident) = world.api().new_incident().await;
    let order = async |more: &[&str]| {
        world
            .cli
            .run(&[&["incident", "reprocess", incident.as_str()], more].concat())
            .await
    };
    let first = order(&["--order-key", "click-1"]).await.json();
    let replay = first["replay_id"].as_str().unwrap();

    // The same order is the same replay; any other is refused, whether or not it comes with a key.
    endpoint.after_calls(1).await;
    for phase in ["while it is called", "after it is delivered"] {
        assert_eq!(order(&["--order-key", "click-1"]).await.json(), first, "{phase}");
        for another in [&[][..], &["--again"], &["--order-key", "click-2"]] {
            assert_refused(&order(another).await, &["under way", replay]);
        }
        endpoint.release();
        world.replay_becomes(&incident, "delivered").await;
    }
    assert_eq!(endpoint.calls().len(), 1);

    // And still when it has ended: a repeated form never makes a second repair.
    world.api().report_as(&answering(&event, "failed", replay)).await;
    assert_eq!(order(&["--order-key", "click-1"]).await.json(), first);
    assert_eq!(endpoint.calls().len(), 1);
    let second = order(&["--order-key", "click-2"]).await.json();
    assert_ne!(second["replay_id"], first["replay_id"]);
}

async fn a_success_ends_a_replay_under_way_and_no_further_call_is_made(kind: StoreKind) {
    let endpoint = Endpoint::always(500).await;
    let options = Options::quick().set("--retry-schedule", "0s,1h");
    let world = World::start_with(kind, &options, &["--repair-url", &endpoint.url()]).await;
    let (event, incident) = world.incident_for("ended").await;
    let replay = world.cli.reprocess(&incident).await;
    let sql = world.sql().await;
    let id = sql.id(&replay);
    eventually("the first attempt has failed", async || {
        sql.find(&format!("SELECT last_status AS n FROM replays WHERE id = {id}"))
            .await
    })
    .await;

    world.api().report(&event, "success").await;
    let ended = world.incident(&incident).await;
    assert_eq!(ended["state"], "resolved");
    assert_eq!(
        (&ended["replays"][0]["state"], &ended["replays"][0]["attempts"]),
        (&json!("succeeded"), &json!(1))
    );
    let waiting = format!("SELECT next_attempt_at AS n FROM replays WHERE id = {id}");
    assert_eq!(sql.find(&waiting).await, None, "nothing is due any more");
    assert_refused(
        &world.cli.run(&["incident", "reprocess", &incident]).await,
        &["resolved"],
    );
}

async fn a_result_may_come_before_the_answer(kind: StoreKind) {
    // The answers that come too late: one that would deliver, one that would be tried again, one that would halt.
    let endpoint = Endpoint::start(|_, call| Reply::Held(call.reference().parse().unwrap())).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut cases = Vec::new();
    for (status, effect) in [
        ("200", "success"),
        ("500", "success"),
        ("404", "success"),
        ("202", "failed"),
    ] {
        let (event, incident) = world.incident_for(status).await;
        let replay = world.cli.reprocess(&incident).await;
        cases.push((status, effect, event, incident, replay));
    }
    endpoint.after_calls(cases.len()).await;
    for (_, effect, event, _, replay) in &cases {
        world.api().report_as(&answering(event, effect, replay)).await;
    }
    endpoint.release();
    let sql = world.sql().await;
    eventually("every attempt has ended", async || {
        let under_way = sql
            .count("SELECT count(*) AS n FROM attempts WHERE ended_at IS NULL")
            .await;
        (under_way == 0).then_some(())
    })
    .await;
    for (status, effect, event, incident, replay) in &cases {
        let (replay_ends, incident_becomes) = match *effect {
            "success" => ("succeeded", "resolved"),
            _ => ("failed", "open"),
        };
        let ended = world.incident(incident).await;
        assert_eq!(ended["state"], incident_becomes, "{status} after {effect}");
        assert_eq!(ended["replays"][0]["replay_id"], json!(replay));
        assert_eq!(
            ended["replays"][0]["state"], replay_ends,
            "{status} after {effect}"
        );
        assert_eq!(endpoint.calls_for(status).len(), 1);
        assert_eq!(
            world.cli.event(event).await["incident"]["state"],
            incident_becomes
        );
    }
}

async fn a_late_result_leaves_an_ended_replay_as_it_is(kind: StoreKind) {
    let endpoint = Endpoint::always(422).await;
    let world = World::start_calling(kind, &endpoint).await;
    let (event, incident) = world.api().new_incident().await;
    let replay = world.cli.reprocess(&incident).await;
    let halted = world.replay_becomes(&incident, "halted").await;
    for (effect, incident_becomes) in [("failed", "open"), ("success", "resolved")] {
        world.api().report_as(&answering(&event, effect, &replay)).await;
        let now = world.incident(&incident).await;
        assert_eq!(
            (&now["state"], &now["replays"]),
            (&json!(incident_becomes), &json!([halted]))
        );
    }
}

async fn a_failure_of_an_older_replay_says_nothing_of_the_one_under_way(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let (event, incident) = world.api().new_incident().await;
    let older = world.cli.reprocess(&incident).await;
    world.replay_becomes(&incident, "delivered").await;
    world.api().report_as(&answering(&event, "failed", &older)).await;
    let newer = world.cli.reprocess(&incident).await;
    world.replay_becomes(&incident, "delivered").await;

    let unrelated = [answering(&event, "failed", &older), result(&event, "failed")];
    for body in unrelated {
        world.api().report_as(&body).await;
        let now = world.incident(&incident).await;
        assert_eq!(
            (&now["state"], &now["replays"][1]["state"]),
            (&json!("reprocessing"), &json!("delivered"))
        );
    }
    world.api().report_as(&answering(&event, "failed", &newer)).await;
    let ended = world.incident(&incident).await;
    assert_eq!(
        (&ended["state"], &ended["replays"][1]["state"]),
        (&json!("open"), &json!("failed"))
    );
}

async fn a_result_for_a_foreign_replay_is_refused(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let (_, incident) = world.api().new_incident().await;
    let foreign = world.cli.reprocess(&incident).await;
    let (event, own_incident) = world.api().new_incident().await;
    let nobodys = format!("rpl_{}", "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b");
    for (replay, effect) in [
        (&foreign, "success"),
        (&foreign, "failed"),
        (&nobodys, "success"),
        (&incident, "success"),
    ] {
        let answer = world
            .api()
            .result(&unique("key"), &answering(&event, effect, replay))
            .await;
        assert_eq!(answer.verdict(), "422 validation_error", "{replay}");
        assert_eq!(answer.wrong_fields(), ["replay_id"]);
    }
    // Nothing of it was taken: neither event nor incident has changed, and the replay waits on.
    assert_eq!(world.cli.event(&event).await["state"], "failed");
    assert_eq!(world.incident(&own_incident).await["state"], "open");
    world.replay_becomes(&incident, "delivered").await;
}

#[tokio::test]
async fn a_replay_that_may_have_been_applied_goes_again_only_when_told() {
    let endpoint =
        Endpoint::start(
            |_, call| match (call.reference().as_str(), call.header("x-sendpromptly-attempt")) {
                ("lost, then refused", "1") | ("lost to the end", _) => Reply::HangUp,
                ("lost, then refused" | "refused", _) => Reply::status(400),
                _ => Reply::status(500),
            },
        )
        .await;
    let world = World::start_calling(StoreKind::Sqlite, &endpoint).await;
    let cases = [
        ("lost to the end", "exhausted", true),
        ("lost, then refused", "halted", true),
        ("refused", "halted", false),
        ("failing to the end", "exhausted", false),
    ];
    for (reference, ends, doubtful) in cases {
        let (_, incident) = world.incident_for(reference).await;
        let replay = world.cli.reprocess(&incident).await;
        world.replay_becomes(&incident, ends).await;
        let second = world.cli.run(&["incident", "reprocess", &incident]).await;
        if doubtful {
            assert_refused(&second, &["may have been applied", &replay, "--again"]);
            let again = world
                .cli
                .run(&["incident", "reprocess", &incident, "--again"])
                .await;
            assert_ne!(again.json()["replay_id"], json!(replay), "{reference}");
        } else {
            assert_ne!(second.json()["replay_id"], json!(replay), "{reference}");
        }
    }
}

#[tokio::test]
async fn an_order_that_cannot_be_carried_out_is_refused_in_words() {
    let endpoint = Endpoint::always(200).await;
    let world = World::start(StoreKind::Sqlite).await;
    let (event, incident) = world.api().new_incident().await;
    let reprocess = ["incident", "reprocess", &incident];
    assert_refused(&world.cli.run(&reprocess).await, &["repair URL"]);

    let url = endpoint.url();
    let set = ["project", "set", &world.project.id, "--repair-url", &url];
    assert_eq!(world.cli.run(&set).await.code, 0);
    let dismiss = ["incident", "dismiss", &incident, "--reason", "refunded"];
    assert_eq!(world.cli.run(&dismiss).await.code, 0);
    assert_refused(&world.cli.run(&reprocess).await, &["dismissed", "reopen"]);
    assert_refused(&world.cli.run(&dismiss).await, &["dismissed"]);

    let reopen = ["incident", "reopen", &incident];
    assert_eq!(world.cli.run(&reopen).await.code, 0);
    assert_refused(&world.cli.run(&reopen).await, &["not dismissed"]);
    world.api().report(&event, "success").await;
    for order in [&reprocess[..], &dismiss, &reopen] {
        assert_eq!(world.cli.run(order).await.code, 1, "{order:?}");
    }
    assert_refused(&world.cli.run(&reprocess).await, &["resolved"]);
    assert_eq!(
        world.incident(&incident).await["replays"],
        Value::Array(Vec::new())
    );
    assert!(endpoint.calls().is_empty());
}

/// A result that answers this replay.
fn answering(event: &str, status: &str, replay: &str) -> Value {
    with(result(event, status), "replay_id", replay.into())
}

fn assert_refused(output: &Output, words: &[&str]) {
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "{word:?} in {output:?}");
    }
}
