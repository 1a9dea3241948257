//! Steps in any order, of somebody who handles master keys and of a server.

use proptest::prelude::*;

use super::*;

/// A step of somebody who handles master keys, or of a server.
#[derive(Debug, Clone)]
enum Step {
    Seal,
    Prepare,
    Activate,
    RewrapOne,
    Rotate,
    Remove(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Seal),
        2 => Just(Step::Prepare),
        2 => Just(Step::Activate),
        2 => Just(Step::RewrapOne),
        1 => Just(Step::Rotate),
        3 => any::<prop::sample::Index>().prop_map(Step::Remove),
    ]
}

/// Does a step, or is refused.
async fn take(step: &Step, world: &World, vault: &Vault, sealed: &mut Vec<Sealed>) {
    let (origin, now) = (operator(), NOW);
    let first = ring(world).remove(0);
    let is_active = active(world).await;
    match step {
        Step::Seal => sealed.push(seal(vault).await.unwrap()),
        Step::Prepare => {
            vault.prepare_rotation().await.unwrap();
        }
        Step::Activate => vault.activate(&is_active, &first, &origin, now).await.unwrap(),
        Step::RewrapOne => {
            vault
                .rewrap_some(&is_active, &DataKeyPlace::default(), 1)
                .await
                .unwrap();
        }
        Step::Rotate => {
            vault.rotate(&origin, now).await.unwrap();
        }
        Step::Remove(which) => {
            let kids = ring(world);
            let kid = &kids[which.index(kids.len())];
            let _ = vault.remove_master_key(kid, &origin, now).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_prefix_of_rotations_and_removals_leaves_every_data_key_readable(
        steps in proptest::collection::vec(step(), 1..14),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::set_up().await;
            let vault = start(&world).await;
            let mut sealed = Vec::new();
            for step in &steps {
                take(step, &world, &vault, &mut sealed).await;
                assert_opens(&start(&world).await, &sealed).await;
            }
        });
    }
}
