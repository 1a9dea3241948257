//! A backup that is told to stop, or killed: what it leaves, and what becomes of that.

use std::fs;

use sendpromptly_tests::command::Output;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use super::{Target, back_up, backup_of, keys_of};

on_both_stores!(
    a_backup_that_is_told_to_stop_leaves_nothing_or_is_made,
    the_keys_of_a_backup_that_was_killed_before_it_had_its_name_are_taken_up,
    what_killed_backups_have_left_beside_is_told
);

/// Runs the world's backup, and sends it a signal at one of these calls of the system.
async fn signalled(world: &World, signal: &str, call: &str, number: usize) -> Output {
    let cli = world.cli.clone().struck_at(call, number, signal);
    cli.run(&["backup", backup_of(world).to_str().unwrap()]).await
}

/// What lies there under the backup's name, and names made of it.
fn left(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.store.directory()).unwrap();
    let names = entries.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<_> = names.filter(|name| name.starts_with("a.backup")).collect();
    left.sort();
    left
}

async fn a_backup_that_is_told_to_stop_leaves_nothing_or_is_made(kind: StoreKind) {
    let mut world = World::start(kind).await;
    world.api().new_event().await;
    world.server.stop().await;
    let mut stopped = 0;
    for (signal, call) in [
        ("INT", "flock"),
        ("TERM", "flock"),
        ("TERM", "fsync"),
        ("INT", "rename"),
    ] {
        for number in 1..5 {
            let output = signalled(&world, signal, call, number).await;
            match output.code {
                0 => {
                    assert_eq!(
                        left(&world),
                        ["a.backup", "a.backup.keys"],
                        "{signal} {call} {number}"
                    );
                    fs::remove_file(backup_of(&world)).unwrap();
                    fs::remove_file(keys_of(&world)).unwrap();
                }
                _ => {
                    stopped += 1;
                    assert_eq!(left(&world), [""; 0], "{signal} {call} {number}: {output:?}");
                }
            }
        }
    }
    assert!(stopped > 0);
    back_up(&world).await;
}

async fn the_keys_of_a_backup_that_was_killed_before_it_had_its_name_are_taken_up(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_event().await;
    for number in 1..5 {
        signalled(&world, "KILL", "rename", number).await;
        if left(&world).contains(&"a.backup.keys".to_owned()) {
            break;
        }
    }
    assert_eq!(left(&world), ["a.backup.keys", "a.backup.part"]);
    back_up(&world).await;
    assert_eq!(left(&world), ["a.backup", "a.backup.keys"]);
    Target::with_keys_of(&world).await.restored(&world).await;
}

async fn what_killed_backups_have_left_beside_is_told(kind: StoreKind) {
    let world = World::start(kind).await;
    let old = ["old.backup.copy", "old.backup.keys.part", "old.backup.part"];
    for name in old {
        fs::write(world.store.directory().join(name), "half").unwrap();
    }
    let file = backup_of(&world);
    let made = world.cli.run(&["backup", file.to_str().unwrap()]).await;
    assert_eq!(made.code, 0, "{made:?}");
    for name in old {
        assert!(made.stderr.contains(name), "{name}: {made:?}");
        assert!(
            world.store.directory().join(name).exists(),
            "it is its owner's to remove"
        );
    }
}
