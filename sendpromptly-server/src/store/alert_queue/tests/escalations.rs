//! Incidents that stay open.

use super::*;

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
    assert_eq!(escalated.message.content.incidents[0].incident, open);
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
async fn a_repair_that_fails_again_and_again_does_not_put_off_that_the_second_destination_is_told() {
    let world = World::set_up().await;
    let second = add(&world, true).await;
    set(&world, Some(60), None).await;
    let (_, incident) = world.failed_event("evt_1").await;
    hand_on(&world, NOW).await;
    for minutes in [25, 50] {
        let at = NOW.plus_millis(minutes * MINUTE_MS);
        happens(&world, world.project, *incident.as_bytes(), "reopened", at).await;
        assert!(claim(&world, at).await.is_none());
    }
    let told = claim(&world, NOW.plus_millis(60 * MINUTE_MS)).await.unwrap();
    assert_eq!(
        (told.destination, counts(&told)),
        (second, vec![(News::Escalated, 1)])
    );
}

#[tokio::test]
async fn once_it_is_turned_off_nothing_more_is_escalated() {
    let world = World::set_up().await;
    add(&world, true).await;
    set(&world, Some(60), None).await;
    world.failed_event("evt_1").await;
    hand_on(&world, NOW).await;
    set(&world, None, None).await;
    let at = NOW.plus_millis(60 * MINUTE_MS);
    assert!(claim(&world, at).await.is_none());
}
