//! What goes of the audit log after 12 months, what stays, and what is never touched.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use sendpromptly_core::audit::{Action, CheckpointKind, Draft, INSTANCE};
use sendpromptly_core::id::OrganizationId;

use super::*;
use crate::retention::PASSES;
use crate::store::audit::drafts_of;
use crate::store::rows::Sql;
use crate::testing::{NOW, World, operator};
use crate::trail::export::Export;
use crate::trail::walk::{self, Sound};

/// The start of NOW's UTC day.
const TODAY: Timestamp = Timestamp::from_millis(NOW.as_millis() - NOW.as_millis() % DAY_MS);

const fn day(number: i64) -> Timestamp {
    TODAY.plus_millis(number * DAY_MS)
}

/// The first day on which entries of day 0 are over.
const OVER: i64 = KEPT_DAYS + 1;

async fn write(world: &World, organization: OrganizationId, at: Timestamp) {
    let draft = Draft::new(
        &operator(),
        Action::ProjectChanged,
        organization,
        &[("name", "x")],
    );
    let drafts = drafts_of(organization, at, vec![draft]);
    world.store.commit_audited(&[], &drafts).await.unwrap();
}

/// An organization's chain with three entries on each of four days, signed each day, and one of the instance.
async fn fill(world: &World, keeper: &Keeper) {
    for number in 0..4 {
        for hour in 0..3 {
            write(
                world,
                world.organization,
                day(number).plus_millis(hour * 3_600_000),
            )
            .await;
        }
        write(world, INSTANCE, day(number)).await;
        let end = day(number + 1).plus_millis(-1);
        keeper.checkpoints.append_due(&world.store, end).await.unwrap();
    }
}

async fn stored(world: &World, organization: OrganizationId) -> Vec<u64> {
    let entries = world.store.chain(organization).entries(0, 1_000).await.unwrap();
    entries.iter().map(|entry| entry.seq).collect()
}

async fn prove_all(world: &World, keeper: &Keeper) -> Result<Sound, String> {
    let (checkpoints, organization) = (keeper.checkpoints.read().unwrap().checkpoints, world.organization);
    let known = keeper.checkpoints.known_keys();
    let walked = walk::walk(&world.store, organization, &checkpoints, Some(known)).await;
    walked.unwrap().map_err(|fault| fault.to_string())
}

/// As one who owns the database.
async fn tamper(world: &World, statement: &str) {
    let guards: &[&str] = match world.store.dialect() {
        crate::store::Dialect::Sqlite => &[
            "DROP TRIGGER audit_entries_no_update",
            "DROP TRIGGER audit_entries_no_delete",
        ],
        crate::store::Dialect::Postgres => &["DROP TRIGGER audit_entries_guard ON audit_entries"],
    };
    for sql in guards.iter().chain([&statement]) {
        world.write(Sql::new(*sql)).await;
    }
}

#[tokio::test]
async fn entries_go_after_12_months_from_the_old_end_and_the_rest_is_proven() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill(&world, &keeper).await;
    let run = async |now| world.retain(now).await["audit_entries"];
    assert_eq!(run(day(OVER).plus_millis(-1)).await, 0);
    assert_eq!(stored(&world, world.organization).await.len(), 12);
    assert_eq!(run(day(OVER)).await, 4, "a whole day of both chains");
    assert_eq!(
        stored(&world, world.organization).await,
        (4..=12).collect::<Vec<_>>()
    );
    assert_eq!(stored(&world, INSTANCE).await, [2, 3, 4]);
    let details = Sql::new("SELECT count(*) AS n FROM audit_details WHERE seq < 4 AND organization_id = {}");
    assert_eq!(world.number(details.bind(world.organization.as_bytes())).await, 0);
    let sound = prove_all(&world, &keeper).await.unwrap();
    assert_eq!((sound.pruned, sound.head.seq), (3, 12));

    // It goes on where it was, and new entries follow the old ones.
    assert_eq!(run(day(OVER + 2)).await, 8);
    write(&world, world.organization, day(OVER + 2)).await;
    let end = day(OVER + 3);
    keeper.checkpoints.append_due(&world.store, end).await.unwrap();
    let sound = prove_all(&world, &keeper).await.unwrap();
    assert_eq!((sound.pruned, sound.head.seq), (9, 13));
    let standing = world.store.audit_standing(world.scope()).await.unwrap();
    assert_eq!((standing.pruned, standing.stored()), (9, 4));

    // A chain that is over whole keeps its head, and grows from there.
    let all = world.retain(day(2 * OVER + 10)).await["audit_entries"];
    assert_eq!(all, 5);
    assert_eq!(stored(&world, world.organization).await, [0; 0]);
    assert_eq!(prove_all(&world, &keeper).await.unwrap().pruned, 13);
    write(&world, world.organization, day(2 * OVER + 10)).await;
    assert_eq!(stored(&world, world.organization).await, [14]);
    assert_eq!(prove_all(&world, &keeper).await.unwrap().head.seq, 14);
}

