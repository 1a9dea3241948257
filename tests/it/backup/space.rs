//! A backup takes its name only when it is whole: not over another file, and not on a disk that is full.

use std::fs;

use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use super::{Target, assert_refused, back_up, backup_of, keys_of};

on_both_stores!(
    no_backup_is_written_over,
    a_full_disk_leaves_nothing_of_a_backup,
    a_restore_that_fills_the_disk_leaves_an_empty_store,
    what_a_kill_has_left_behind_is_taken_up
);

async fn no_backup_is_written_over(kind: StoreKind) {
    let world = World::start(kind).await;
    let entries = "SELECT count(*) AS n FROM audit_entries WHERE action = 'store.backed_up'";
    back_up(&world).await;
    let file = backup_of(&world);
    let backup = ["backup", file.to_str().unwrap()];
    let whole = fs::read(&file).unwrap();
    assert_refused(&world.cli.run(&backup).await, &["a.backup is there already"]);
    fs::rename(&file, world.store.directory().join("elsewhere")).unwrap();
    // Its keys are still those of the one that was moved.
    let refused = world.cli.run(&backup).await;
    assert_refused(&refused, &["a.backup.keys is there already"]);
    fs::rename(world.store.directory().join("elsewhere"), &file).unwrap();
    assert_eq!(fs::read(&file).unwrap(), whole);
    assert_eq!(
        world.sql().await.count(entries).await,
        1,
        "only what was made is told"
    );
}

/// No file may grow beyond so many bytes.
fn limited(bytes: u64) -> [String; 4] {
    let limit = format!("--fsize={bytes}");
    ["/usr/bin/env", "--ignore-signal=XFSZ", "prlimit", &limit].map(str::to_owned)
}

async fn a_full_disk_leaves_nothing_of_a_backup(kind: StoreKind) {
    let mut world = World::start(kind).await;
    world.api().new_event().await;
    // So that it is no file of the database that cannot grow.
    world.server.stop().await;
    let file = backup_of(&world);
    let whole = {
        back_up(&world).await;
        let whole = fs::metadata(&file).unwrap().len();
        fs::remove_file(&file).unwrap();
        fs::remove_file(keys_of(&world)).unwrap();
        whole
    };
    // SQLite's copy does not fit, or it does and the backup does not; nor does a dump, or its checksum.
    for space in [whole / 2, whole - 300, whole - 10] {
        let wrapper = limited(space);
        let cli = world.cli.clone().under(&wrapper.each_ref().map(String::as_str));
        let full = cli.run(&["backup", file.to_str().unwrap()]).await;
        assert_refused(&full, &["a.backup"]);
        let left = fs::read_dir(world.store.directory()).unwrap();
        let names = left.map(|file| file.unwrap().file_name().into_string().unwrap());
        let left: Vec<_> = names.filter(|name| name.starts_with("a.backup")).collect();
        assert!(left.is_empty(), "{space}: {left:?}");
    }
    back_up(&world).await;
}

async fn a_restore_that_fills_the_disk_leaves_an_empty_store(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_event().await;
    back_up(&world).await;
    let target = Target::with_keys_of(&world).await;
    let file = backup_of(&world);
    // On PostgreSQL the disk is the database's own: here it is the checkpoint file that cannot grow.
    let space = match kind {
        StoreKind::Sqlite => fs::metadata(&file).unwrap().len() / 2,
        StoreKind::Postgres => {
            fs::metadata(target.store.data_dir().join("audit.checkpoints")).map_or(0, |meta| meta.len()) + 10
        }
    };
    let wrapper = limited(space);
    let cli = target.cli.clone().under(&wrapper.each_ref().map(String::as_str));
    let full = cli.run(&["restore", file.to_str().unwrap()]).await;
    assert_eq!(full.code, 1, "{full:?}");
    if kind == StoreKind::Sqlite {
        target.assert_untouched().await;
    }
    target.restored(&world).await;
    assert_eq!(target.store.sql().await.rows("events").await, 1);
}

async fn what_a_kill_has_left_behind_is_taken_up(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_event().await;
    let half = "half of something, ".repeat(100_000);
    for ending in ["part", "keys.part", "copy"] {
        fs::write(world.store.directory().join(format!("a.backup.{ending}")), &half).unwrap();
    }
    back_up(&world).await;
    let left = fs::read_dir(world.store.directory()).unwrap();
    let names = left.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<_> = names.filter(|name| name.starts_with("a.backup")).collect();
    left.sort();
    // A dump makes no copy, and leaves alone what is none of its own.
    left.retain(|name| kind == StoreKind::Sqlite || name != "a.backup.copy");
    assert_eq!(left, ["a.backup", "a.backup.keys"]);

    let target = Target::with_keys_of(&world).await;
    fs::write(target.store.data_dir().join("test.db.restoring"), &half).unwrap();
    target.restored(&world).await;
    assert_eq!(target.store.sql().await.rows("events").await, 1);
}
