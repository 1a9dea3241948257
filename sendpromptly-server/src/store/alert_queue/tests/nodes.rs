//! Two nodes that take messages from one queue.

use std::collections::BTreeMap;

use super::*;
use crate::store::Store;

const DESTINATIONS: usize = 30;

/// Claims all that is due then, as long as there is something.
async fn take_all(node: &Store, now: Timestamp) -> Vec<ClaimedAlert> {
    let mut taken = Vec::new();
    while let Some(claimed) = node.claim_alert(&all_room(), now).await.unwrap() {
        taken.push(claimed);
    }
    taken
}

/// What each destination is told.
fn by_destination(taken: &[ClaimedAlert]) -> BTreeMap<AlertId, AlertMessage> {
    let told = taken.iter();
    told.map(|claimed| (claimed.destination, claimed.message.clone()))
        .collect()
}

#[tokio::test]
async fn two_nodes_that_claim_at_once_share_the_messages_and_one_takes_over_what_the_other_leaves() {
    let world = World::set_up().await;
    for _ in 0..DESTINATIONS {
        add_by(&world, world.project, "slack").await;
    }
    world.failed_event("evt_1").await;
    hand_on(&world, NOW).await;
    let other = world.second_node().await;
    let (ours, theirs) = tokio::join!(take_all(&world.store, NOW), take_all(&other, NOW));
    assert_eq!(ours.len() + theirs.len(), DESTINATIONS, "none twice");
    let (told, lost) = (by_destination(&ours), by_destination(&theirs));
    assert_eq!(told.len() + lost.len(), DESTINATIONS, "and none left out");

    // The other dies before it has sent one.
    for claimed in &ours {
        end(&world, claimed, AlertEnd::Sent, NOW).await;
    }
    let over = NOW.plus(LEASE);
    assert!(take_all(&world.store, over.plus_millis(-1)).await.is_empty());
    let third = world.second_node().await;
    let (mut again, more) = tokio::join!(take_all(&world.store, over), take_all(&third, over));
    again.extend(more);
    assert_eq!(again.len(), theirs.len());
    assert_eq!(by_destination(&again), lost, "each says what it said");
    for claimed in &again {
        end(&world, claimed, AlertEnd::Sent, over).await;
    }
    assert_eq!(behind(&world).await, 0);
    assert!(take_all(&other, over.plus(LEASE)).await.is_empty());
}
