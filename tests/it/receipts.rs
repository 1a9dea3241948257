//! Receipts that are accepted, once.

use sendpromptly_tests::bodies::{is_id, receipt};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(a_receipt_is_accepted);

async fn a_receipt_is_accepted(kind: StoreKind) {
    let world = World::start(kind).await;
    let answer = world.api().receipt("key-1", &receipt("evt_1")).await;
    assert_eq!(answer.status, 202);
    assert!(is_id("evt_", &answer.json()["event_id"]));
}
