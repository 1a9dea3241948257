//! News from the change that they tell of to the message that has ended.

use sendpromptly_core::alert::{Channel, GROUPED_FOR, News, next_try};
use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::AlertId;
use sendpromptly_core::replay::Effect;

use super::*;
use crate::store::alerts::AlertMinutes;
use crate::testing::{NOW, World, operator};
use crate::vault::Vault;

const MINUTE_MS: i64 = 60_000;

async fn vault(world: &World) -> Vault {
    Vault::open(&world.store, &world.keys()).await.unwrap()
}

async fn add(world: &World, escalation: bool) -> AlertId {
    let vault = vault(world).await;
    world
        .add_alert(&vault, Channel::Email, "ops@example.com", escalation)
        .await
}

async fn hand_on(world: &World, now: Timestamp) {
    while world.store.hand_on_alerts(now).await.unwrap() {}
}

async fn claim(world: &World, now: Timestamp) -> Option<ClaimedAlert> {
    hand_on(world, now).await;
    world.store.claim_alert(now).await.unwrap()
}

async fn end(world: &World, claimed: &ClaimedAlert, end: AlertEnd, now: Timestamp) {
    world.store.end_alert(claimed, &end, now).await.unwrap();
}

fn counts(claimed: &ClaimedAlert) -> Vec<(News, u32)> {
    claimed
        .content
        .counts
        .iter()
        .map(|(news, count)| (*news, *count))
        .collect()
}

async fn set(world: &World, escalate: Option<u32>, silence: Option<u32>) {
    let minutes = AlertMinutes { escalate, silence };
    let origin: Origin = operator();
    let set = world
        .store
        .set_alert_minutes(world.scope(), world.project, minutes, &origin, NOW);
    assert!(set.await.unwrap());
}

#[tokio::test]
async fn where_nobody_is_told_nothing_is_queued() {
    let world = World::set_up().await;
    world.failed_event("evt_1").await;
    let waiting = Sql::new("SELECT count(*) AS n FROM alert_changes");
    assert_eq!(world.number(waiting).await, 0);
    assert!(claim(&world, NOW).await.is_none());
}

#[tokio::test]
async fn the_first_news_are_told_at_once_and_a_burst_after_them_as_one_message() {
    let world = World::set_up().await;
    let destination = add(&world, false).await;
    let (event, incident) = world.failed_event("evt_0").await;
    let first = claim(&world, NOW).await.unwrap();
    assert_eq!((first.destination, first.tries), (destination, 1));
    assert_eq!(counts(&first), [(News::Opened, 1)]);
    assert_eq!(first.content.incidents[0].incident, incident);
    end(&world, &first, AlertEnd::Sent, NOW).await;
    for number in 1..=40 {
        world.failed_event(&format!("evt_{number}")).await;
    }
    world
        .report(event, Effect::Success, None, NOW.plus_millis(1))
        .await;
    assert!(claim(&world, NOW.plus_millis(4 * MINUTE_MS)).await.is_none());
    let later = NOW.plus(GROUPED_FOR);
    let digest = claim(&world, later).await.unwrap();
    assert_eq!(counts(&digest), [(News::Opened, 40), (News::Resolved, 1)]);
    assert_eq!(digest.content.incidents.len(), NAMED as usize);
    end(&world, &digest, AlertEnd::Sent, later).await;
    assert!(claim(&world, later.plus(GROUPED_FOR * 2)).await.is_none());
    assert_eq!(
        world
            .number(Sql::new("SELECT count(*) AS n FROM alert_queue"))
            .await,
        0
    );
}

#[tokio::test]
async fn a_message_that_a_dead_node_had_goes_again_with_what_has_come_since() {
    let world = World::set_up().await;
    add(&world, false).await;
    world.failed_event("evt_1").await;
    let dead = claim(&world, NOW).await.unwrap();
    world.failed_event("evt_2").await;
    assert!(claim(&world, NOW).await.is_none(), "it is claimed");
    let later = NOW.plus(LEASE);
    let again = claim(&world, later).await.unwrap();
    assert_eq!((again.tries, counts(&again)), (2, vec![(News::Opened, 2)]));
    // Who was too slow ends nothing of what another has claimed.
    end(&world, &dead, AlertEnd::Sent, later).await;
    assert_eq!(
        world
            .number(Sql::new("SELECT count(*) AS n FROM alert_queue"))
            .await,
        2
    );
    end(&world, &again, AlertEnd::Sent, later).await;
    assert!(claim(&world, later.plus(GROUPED_FOR)).await.is_none());
}

#[tokio::test]
async fn what_comes_while_a_message_is_sent_is_told_by_the_next() {
    let world = World::set_up().await;
    add(&world, false).await;
    let (event, _) = world.failed_event("evt_1").await;
    let first = claim(&world, NOW).await.unwrap();
    world
        .report(event, Effect::Success, None, NOW.plus_millis(1))
        .await;
    hand_on(&world, NOW).await;
    end(&world, &first, AlertEnd::Sent, NOW).await;
    assert!(claim(&world, NOW.plus_millis(1)).await.is_none());
    let next = claim(&world, NOW.plus(GROUPED_FOR)).await.unwrap();
    assert_eq!(counts(&next), [(News::Resolved, 1)]);
}

