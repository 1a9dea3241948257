//! Alerts while servers die, and where two share a store.

use std::collections::{BTreeMap, BTreeSet};

use sendpromptly_tests::api::Api;
use sendpromptly_tests::endpoint::{Call, Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

use super::{BEHIND, REFERENCE, add, let_groups_end, listed, until_told};

on_both_stores!(however_often_a_server_dies_while_it_tells_a_burst_its_messages_are_bounded);

/// How often a message is sent without that anybody learns what became of it.
const BEGUN_AT_MOST: usize = 6;

/// Messages of one project that a node has under way at once.
const OF_A_PROJECT: usize = 4;

async fn however_often_a_server_dies_while_it_tells_a_burst_its_messages_are_bounded(kind: StoreKind) {
    let hook = Endpoint::start(|number, _| match number {
        0..BEGUN_AT_MOST => Reply::Held(200),
        _ => Reply::status(200),
    })
    .await;
    let mut world = World::start_with(kind, &Options::quick(), &[]).await;
    add(&world, "webhook", &hook.url(), &[]).await;
    let sql = world.sql().await;
    for kills in 1..=BEGUN_AT_MOST {
        world.incident_for(REFERENCE).await;
        hook.after_calls(kills).await;
        world.server.kill().await;
        if kind == StoreKind::Postgres {
            // As though the lease had run out. On SQLite no other node can have it.
            sql.run("UPDATE alert_destinations SET due_at = 0").await;
        }
        world.restart(&Options::quick()).await;
    }
    let given_up = eventually("the message is given up", async || {
        let listed = listed(&world).await.remove(0);
        listed["failure"].is_string().then_some(listed)
    })
    .await;
    assert_eq!(given_up["failure"], "the server ended each time it was sent");
    // The rest of the burst is one message, in its turn.
    eventually("the rest is handed on", async || {
        (sql.rows("alert_changes").await == 0).then_some(())
    })
    .await;
    assert_eq!(sql.count(BEHIND).await, 1, "it waits for its turn");
    let_groups_end(&sql).await;
    let calls = hook.after_calls(BEGUN_AT_MOST + 1).await;
    until_told(&sql).await;
    assert_eq!(hook.calls().len(), BEGUN_AT_MOST + 1);
    let (lost, rest) = calls.split_at(BEGUN_AT_MOST);
    assert_eq!(messages(lost).len(), 1, "each time the same");
    assert_eq!(messages(&calls).len(), 2);
    assert_eq!(lost[0].json()["counts"]["opened"], 1);
    assert_eq!(rest[0].json()["counts"]["opened"], BEGUN_AT_MOST - 1);
}

#[tokio::test]
async fn of_two_nodes_each_has_its_share_of_messages_and_each_is_sent_once() {
    let hook = Endpoint::start(|_, _| Reply::Held(200)).await;
    let world = World::start(StoreKind::Postgres).await;
    let second = world.start_second_node(&Options::quick()).await;
    add_destinations(&world, &hook).await;
    world.incident_for(REFERENCE).await;
    // More than one of them may have under way.
    hook.after_calls(2 * OF_A_PROJECT).await;
    hook.release();
    let sql = world.sql().await;
    until_told(&sql).await;
    let apis = [
        world.api(),
        Api {
            server: second.address,
            ..world.api()
        },
    ];
    const MORE: u64 = 10;
    for number in 0..MORE {
        apis[usize::from(number % 2 == 0)].new_incident().await;
    }
    eventually("all is handed on", async || {
        (sql.rows("alert_changes").await == 0).then_some(())
    })
    .await;
    let_groups_end(&sql).await;
    until_told(&sql).await;

    let told = by_destination(&hook.calls());
    assert_eq!(told.len(), 2 * OF_A_PROJECT);
    for (destination, calls) in told {
        assert!(
            calls
                .iter()
                .all(|call| call.header("x-sendpromptly-attempt") == "1"),
            "{destination}"
        );
        assert_eq!(messages(&calls).len(), calls.len(), "{destination}: none twice");
        assert_eq!(opened(&calls), 1 + MORE, "{destination}: and none is missing");
    }
}

#[tokio::test]
async fn what_a_killed_node_was_sending_the_other_sends_again_and_nothing_else() {
    let hook = Endpoint::start(|_, _| Reply::Held(200)).await;
    let mut world = World::start(StoreKind::Postgres).await;
    let second = world.start_second_node(&Options::quick()).await;
    add_destinations(&world, &hook).await;
    world.incident_for(REFERENCE).await;
    hook.after_calls(2 * OF_A_PROJECT).await;
    world.server.kill().await;
    hook.release();
    let sql = world.sql().await;
    let claimed = "SELECT count(*) AS n FROM alert_destinations WHERE lease_token IS NOT NULL";
    eventually("the other's own are told", async || {
        (sql.count(claimed).await == 4).then_some(())
    })
    .await;
    assert_eq!(hook.calls().len(), 2 * OF_A_PROJECT, "it cannot know yet");
    // As though the leases had run out.
    sql.run("UPDATE alert_destinations SET due_at = 0 WHERE lease_token IS NOT NULL")
        .await;
    until_told(&sql).await;
    let calls = hook.calls();
    assert_eq!(calls.len(), 3 * OF_A_PROJECT);
    let told = by_destination(&calls);
    assert_eq!(told.len(), 2 * OF_A_PROJECT);
    for (destination, calls) in told {
        assert_eq!(messages(&calls).len(), 1, "{destination}: each time the same");
        assert_eq!(calls[0].json()["counts"]["opened"], 1);
    }
    drop(second);
}

/// So many destinations that one node cannot have a message to each under way.
async fn add_destinations(world: &World, hook: &Endpoint) {
    for number in 0..2 * OF_A_PROJECT {
        add(world, "webhook", &format!("{}?to={number}", hook.url()), &[]).await;
    }
}

/// The calls of each destination, in their order.
fn by_destination(calls: &[Call]) -> BTreeMap<String, Vec<Call>> {
    let mut told: BTreeMap<_, Vec<Call>> = BTreeMap::new();
    for call in calls {
        told.entry(call.request_line.clone())
            .or_default()
            .push(call.clone());
    }
    told
}

fn messages(calls: &[Call]) -> BTreeSet<String> {
    let ids = calls.iter().map(|call| call.json()["message_id"].to_string());
    ids.collect()
}

fn opened(calls: &[Call]) -> u64 {
    let counts = calls.iter().map(|call| call.json()["counts"]["opened"].as_u64());
    counts.map(Option::unwrap).sum()
}
