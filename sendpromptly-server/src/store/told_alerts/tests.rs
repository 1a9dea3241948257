//! What is kept of each message, and for which incidents.

use sendpromptly_core::alert::{Again, GROUPED_FOR};
use sendpromptly_core::replay::Effect;

use super::*;
use crate::store::alert_queue::tests::{add, claim, end, hand_on, happens};
use crate::store::alert_queue::{AlertEnd, NAMED, batch};
use crate::testing::{NOW, World, operator};

async fn told(world: &World, incident: IncidentId) -> Vec<ToldAlert> {
    while world.store.note_told_alerts().await.unwrap() {}
    let until = NOW.plus_minutes(1_000);
    let told = world.store.alerts_on(world.project, incident, until);
    told.await.unwrap()
}

async fn waiting(world: &World, incident: IncidentId) -> Vec<WaitingAlert> {
    let waiting = world.store.waiting_alerts_on(world.project, incident);
    waiting.await.unwrap()
}

#[tokio::test]
async fn a_message_that_has_ended_is_kept_for_each_incident_that_it_told_of() {
    let world = World::set_up().await;
    add(&world, false).await;
    let (event, incident) = world.failed_event("evt_1").await;
    let first = claim(&world, NOW).await.unwrap();
    assert!(
        told(&world, incident).await.is_empty(),
        "it is not known to be told"
    );
    end(&world, &first, AlertEnd::Sent, NOW).await;
    let one = told(&world, incident).await.remove(0);
    assert_eq!(
        (one.channel, one.shown),
        (Channel::Email, Some("ops@example.com".to_owned()))
    );
    assert_eq!((one.news, one.ended_at, one.tries), (News::Opened, NOW, 1));
    assert_eq!((one.incidents, one.named, one.failure), (1, true, None));

    world
        .report(event, Effect::Success, None, NOW.plus_millis(1))
        .await;
    let mut others = Vec::new();
    for number in 0..NAMED {
        let at = NOW.plus_millis(i64::from(number) + 2);
        others.push(
            world
                .failed_event_at(world.project, &format!("evt_o{number}"), at)
                .await
                .1,
        );
    }
    let later = NOW.plus(GROUPED_FOR);
    let digest = claim(&world, later).await.unwrap();
    let refused = AlertEnd::GivenUp("it answered 404".to_owned());
    end(&world, &digest, refused, later).await;
    let both = told(&world, incident).await;
    assert_eq!(both.len(), 2);
    assert_eq!(
        (both[1].news, both[1].failure.as_deref()),
        (News::Resolved, Some("it answered 404"))
    );
    assert_eq!(
        (both[1].incidents, both[1].named),
        (NAMED + 1, false),
        "the oldest is only counted"
    );
    let last = told(&world, others[NAMED as usize - 1]).await;
    assert_eq!((last.len(), last[0].named, last[0].id), (1, true, both[1].id));
    let before = world.store.alerts_on(world.project, incident, NOW).await.unwrap();
    assert_eq!(before.len(), 1, "up to a moment");
}

#[tokio::test]
async fn what_a_message_told_is_kept_also_where_there_are_other_news_when_it_ends() {
    let world = World::set_up().await;
    add(&world, false).await;
    let (event, incident) = world.failed_event("evt_1").await;
    let first = claim(&world, NOW).await.unwrap();
    world
        .report(event, Effect::Success, None, NOW.plus_millis(1))
        .await;
    hand_on(&world, NOW).await;
    end(&world, &first, AlertEnd::Sent, NOW).await;
    let news = |told: &[ToldAlert]| told.iter().map(|alert| alert.news).collect::<Vec<_>>();
    assert_eq!(news(&told(&world, incident).await), [News::Opened]);
    let later = NOW.plus(GROUPED_FOR);
    let next = claim(&world, later).await.unwrap();
    end(&world, &next, AlertEnd::Sent, later).await;
    assert_eq!(
        news(&told(&world, incident).await),
        [News::Opened, News::Resolved]
    );
}

#[tokio::test]
async fn what_waits_is_told_with_its_tries_and_is_kept_once_it_has_ended() {
    let world = World::set_up().await;
    add(&world, false).await;
    let (_, incident) = world.failed_event("evt_1").await;
    let is_telling = async || {
        let telling = world.store.is_telling(world.project, incident);
        telling.await.unwrap()
    };
    assert!(is_telling().await && waiting(&world, incident).await.is_empty());
    hand_on(&world, NOW).await;
    assert!(!is_telling().await, "it is handed on");
    let due = waiting(&world, incident).await.remove(0);
    assert_eq!(
        (due.news, due.due_at, due.under_way, due.failed),
        (News::Opened, NOW, false, None)
    );
    let claimed = claim(&world, NOW).await.unwrap();
    assert!(waiting(&world, incident).await[0].under_way);
    let again = NOW.plus_minutes(1);
    let busy = AlertEnd::Waits(
        "it answered 503".to_owned(),
        Again {
            at: again,
            not_before: None,
        },
    );
    end(&world, &claimed, busy, NOW).await;
    let failed = waiting(&world, incident).await.remove(0);
    assert_eq!((failed.due_at, failed.under_way), (again, false));
    assert_eq!(failed.failed, Some((1, "it answered 503".to_owned())));
    let (_, other) = world.failed_event("evt_2").await;
    hand_on(&world, NOW).await;
    assert_eq!(waiting(&world, other).await[0].failed, None, "no try has told it");
    assert!(told(&world, incident).await.is_empty());
    let claimed = claim(&world, again).await.unwrap();
    end(&world, &claimed, AlertEnd::Sent, again).await;
    assert!(waiting(&world, incident).await.is_empty());
    let one = told(&world, incident).await.remove(0);
    assert_eq!((one.tries, one.ended_at, one.incidents), (2, again, 1));
}