#[tokio::test]
async fn a_part_goes_in_bounded_batches_and_the_rest_is_proven_after_each() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill(&world, &keeper).await;
    let mut left = Vec::new();
    loop {
        let batch = prune(&keeper, day(OVER + 9), 2).await.unwrap();
        left.push(stored(&world, world.organization).await.len());
        prove_all(&world, &keeper).await.unwrap();
        if !batch.more {
            break;
        }
        assert_eq!(batch.rows, 2);
    }
    assert_eq!(left.last(), Some(&0));
    assert!(left.contains(&10) && left.contains(&8), "{left:?}");
}

#[tokio::test]
async fn the_checkpoint_file_is_read_once_for_a_pass_of_many_batches() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill(&world, &keeper).await;
    assert!(prune(&keeper, day(OVER + 9), 2).await.unwrap().more);
    fs::write(&world.keys().checkpoints.path, "").unwrap();
    let mut batch = Batch { rows: 0, more: true };
    while batch.more {
        batch = prune(&keeper, day(OVER + 9), 2).await.unwrap();
    }
    assert_eq!(stored(&world, world.organization).await, [0; 0]);
    // The next pass reads it anew.
    write(&world, world.organization, day(OVER)).await;
    assert_eq!(prune(&keeper, day(3 * OVER), 100).await.unwrap().rows, 0);
}

#[tokio::test]
async fn a_batch_takes_a_bounded_number_of_chains_and_the_pass_takes_all() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    let chains = group::CHAINS + 3;
    let mut drafts = BTreeMap::new();
    for _ in 0..chains {
        let organization = OrganizationId::new(day(0), crate::platform::entropy::for_id());
        let draft = Draft::new(&operator(), Action::ProjectChanged, organization, &[]);
        drafts.extend(drafts_of(organization, day(0), vec![draft]));
    }
    world.store.commit_audited(&[], &drafts).await.unwrap();
    keeper.checkpoints.append_due(&world.store, day(1)).await.unwrap();
    let (mut rows, mut more) = (0, true);
    while more {
        let batch = prune(&keeper, day(OVER), 1_000).await.unwrap();
        assert!(batch.rows <= CHAINS as u64);
        (rows, more) = (rows + batch.rows, batch.more);
    }
    assert_eq!(rows, u64::from(chains));
}

#[tokio::test]
async fn an_export_after_a_pruning_verifies_by_itself() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill(&world, &keeper).await;
    world.retain(day(OVER)).await;
    let (checkpoints, organization) = (&keeper.checkpoints, world.organization);
    let origin = operator();
    let begun = Export::begin(&world.store, checkpoints, organization, &origin, day(OVER)).await;
    let mut export = begun.unwrap();
    let mut lines = String::new();
    while let Some(more) = export.next().await.unwrap() {
        lines += &more;
    }
    assert_eq!(lines.lines().count(), 10 + 2);
    let file = world.directory.path().join("export.jsonl");
    fs::write(&file, lines).unwrap();
    let verifier = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/verify_audit.py");
    let key = world.directory.path().join("audit.pub");
    let mut python = Command::new("python3");
    let verified = python
        .arg(verifier)
        .arg("--public-key")
        .arg(key)
        .arg(file)
        .output();
    let verified = verified.unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(
        verified.status.success() && said.contains("up to entry 13"),
        "{verified:?}"
    );
}

#[tokio::test]
async fn nothing_goes_before_its_checkpoint_is_on_disk() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill(&world, &keeper).await;
    let file = world.keys().checkpoints.path;
    let away = file.with_extension("away");
    fs::rename(&file, &away).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(prune(&keeper, day(OVER), 100).await.is_err());
    assert_eq!(stored(&world, world.organization).await.len(), 12);
    fs::remove_dir(&file).unwrap();
    fs::rename(&away, &file).unwrap();
    assert_eq!(prune(&keeper, day(OVER), 100).await.unwrap().rows, 4);
    let kept = keeper.checkpoints.read().unwrap().checkpoints;
    let prunes = kept
        .iter()
        .filter(|signed| signed.checkpoint.kind == CheckpointKind::Prune);
    assert_eq!(prunes.count(), 2, "one for each chain");
}

