//! Many slow clients at once, and ones that never come to the point.

use std::time::Duration;

use sendpromptly_tests::api::RECEIPT;
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::Connection;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

#[tokio::test]
async fn a_thousand_half_sent_requests_do_not_stop_good_ones() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    let whole = api.request(RECEIPT, "slow", &receipt("evt_slow")).to_bytes();
    let head = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let mut slow = Vec::new();
    for n in 0..1_000 {
        let mut connection = Connection::open(api.server).await;
        // Half of them stop in the head, half in the body.
        let stop = if n % 2 == 0 { head / 2 } else { head + 10 };
        assert!(connection.send(&whole[..stop]).await);
        slow.push(connection);
    }
    for _ in 0..100 {
        let answer = api.receipt(&unique("key"), &receipt(&unique("evt"))).await;
        assert_eq!(answer.verdict(), "202");
    }
    // A slow one that comes to its end is answered like any other.
    let mut last = slow.pop().unwrap();
    last.send(&whole[head + 10..]).await;
    assert_eq!(last.answer().await.unwrap().verdict(), "202");
    assert_eq!(world.sql().await.rows("events").await, 101);
}

#[tokio::test]
async fn a_connection_without_a_whole_head_is_closed() {
    let world = World::start(StoreKind::Sqlite).await;
    let mut silent = Connection::open(world.server.address).await;
    let mut slow = Connection::open(world.server.address).await;
    slow.send(b"POST /api/v1/receipt HTTP/1.1\r\nhost: localh").await;
    // After ten seconds, give or take what a busy machine needs.
    let patience = Duration::from_secs(30);
    let (silent, slow) = tokio::join!(silent.closes_within(patience), slow.closes_within(patience));
    assert!(silent && slow);
}
