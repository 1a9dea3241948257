//! Files that cannot be relied on are refused before anything is written.

use std::fs;
use std::path::Path;

use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;
use sha2::{Digest, Sha256};

use super::{Target, assert_refused, back_up, backup_of, keys_of};

on_both_stores!(
    a_backup_that_is_cut_off_or_changed_is_refused_before_anything_is_written,
    a_backup_of_a_later_version_is_refused
);

async fn a_backup_that_is_cut_off_or_changed_is_refused_before_anything_is_written(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_event().await;
    back_up(&world).await;
    let target = Target::with_keys_of(&world).await;
    for file in [backup_of(&world), keys_of(&world)] {
        let whole = fs::read(&file).unwrap();
        let (length, name) = (whole.len(), file.to_str().unwrap());
        for keep in [0, 10, 40, length / 2, length - 33, length - 1] {
            fs::write(&file, &whole[..keep]).unwrap();
            assert_refused(&target.restore(&world).await, &[name]);
        }
        for at in [3, 30, 200, length / 2, length - 33, length - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&file, &changed).unwrap();
            assert_refused(&target.restore(&world).await, &[name]);
        }
        fs::write(&file, &whole).unwrap();
    }
    // The keys of another backup are not these.
    let other = World::start(kind).await;
    back_up(&other).await;
    let own = fs::read(keys_of(&world)).unwrap();
    fs::copy(keys_of(&other), keys_of(&world)).unwrap();
    assert_refused(&target.restore(&world).await, &["another backup"]);
    fs::write(keys_of(&world), own).unwrap();
    // Neither file stands for the other, and no other file for either.
    let keys = keys_of(&world);
    let refused = target.cli.run(&["restore", keys.to_str().unwrap()]).await;
    assert_refused(&refused, &["without .keys"]);
    let refused = target.cli.run(&["restore", "nowhere.backup"]).await;
    assert_refused(&refused, &["nowhere.backup"]);
    let key = target.store.data_dir().join("master.key");
    let refused = target.cli.run(&["restore", key.to_str().unwrap()]).await;
    assert_refused(&refused, &["not a file that"]);

    target.assert_untouched().await;
    assert_eq!(target.restore(&world).await.code, 0);
}

async fn a_backup_of_a_later_version_is_refused(kind: StoreKind) {
    let world = World::start(kind).await;
    back_up(&world).await;
    let target = Target::with_keys_of(&world).await;
    for file in [backup_of(&world), keys_of(&world)] {
        replace(&file, "m0001_spine", "m9001_spine");
    }
    assert_refused(&target.restore(&world).await, &["later version"]);
    target.assert_untouched().await;
}

/// Puts other words into a backup, and the checksum that it then has.
fn replace(file: &Path, words: &str, others: &str) {
    let mut bytes = fs::read(file).unwrap();
    bytes.truncate(bytes.len() - 32);
    let found = bytes
        .windows(words.len())
        .position(|part| part == words.as_bytes())
        .unwrap();
    bytes[found..found + others.len()].copy_from_slice(others.as_bytes());
    let sum = Sha256::digest(&bytes);
    bytes.extend(sum);
    fs::write(file, bytes).unwrap();
}