#[tokio::test]
async fn a_kill_between_checkpoint_and_deletion_is_harmless() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill(&world, &keeper).await;
    let third = world.store.chain(world.organization).entries(2, 1).await.unwrap();
    let (organization, end) = (world.organization, third[0].as_head());
    // What a killed server leaves: the word that entries go, and the entries.
    keeper
        .checkpoints
        .append_prune(organization, end, day(OVER))
        .await
        .unwrap();
    assert_eq!(prove_all(&world, &keeper).await.unwrap().pruned, 0);
    assert_eq!(world.retain(day(OVER)).await["audit_entries"], 4);
    assert_eq!(prove_all(&world, &keeper).await.unwrap().pruned, 3);
}

#[tokio::test]
async fn a_log_that_was_tampered_with_keeps_its_evidence() {
    for (tampering, evidence) in [
        ("UPDATE audit_entries SET actor = 'cli:nobody' WHERE seq = 2", 12),
        ("UPDATE audit_details SET details = '{}' WHERE seq = 3", 12),
        ("DELETE FROM audit_entries WHERE seq = 2", 11),
        ("DELETE FROM audit_entries WHERE seq = 1", 11),
    ] {
        let world = World::set_up().await;
        let keeper = world.keeper();
        fill(&world, &keeper).await;
        let own = format!("{tampering} AND organization_id = (SELECT id FROM organizations)");
        tamper(&world, &own).await;
        let dropped = world.retain(day(OVER)).await["audit_entries"];
        assert_eq!(dropped, 1, "{tampering}: the other chain is pruned all the same");
        assert_eq!(
            stored(&world, world.organization).await.len(),
            evidence,
            "{tampering}"
        );
        prove_all(&world, &keeper).await.unwrap_err();
    }
}

#[tokio::test]
async fn a_chain_that_was_rewritten_whole_is_not_pruned() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill(&world, &keeper).await;
    // Another chain of the same length in its place, sound in itself: only the checkpoints tell.
    tamper(&world, "DELETE FROM audit_entries WHERE actor <> ''").await;
    for table in ["audit_details", "audit_heads"] {
        world.write(Sql::new(format!("DELETE FROM {table}"))).await;
    }
    for number in 0..4 {
        for hour in 0..3 {
            write(
                &world,
                world.organization,
                day(number).plus_millis(hour * 3_600_000),
            )
            .await;
        }
    }
    assert_eq!(world.retain(day(OVER)).await["audit_entries"], 0);
    assert_eq!(stored(&world, world.organization).await.len(), 12);
}

#[tokio::test]
async fn two_nodes_at_once_prune_a_chain_once_and_it_stays_whole() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill(&world, &keeper).await;
    let other = Keeper::new(world.second_node().await, keeper.checkpoints.clone());
    let pass = PASSES.iter().find(|pass| pass.name() == "audit_entries").unwrap();
    let nodes = [keeper.clone(), other].map(|node| {
        tokio::spawn(async move {
            pass.run(&node, day(OVER), crate::retention::BATCH)
                .await
                .unwrap()
                .rows
        })
    });
    let mut dropped = 0;
    for node in nodes {
        dropped += node.await.unwrap();
    }
    assert_eq!(dropped, 4);
    assert_eq!(prove_all(&world, &keeper).await.unwrap().pruned, 3);
}

/// A node with the same key and a checkpoint file of its own.
async fn node_with_own_file(world: &World) -> Keeper {
    let mut keys = world.keys();
    keys.checkpoints.path = world.directory.path().join("other.checkpoints");
    let checkpoints = crate::checkpoints::Checkpoints::open(&keys).unwrap();
    Keeper::new(world.second_node().await, checkpoints.into())
}

#[tokio::test]
async fn a_node_prunes_only_what_its_own_checkpoints_saw() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    let other = node_with_own_file(&world).await;
    fill(&world, &keeper).await;
    assert_eq!(prune(&other, day(OVER), 100).await.unwrap().rows, 0);
    assert_eq!(stored(&world, world.organization).await.len(), 12);
    assert_eq!(prune(&keeper, day(OVER), 100).await.unwrap().rows, 4);
    assert_eq!(prove_all(&world, &keeper).await.unwrap().pruned, 3);
    // From the next checkpoint on the other node has one that vouches for all before it.
    write(&world, world.organization, day(OVER)).await;
    other
        .checkpoints
        .append_due(&world.store, day(OVER))
        .await
        .unwrap();
    assert_eq!(prune(&other, day(OVER + 1), 100).await.unwrap().rows, 3);
    assert_eq!(prove_all(&world, &keeper).await.unwrap().pruned, 6);
}