#[tokio::test]
async fn a_message_that_is_not_taken_is_tried_by_the_schedule_and_given_up_and_that_is_shown() {
    let world = World::set_up().await;
    add(&world, false).await;
    world.failed_event("evt_1").await;
    let (mut now, mut tries) = (NOW, 0);
    loop {
        let claimed = claim(&world, now).await.unwrap();
        tries += 1;
        assert_eq!(claimed.tries, tries);
        let Some(next) = next_try(tries, None, now) else {
            end(
                &world,
                &claimed,
                AlertEnd::GivenUp("it answered 500".to_owned()),
                now,
            )
            .await;
            break;
        };
        let waits = AlertEnd::Waits("it answered 500".to_owned(), next);
        end(&world, &claimed, waits, now).await;
        assert!(claim(&world, next.plus_millis(-1)).await.is_none());
        now = next;
    }
    let listed = world
        .store
        .alerts(world.scope(), world.project)
        .await
        .unwrap()
        .remove(0);
    assert_eq!((listed.given_up, listed.waits), (1, false));
    assert_eq!(listed.failure, Some((now, "it answered 500".to_owned())));
    // The next news are told again, and no more often than others.
    world.failed_event("evt_2").await;
    assert!(claim(&world, now).await.is_none());
    let fresh = claim(&world, now.plus(GROUPED_FOR)).await.unwrap();
    assert_eq!((fresh.tries, counts(&fresh)), (1, vec![(News::Opened, 1)]));
}

#[tokio::test]
async fn an_incident_that_stays_open_is_told_to_the_second_destination_once() {
    let world = World::set_up().await;
    let first = add(&world, false).await;
    let second = add(&world, true).await;
    set(&world, Some(60), None).await;
    let (resolved, _) = world.failed_event("evt_1").await;
    let (_, open) = world.failed_event("evt_2").await;
    let opened = claim(&world, NOW).await.unwrap();
    assert_eq!(opened.destination, first);
    end(&world, &opened, AlertEnd::Sent, NOW).await;
    world
        .report(resolved, Effect::Success, None, NOW.plus_millis(1))
        .await;
    let at = NOW.plus_millis(59 * MINUTE_MS);
    let told = claim(&world, at).await.unwrap();
    assert_eq!(
        (told.destination, counts(&told)),
        (first, vec![(News::Resolved, 1)])
    );
    end(&world, &told, AlertEnd::Sent, at).await;
    let at = NOW.plus_millis(60 * MINUTE_MS);
    let escalated = claim(&world, at).await.unwrap();
    assert_eq!(
        (escalated.destination, counts(&escalated)),
        (second, vec![(News::Escalated, 1)])
    );
    assert_eq!(escalated.content.incidents[0].incident, open);
    end(&world, &escalated, AlertEnd::Sent, at).await;
    assert!(claim(&world, at.plus_millis(60 * MINUTE_MS)).await.is_none());
}

#[tokio::test]
async fn a_dismissed_incident_is_not_escalated() {
    let world = World::set_up().await;
    add(&world, true).await;
    set(&world, Some(1), None).await;
    let (_, incident) = world.failed_event("evt_1").await;
    hand_on(&world, NOW).await;
    let dismiss = Sql::new("UPDATE incidents SET state = 'dismissed' WHERE id = {}");
    world.write(dismiss.bind(incident.as_bytes())).await;
    assert!(claim(&world, NOW.plus_millis(9 * MINUTE_MS)).await.is_none());
}

#[tokio::test]
async fn silence_is_told_once_by_whichever_node_finds_it_and_so_is_its_end() {
    let world = World::set_up().await;
    add(&world, false).await;
    set(&world, None, Some(15)).await;
    let quiet = async |now| {
        let found = world
            .store
            .listened_to(ProjectId::from_bytes([0; 16]), 9)
            .await
            .unwrap();
        for quiet in found {
            if let Some(news) = quiet.silence.news(now) {
                world
                    .store
                    .tell_of_silence(quiet.project, news, now)
                    .await
                    .unwrap();
                world
                    .store
                    .tell_of_silence(quiet.project, news, now)
                    .await
                    .unwrap();
            }
        }
        hand_on(&world, now).await;
        world.store.claim_alert(now).await.unwrap()
    };
    assert!(quiet(NOW).await.is_none());
    let at = NOW.plus_millis(15 * MINUTE_MS);
    let told = quiet(at).await.unwrap();
    assert_eq!(counts(&told), [(News::Silent, 1)]);
    assert_eq!(
        (told.content.silence_minutes, told.content.incidents.len()),
        (Some(15), 0)
    );
    end(&world, &told, AlertEnd::Sent, at).await;
    assert!(quiet(at.plus(GROUPED_FOR)).await.is_none());
    let later = at.plus_millis(20 * MINUTE_MS);
    world.failed_event_at(world.project, "evt_1", later).await;
    let heard = quiet(later.plus_millis(1)).await.unwrap();
    assert_eq!(counts(&heard), [(News::Opened, 1), (News::Heard, 1)]);
}

#[tokio::test]
async fn what_a_provider_announced_is_no_receipt() {
    let world = World::set_up().await;
    set(&world, None, Some(15)).await;
    world.receive("evt_1").await;
    let last = async || {
        let first = ProjectId::from_bytes([0; 16]);
        world.store.listened_to(first, 9).await.unwrap()[0]
            .silence
            .last_receipt_at
    };
    assert_eq!(last().await, Some(NOW));
    world
        .write(Sql::new("UPDATE events SET received_at = NULL"))
        .await;
    assert_eq!(last().await, None);
}

#[tokio::test]
async fn a_removed_destination_is_told_nothing_more() {
    let world = World::set_up().await;
    let destination = add(&world, false).await;
    world.failed_event("evt_1").await;
    hand_on(&world, NOW).await;
    let origin = operator();
    let removed = world
        .store
        .remove_alert(world.scope(), world.project, destination, &origin, NOW);
    assert!(removed.await.unwrap());
    assert!(claim(&world, NOW).await.is_none());
    assert_eq!(
        world
            .number(Sql::new("SELECT count(*) AS n FROM alert_queue"))
            .await,
        0
    );
}
