//! Messages that are tried more than once.

use sendpromptly_core::alert::{Refusal, next_try};

use super::*;

fn waits(claimed: &ClaimedAlert, asked_minutes: Option<i64>, now: Timestamp) -> AlertEnd {
    let asked = asked_minutes.map(|minutes| now.plus_millis(minutes * MINUTE_MS).since(now));
    let again = next_try(claimed.message.made_at, Refusal::Passing(asked), now).unwrap();
    AlertEnd::Waits("it answered 503".to_owned(), again)
}

#[tokio::test]
async fn a_message_that_a_dead_node_had_goes_again_and_what_has_come_since_with_the_next() {
    let world = World::set_up().await;
    add(&world, false).await;
    world.failed_event("evt_1").await;
    let dead = claim(&world, NOW).await.unwrap();
    world.failed_event("evt_2").await;
    assert!(claim(&world, NOW).await.is_none(), "it is claimed");
    let later = NOW.plus(LEASE);
    let again = claim(&world, later).await.unwrap();
    assert_eq!((again.tries, again.begun), (2, 2));
    assert_eq!(again.message, dead.message, "it says what it said");
    // Who was too slow ends nothing of what another has claimed.
    end(&world, &dead, AlertEnd::Sent, later).await;
    assert!(claim(&world, later).await.is_none());
    end(&world, &again, AlertEnd::Sent, later).await;
    let next = claim(&world, later.plus(GROUPED_FOR)).await.unwrap();
    assert_eq!(
        (next.tries, next.begun, counts(&next)),
        (1, 1, vec![(News::Opened, 1)])
    );
    assert_ne!(next.message.id, dead.message.id);
}

#[tokio::test]
async fn a_message_says_the_same_at_each_try_whatever_has_changed_since() {
    let world = World::set_up().await;
    add(&world, false).await;
    let (event, _) = world.failed_event("evt_1").await;
    let first = claim(&world, NOW).await.unwrap();
    end(&world, &first, waits(&first, None, NOW), NOW).await;
    world
        .report(event, Effect::Success, None, NOW.plus_millis(1))
        .await;
    world
        .write(Sql::new("UPDATE projects SET name = 'renamed'"))
        .await;
    let later = NOW.plus_millis(MINUTE_MS);
    let again = claim(&world, later).await.unwrap();
    assert_eq!((again.tries, again.begun), (2, 1));
    assert_eq!(again.message, first.message);
    end(&world, &again, AlertEnd::Sent, later).await;
    let next = claim(&world, later.plus(GROUPED_FOR)).await.unwrap();
    assert_eq!(counts(&next), [(News::Resolved, 1)]);
    assert_eq!(next.message.content.project_name, "renamed");
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
        let why = "it answered 500".to_owned();
        let Some(next) = next_try(claimed.message.made_at, Refusal::Passing(None), now) else {
            end(&world, &claimed, AlertEnd::GivenUp(why), now).await;
            break;
        };
        end(&world, &claimed, AlertEnd::Waits(why, next), now).await;
        assert!(claim(&world, next.at.plus_millis(-1)).await.is_none());
        now = next.at;
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
async fn news_that_come_all_the_time_neither_use_up_the_tries_nor_go_with_a_message_that_is_given_up() {
    let world = World::set_up().await;
    add(&world, false).await;
    let mut now = NOW;
    for number in 0..30_u8 {
        happens(&world, world.project, [number; 16], "opened", now).await;
        if let Some(claimed) = claim(&world, now).await {
            end(&world, &claimed, waits(&claimed, None, now), now).await;
        }
        now = now.plus_millis(MINUTE_MS);
    }
    let due = now.plus(GROUPED_FOR);
    let claimed = claim(&world, due).await.unwrap();
    assert!(claimed.tries > 6, "{}", claimed.tries);
    end(&world, &claimed, AlertEnd::GivenUp("no".to_owned()), due).await;
    let next = claim(&world, due.plus(GROUPED_FOR)).await.unwrap();
    assert_eq!(counts(&next), [(News::Opened, 29)]);
}

#[tokio::test]
async fn a_pause_that_a_receiver_asks_for_is_kept_whatever_comes() {
    let world = World::set_up().await;
    add(&world, false).await;
    world.failed_event("evt_1").await;
    let first = claim(&world, NOW).await.unwrap();
    world.failed_event("evt_2").await;
    hand_on(&world, NOW).await;
    end(&world, &first, waits(&first, Some(60), NOW), NOW).await;
    world.failed_event("evt_3").await;
    assert!(claim(&world, NOW.plus_millis(60 * MINUTE_MS - 1)).await.is_none());
    assert!(claim(&world, NOW.plus_millis(60 * MINUTE_MS)).await.is_some());
}

#[tokio::test]
async fn news_that_come_during_a_try_bring_the_next_one_forward() {
    let world = World::set_up().await;
    add(&world, false).await;
    world.failed_event("evt_1").await;
    let first = claim(&world, NOW).await.unwrap();
    end(&world, &first, waits(&first, None, NOW), NOW).await;
    let late = NOW.plus_millis(61 * MINUTE_MS);
    let again = claim(&world, late).await.unwrap();
    world.failed_event("evt_2").await;
    hand_on(&world, late).await;
    end(&world, &again, waits(&again, None, late), late).await;
    assert!(claim(&world, late.plus(GROUPED_FOR)).await.is_some());
}

#[tokio::test]
async fn what_a_stop_hands_back_goes_again_at_once_and_the_try_does_not_count() {
    let world = World::set_up().await;
    add(&world, false).await;
    world.failed_event("evt_1").await;
    let first = claim(&world, NOW).await.unwrap();
    end(&world, &first, AlertEnd::HandedBack, NOW).await;
    let again = claim(&world, NOW).await.unwrap();
    assert_eq!((again.tries, again.begun), (1, 1));
    assert_eq!(again.message, first.message);
    // What the process before had, where there is only one.
    assert_eq!(world.store.hand_back_alerts(NOW).await.unwrap(), 1);
    let third = claim(&world, NOW).await.unwrap();
    assert_eq!((third.tries, third.begun), (2, 2));
    end(&world, &again, AlertEnd::Sent, NOW).await;
    assert_eq!(behind(&world).await, 1, "the one before is too late");
}