#[tokio::test]
async fn who_was_told_is_no_longer_named_once_the_destination_is_removed() {
    let world = World::set_up().await;
    let destination = add(&world, false).await;
    let (_, incident) = world.failed_event("evt_1").await;
    let claimed = claim(&world, NOW).await.unwrap();
    end(&world, &claimed, AlertEnd::Sent, NOW).await;
    let origin = operator();
    let removed = world
        .store
        .remove_alert(world.scope(), world.project, destination, &origin, NOW);
    assert!(removed.await.unwrap());
    let one = told(&world, incident).await.remove(0);
    assert_eq!((one.channel, one.shown), (Channel::Email, None));
}

#[tokio::test]
async fn news_of_a_project_are_kept_for_no_incident() {
    let world = World::set_up().await;
    add(&world, false).await;
    happens(&world, world.project, *world.project.as_bytes(), "silent", NOW).await;
    let claimed = claim(&world, NOW).await.unwrap();
    end(&world, &claimed, AlertEnd::Sent, NOW).await;
    assert!(world.store.note_told_alerts().await.unwrap());
    assert_eq!(
        rows(&world, "told_alerts").await + rows(&world, "told_messages").await,
        0
    );
}

#[tokio::test]
async fn a_message_that_told_much_is_noted_bit_by_bit_and_its_news_stay_until_then() {
    let world = World::set_up().await;
    add(&world, false).await;
    let (_, first) = world.failed_event("evt_1").await;
    for number in 0..250_u8 {
        happens(&world, world.project, [number; 16], "opened", NOW).await;
    }
    let (_, last) = world.failed_event("evt_2").await;
    let claimed = claim(&world, NOW).await.unwrap();
    end(&world, &claimed, AlertEnd::Sent, NOW).await;
    while world.store.forget_told_news().await.unwrap() {}
    assert_eq!(
        rows(&world, "alert_news").await,
        252,
        "they are still to be noted"
    );
    assert!(world.store.note_told_alerts().await.unwrap());
    assert_eq!(rows(&world, "told_messages").await, 1);
    while world.store.forget_told_news().await.unwrap() {}
    let noted = i64::try_from(batch(world.store.dialect())).unwrap();
    assert_eq!(rows(&world, "alert_news").await, 252 - noted);
    for incident in [first, last] {
        let told = told(&world, incident).await;
        assert_eq!((told.len(), told[0].incidents), (1, 252));
    }
    assert_eq!(
        (
            rows(&world, "told_alerts").await,
            rows(&world, "told_messages").await
        ),
        (2, 0)
    );
}

#[tokio::test]
async fn a_message_that_told_much_is_noted_to_its_end_also_where_nodes_with_clocks_apart_numbered_its_news() {
    let world = World::set_up().await;
    add(&world, false).await;
    let (_, incident) = world.failed_event("evt_1").await;
    hand_on(&world, NOW).await;
    let (first, last) = (NOW.plus_millis(1_000), NOW.plus_millis(2_000));
    happens(&world, world.project, *incident.as_bytes(), "opened", last).await;
    hand_on(&world, NOW).await;
    for number in 0..150_u8 {
        happens(&world, world.project, [number; 16], "opened", NOW).await;
    }
    hand_on(&world, NOW).await;
    happens(&world, world.project, *incident.as_bytes(), "resolved", first).await;
    let claimed = claim(&world, NOW).await.unwrap();
    end(&world, &claimed, AlertEnd::Sent, NOW).await;
    while world.store.note_told_alerts().await.unwrap() {
        while world.store.forget_told_news().await.unwrap() {}
    }
    assert_eq!(rows(&world, "told_messages").await, 0);
    let told = told(&world, incident).await;
    assert_eq!(
        (told.len(), told[0].news),
        (1, News::Opened),
        "as the message said"
    );
}

#[tokio::test]
async fn a_node_that_was_too_slow_leaves_nothing_to_be_noted() {
    let world = World::set_up().await;
    add(&world, false).await;
    world.failed_event("evt_1").await;
    let dead = claim(&world, NOW).await.unwrap();
    let later = NOW.plus(crate::store::alert_queue::LEASE);
    let again = claim(&world, later).await.unwrap();
    end(&world, &dead, AlertEnd::Sent, later).await;
    assert_eq!(rows(&world, "told_messages").await, 0);
    end(&world, &again, AlertEnd::Sent, later).await;
    assert_eq!(rows(&world, "told_messages").await, 1);
}

async fn rows(world: &World, table: &str) -> i64 {
    world
        .number(Sql::new(format!("SELECT count(*) AS n FROM {table}")))
        .await
}
