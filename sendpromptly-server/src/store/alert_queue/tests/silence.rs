//! Receipts that do not come.

use super::*;

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
            if let Some(news) = quiet.silence.news(NOW, now) {
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
        world.store.claim_alert(&all_room(), now).await.unwrap()
    };
    assert!(quiet(NOW).await.is_none());
    let at = NOW.plus_millis(15 * MINUTE_MS);
    let told = quiet(at).await.unwrap();
    assert_eq!(counts(&told), [(News::Silent, 1)]);
    assert_eq!(
        (
            told.message.content.silence_minutes,
            told.message.content.incidents.len()
        ),
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
async fn the_last_receipt_is_found_also_where_its_event_was_announced_before_others() {
    let world = World::set_up().await;
    let first = world.receive("evt_1").await;
    world.receive("evt_2").await;
    let late = NOW.plus_millis(9 * MINUTE_MS);
    let receipt = Sql::new("UPDATE events SET received_at = {} WHERE id = {}");
    world.write(receipt.bind(late).bind(first.as_bytes())).await;
    let last = world.store.last_receipt(world.project).await.unwrap();
    assert_eq!(last, Some(late));
}
