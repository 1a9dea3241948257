//! How far it counts, and how seldom it writes.

use super::*;
use crate::store::rows::Sql;
use crate::testing::{NOW, World};

#[tokio::test]
async fn what_is_younger_than_two_minutes_is_left_for_later() {
    let world = World::set_up().await;
    world.receive("evt_1").await;
    let count = Count {
        store: world.store.clone(),
    };
    let events = async || {
        let events = Sql::new("SELECT CAST(coalesce(sum(events), 0) AS bigint) AS n FROM hourly_counts");
        world.number(events).await
    };
    count.count(NOW.plus_millis(SETTLED_MS)).await.unwrap();
    assert_eq!(events().await, 0);
    count.count(NOW.plus_millis(SETTLED_MS + 1)).await.unwrap();
    assert_eq!(events().await, 1);
}

#[tokio::test]
async fn where_nothing_happens_it_writes_once_an_hour() {
    let world = World::set_up().await;
    let count = Count {
        store: world.store.clone(),
    };
    let mut points = Vec::new();
    for minute in 0..120 {
        let now = NOW.plus_millis(minute * MINUTE_MS);
        assert_eq!(count.count(now).await.unwrap(), Left::Nothing);
        points.push(world.store.counted_until().await.unwrap());
    }
    points.dedup();
    assert!(points.len() <= 3, "{points:?}");
}
