//! Counting once, whoever counts.

use super::*;
use crate::testing::{NOW, World};

#[test]
fn an_id_tells_its_time_and_sorts_within_it() {
    use sendpromptly_core::id::EventId;
    for entropy in [[0; 10], [0xff; 10]] {
        let id = EventId::new(NOW, entropy);
        assert_eq!(time_of_id(*id.as_bytes()), NOW);
        assert!(first_id_at(NOW) <= *id.as_bytes());
        assert!(*id.as_bytes() < first_id_at(NOW.plus_millis(1)));
    }
}

#[tokio::test]
async fn two_who_count_the_same_stretch_count_it_once() {
    let world = World::set_up().await;
    let second = world.second_node().await;
    let hour = hour_of(NOW);
    let stretch = Stretch {
        from: hour,
        to: hour.plus_millis(HOUR_MS),
    };
    let mut figures = BTreeMap::new();
    let one = Figures {
        events: 5,
        opened: 2,
        repairs: Spread::default(),
    };
    figures.insert(world.project, one);

    let mut before = None;
    for _ in 0..3 {
        // Each sees the same point, and moves it elsewhere.
        let ends = [1, 2].map(|later| Stretch {
            to: before.unwrap_or(stretch.to).plus_millis(later),
            ..stretch
        });
        let (first, other) = tokio::join!(
            world.store.add_to_hours(before, ends[0], &figures),
            second.add_to_hours(before, ends[1], &figures),
        );
        assert_ne!(first.unwrap(), other.unwrap());
        before = world.store.counted_until().await.unwrap();
    }
    let events = Sql::new("SELECT events AS n FROM hourly_counts");
    assert_eq!(world.number(events).await, 15);
}

#[tokio::test]
async fn what_was_resolved_is_found_by_its_time_also_in_a_table_never_analyzed() {
    let world = World::set_up().await;
    world.settle_many().await;
    let stretch = Stretch {
        from: NOW,
        to: NOW.plus_millis(HOUR_MS),
    };
    let plan = resolved_in(world.store.dialect, stretch)
        .plan(&world.store.reader)
        .await;
    assert!(plan.contains("incidents_by_resolution"), "{plan}");
}
