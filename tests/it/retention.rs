//! What is kept for a time only: dropped by hand, and by a server by itself.

use std::collections::BTreeMap;

use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(a_run_by_hand_says_what_it_drops_and_a_dry_run_drops_nothing);

/// What each pass says.
async fn passes(world: &World, arguments: &[&str]) -> BTreeMap<String, u64> {
    let mut command = vec!["retention", "run"];
    command.extend(arguments);
    let lines = world.cli.run(&command).await.json_lines();
    let passed = lines.iter().map(|line| {
        let name = line["pass"].as_str().unwrap().to_owned();
        (name, line["rows"].as_u64().unwrap())
    });
    passed.collect()
}

async fn a_run_by_hand_says_what_it_drops_and_a_dry_run_drops_nothing(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_event().await;
    let sql = world.sql().await;
    let nothing = passes(&world, &["--dry-run"]).await;
    assert!(nothing.values().all(|rows| *rows == 0), "{nothing:?}");
    sql.age_idempotency_keys_by_a_day().await;
    let old = sql.rows("idempotency").await;
    assert!(old > 0);
    for _ in 0..2 {
        assert_eq!(
            passes(&world, &["--dry-run"]).await["answers"],
            old.unsigned_abs()
        );
    }
    assert_eq!(sql.rows("idempotency").await, old);
    assert_eq!(passes(&world, &[]).await["answers"], old.unsigned_abs());
    assert_eq!(sql.rows("idempotency").await, 0);
    assert_eq!(passes(&world, &[]).await, nothing);
}
