//! Whom news are for, and when they are forgotten.

use super::*;

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
    assert_eq!(behind(&world).await, 0);
}
#[tokio::test]
async fn news_are_forgotten_once_every_destination_was_told_them_and_that_is_noted() {
    let world = World::set_up().await;
    add_by(&world, world.project, "slack").await;
    add_by(&world, world.project, "webhook").await;
    for number in 0..250_u8 {
        happens(&world, world.project, [number; 16], "opened", NOW).await;
    }
    let first = claim(&world, NOW).await.unwrap();
    let second = claim(&world, NOW).await.unwrap();
    end(&world, &first, AlertEnd::Sent, NOW).await;
    assert!(!world.store.forget_told_news().await.unwrap());
    assert_eq!(kept(&world).await, 250);
    end(&world, &second, AlertEnd::GivenUp("no".to_owned()), NOW).await;
    while world.store.note_told_alerts().await.unwrap() {}
    assert!(world.store.forget_told_news().await.unwrap(), "there is more");
    assert!(!world.store.forget_told_news().await.unwrap());
    assert_eq!(kept(&world).await, 0);
    // Their numbers go on.
    happens(&world, world.project, [9; 16], "resolved", NOW).await;
    let next = claim(&world, NOW.plus(GROUPED_FOR)).await.unwrap();
    assert_eq!(counts(&next), [(News::Resolved, 1)]);
}

#[tokio::test]
async fn a_new_destination_is_told_only_what_comes_after_it() {
    let world = World::set_up().await;
    let before = add(&world, false).await;
    world.failed_event("evt_1").await;
    hand_on(&world, NOW).await;
    let after = add(&world, false).await;
    let told = claim(&world, NOW).await.unwrap();
    assert_eq!(told.destination, before);
    assert!(claim(&world, NOW).await.is_none());
    world.failed_event("evt_2").await;
    let told = claim(&world, NOW).await.unwrap();
    assert_eq!(
        (told.destination, counts(&told)),
        (after, vec![(News::Opened, 1)])
    );
    for destination in [before, after] {
        let origin = operator();
        let removed = world
            .store
            .remove_alert(world.scope(), world.project, destination, &origin, NOW);
        assert!(removed.await.unwrap());
    }
    let third = add(&world, false).await;
    assert!(claim(&world, NOW).await.is_none(), "what was left by the others");
    while world.store.forget_told_news().await.unwrap() {}
    assert_eq!(kept(&world).await, 0);
    world.failed_event("evt_3").await;
    let told = claim(&world, NOW).await.unwrap();
    assert_eq!(
        (told.destination, counts(&told)),
        (third, vec![(News::Opened, 1)])
    );
}

#[tokio::test]
async fn what_an_earlier_version_has_queued_for_each_destination_is_told() {
    let world = World::set_up().await;
    let destination = add_by(&world, world.project, "slack").await;
    let other = add_by(&world, world.project, "slack").await;
    for (id, subject, news) in [
        (destination, [1; 16], "opened"),
        (other, [1; 16], "opened"),
        (other, [2; 16], "resolved"),
    ] {
        let queue = Sql::new(
            "INSERT INTO alert_queue (project_id, destination_id, subject_id, news, at) VALUES ({}, {}, {}, {}, 1)",
        );
        let queue = queue.bind(world.project.as_bytes()).bind(id.as_bytes());
        world.write(queue.bind(subject).bind(news)).await;
    }
    let told = claim(&world, NOW).await.unwrap();
    assert_eq!(counts(&told), [(News::Opened, 1), (News::Resolved, 1)]);
    let left = Sql::new("SELECT count(*) AS n FROM alert_queue");
    assert_eq!(world.number(left).await, 0);
}
