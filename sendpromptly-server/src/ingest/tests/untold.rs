//! What the audit log cannot tell of is not accepted.

use super::*;
use crate::testing::World;
use crate::testing::estate::{dump, every_table};

#[tokio::test]
async fn where_the_log_cannot_be_written_no_result_opens_or_resolves_an_incident() {
    let world = World::set_up().await;
    world.receive("evt_paid").await;
    world.failed_event("evt_failed").await;
    world.refuse_into("audit_entries").await;
    let fixture = Fixture::of(&world);
    let before = rows(&world).await;
    for (key, result) in [
        ("k1", result("evt_paid", Effect::Failed)),
        ("k2", result("evt_failed", Effect::Success)),
    ] {
        assert!(fixture.send(key, result).await.is_err(), "{key}");
    }
    assert_eq!(rows(&world).await, before);
}

/// Everything that is stored.
async fn rows(world: &World) -> Vec<String> {
    let mut rows = Vec::new();
    for table in every_table(world).await {
        rows.extend(dump(world, &table).await);
    }
    rows
}