#[tokio::test]
async fn where_the_next_checkpoint_is_missing_a_part_goes_as_far_as_one_saw_it() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    for number in 0..2 {
        write(&world, world.organization, day(number)).await;
        if number == 0 {
            keeper.checkpoints.append_due(&world.store, day(0)).await.unwrap();
        }
    }
    assert_eq!(prune(&keeper, day(OVER + 5), 100).await.unwrap().rows, 1);
    assert_eq!(stored(&world, world.organization).await, [2]);
}

#[tokio::test]
async fn what_a_restore_took_back_is_no_witness() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    write(&world, world.organization, day(0)).await;
    let head = world.store.chain(world.organization).head().await.unwrap();
    // Signed of a branch that the restore then left.
    let lost = Head {
        seq: 5,
        hash: [7; 32],
        ..head
    };
    let end = keeper
        .checkpoints
        .append_prune(world.organization, lost, day(0))
        .await;
    end.unwrap();
    let seen = crate::checkpoints::declare::Seen::read(&keeper.checkpoints, &[]).unwrap();
    crate::checkpoints::declare::declare(
        world.store.audit_heads().await.unwrap(),
        &keeper.checkpoints,
        &seen,
        day(0),
    )
    .await
    .unwrap();
    write(&world, world.organization, day(0)).await;
    assert_eq!(
        prune(&keeper, day(OVER), 100).await.unwrap().rows,
        1,
        "up to where the restore went back to"
    );
    assert_eq!(stored(&world, world.organization).await, [2]);
}

#[tokio::test]
async fn a_chain_that_a_lost_key_has_pruned_goes_on_where_somebody_vouches_for_that_key() {
    let world = World::set_up().await;
    fill(&world, &world.keeper()).await;
    assert_eq!(world.retain(day(OVER)).await["audit_entries"], 4);
    let (key, public) = (world.keys().audit.path, world.directory.path().join("audit.pub"));
    let lost = fs::read_to_string(&public).unwrap();
    fs::remove_file(key).unwrap();
    fs::remove_file(&public).unwrap();
    let run = async || prune(&world.keeper(), day(OVER + 2), 100).await.unwrap().rows;
    assert_eq!(run().await, 0);
    prove_all(&world, &world.keeper()).await.unwrap_err();
    let own = fs::read_to_string(&public).unwrap();
    fs::write(&public, own + &lost).unwrap();
    assert_eq!(run().await, 8);
    assert_eq!(prove_all(&world, &world.keeper()).await.unwrap().pruned, 9);
}

#[tokio::test]
async fn a_log_that_cannot_be_read_holds_up_no_other() {
    let world = World::set_up().await;
    fill(&world, &world.keeper()).await;
    let spoil = Sql::new("UPDATE audit_details SET salt = {} WHERE seq = 2 AND organization_id = {}");
    let spoil = spoil.bind(vec![0_u8]).bind(world.organization.as_bytes());
    assert_eq!(world.write(spoil).await, 1);
    assert_eq!(
        world.retain(day(OVER)).await["audit_entries"],
        1,
        "the instance's"
    );
    let left = Sql::new("SELECT count(*) AS n FROM audit_entries WHERE organization_id = {}");
    assert_eq!(world.number(left.bind(world.organization.as_bytes())).await, 12);
}

/// An organization's chain with more entries in one hour than a batch walks over to the next checkpoint.
async fn fill_busy_hour(world: &World, keeper: &Keeper) {
    let organization = world.organization;
    let draft = |_| Draft::new(&operator(), Action::ProjectChanged, organization, &[]);
    let drafts = drafts_of(organization, day(0), (0..5_000).map(draft).collect());
    world.store.commit_audited(&[], &drafts).await.unwrap();
    keeper.checkpoints.append_due(&world.store, day(0)).await.unwrap();
}

#[tokio::test]
async fn what_was_logged_in_an_hour_goes_however_much_it_was() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill_busy_hour(&world, &keeper).await;
    assert_eq!(world.retain(day(OVER)).await["audit_entries"], 5_000);
    assert_eq!(prove_all(&world, &keeper).await.unwrap().pruned, 5_000);
}

#[tokio::test]
async fn a_change_in_the_log_of_a_busy_hour_keeps_all_of_it() {
    let world = World::set_up().await;
    let keeper = world.keeper();
    fill_busy_hour(&world, &keeper).await;
    tamper(
        &world,
        "UPDATE audit_entries SET actor = 'cli:nobody' WHERE seq = 4900",
    )
    .await;
    assert_eq!(world.retain(day(OVER)).await["audit_entries"], 0);
    let vouched = keeper.checkpoints.read().unwrap().checkpoints.len();
    assert_eq!(vouched, 1, "what is wrong is vouched for by nothing new");
}
