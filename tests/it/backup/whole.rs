//! Everything comes back, into a store that is empty, by the master key of the backup.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sendpromptly_tests::command::Cli;
use sendpromptly_tests::filled::{Content, Filled, content};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

use super::{Target, assert_refused, back_up, backup_of, keys_of};

on_both_stores!(
    a_filled_store_comes_back_with_every_row,
    a_restore_over_data_is_refused,
    a_restore_takes_away_nothing_of_another_program,
    a_restore_needs_the_master_key_of_the_backup,
    a_restore_beside_checkpoints_of_another_audit_key_is_refused,
    a_store_that_was_only_made_is_as_good_as_none,
    a_restored_store_is_served_and_knows_what_it_answered
);

/// What a restore itself writes.
const OWN: [&str; 3] = ["audit_details", "audit_entries", "audit_heads"];

async fn a_filled_store_comes_back_with_every_row(kind: StoreKind) {
    let filled = Filled::store(TestStore::new(kind).await).await;
    let world = &filled.world;
    let made = back_up(world).await;
    assert_eq!(made["verified"], true);
    for file in [backup_of(world), keys_of(world)] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = content(&world.sql().await, kind).await;
    let target = Target::with_keys_of(world).await;
    let restored = target.restored(world).await;
    assert_eq!(restored["made_at"], made["made_at"]);
    assert_eq!(restored["day_keys"], made["day_keys"]);
    let after = content(&target.store.sql().await, kind).await;
    assert_same(&before, &after);
    let verified = target.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

fn assert_same(before: &Content, after: &Content) {
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (table, (columns, rows)) in before {
        assert!(!rows.is_empty(), "{table} is not filled");
        let (columns_after, rows_after) = &after[table];
        assert_eq!(columns, columns_after, "{table}");
        match table.as_str() {
            "audit_heads" => continue, // a restore puts the instance's own further
            "sessions" => {
                assert!(rows_after.is_empty(), "everybody signs in again");
                continue;
            }
            _ => {}
        }
        let lost: Vec<_> = rows.difference(rows_after).collect();
        assert!(lost.is_empty(), "{table}: {lost:?}");
        let more = rows_after.len() - rows.len();
        assert_eq!(more, usize::from(OWN.contains(&table.as_str())), "{table}");
    }
}

async fn a_restore_over_data_is_refused(kind: StoreKind) {
    let world = World::start(kind).await;
    back_up(&world).await;
    let running = world
        .cli
        .run(&["restore", backup_of(&world).to_str().unwrap()])
        .await;
    assert_eq!(running.code, 1, "{running:?}");

    let target = Target::without_keys(kind).await;
    target.cli.create_organization("other").await;
    fs::copy(
        world.store.data_dir().join("master.key"),
        target.store.data_dir().join("master.key"),
    )
    .unwrap();
    let before = content(&target.store.sql().await, kind).await;
    assert_refused(&target.restore(&world).await, &["not empty"]);
    assert_eq!(content(&target.store.sql().await, kind).await, before);
}

async fn a_restore_takes_away_nothing_of_another_program(kind: StoreKind) {
    let world = World::start(kind).await;
    back_up(&world).await;
    let target = Target::with_keys_of(&world).await;
    assert_eq!(target.cli.run(&["migrate"]).await.code, 0);
    let sql = target.store.sql().await;
    sql.run("CREATE TABLE of_another (a bigint)").await;
    sql.run("INSERT INTO of_another VALUES (1)").await;
    assert_refused(&target.restore(&world).await, &["not empty"]);
    assert_eq!(sql.rows("of_another").await, 1);
    assert_eq!(sql.rows("organizations").await, 0);
    sql.run("DROP TABLE of_another").await;
    if kind == StoreKind::Postgres {
        sql.run("CREATE FUNCTION of_another() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'")
            .await;
        assert_refused(&target.restore(&world).await, &["not empty", "of_another"]);
        assert_eq!(sql.count("SELECT of_another() AS n").await, 1);
        sql.run("DROP FUNCTION of_another").await;
    }
    sql.close().await;
    assert_eq!(target.restore(&world).await.code, 0);
}

async fn a_restore_needs_the_master_key_of_the_backup(kind: StoreKind) {
    let world = World::start(kind).await;
    back_up(&world).await;
    let target = Target::without_keys(kind).await;
    assert_refused(&target.restore(&world).await, &["master.key", "is not there"]);
    target.assert_untouched().await;

    let other = TestStore::new(kind).await;
    let cli = Cli::on(&other);
    let organization = cli.create_organization("other").await;
    cli.create_project(&organization, &[]).await;
    let key = target.store.data_dir().join("master.key");
    fs::copy(other.data_dir().join("master.key"), &key).unwrap();
    assert_refused(&target.restore(&world).await, &["master.key", "no key named"]);
    target.assert_untouched().await;

    fs::copy(world.store.data_dir().join("master.key"), &key).unwrap();
    assert_eq!(target.restore(&world).await.code, 0);
}

async fn a_restore_beside_checkpoints_of_another_audit_key_is_refused(kind: StoreKind) {
    let mut world = World::start(kind).await;
    world.api().new_event().await;
    back_up(&world).await;
    world.server.stop().await; // which signs
    let target = Target::with_keys_of(&world).await;
    let file = |name: &str| target.store.data_dir().join(name);
    let signed = fs::read(file("audit.checkpoints")).unwrap();
    for lost in ["audit.key", "audit.pub"] {
        fs::remove_file(file(lost)).unwrap();
    }
    assert_refused(
        &target.restore(&world).await,
        &["another audit key", "put that key back"],
    );
    assert_eq!(fs::read(file("audit.checkpoints")).unwrap(), signed);
    for name in ["audit.key", "audit.pub"] {
        fs::copy(world.store.data_dir().join(name), file(name)).unwrap();
    }
    assert_eq!(target.restore(&world).await.code, 0);
}

async fn a_store_that_was_only_made_is_as_good_as_none(kind: StoreKind) {
    let world = World::start(kind).await;
    world.api().new_event().await;
    back_up(&world).await;
    let target = Target::with_keys_of(&world).await;
    assert_eq!(target.cli.run(&["migrate"]).await.code, 0);
    assert_eq!(target.cli.run(&["doctor"]).await.code, 0);
    assert_eq!(target.restore(&world).await.code, 0);
    assert_eq!(target.store.sql().await.rows("events").await, 1);
    assert_eq!(target.cli.run(&["doctor"]).await.code, 0);
}

async fn a_restored_store_is_served_and_knows_what_it_answered(kind: StoreKind) {
    let filled = Filled::store(TestStore::new(kind).await).await;
    back_up(&filled.world).await;
    let target = Target::with_keys_of(&filled.world).await;
    target.restored(&filled.world).await;
    let server = Server::start(&target.store, &Options::quick()).await;
    let api = sendpromptly_tests::api::Api {
        server: server.address,
        key: filled.world.project.api_key.clone(),
    };
    let (key, body, answer) = &filled.receipt;
    let again = api.receipt(key, body).await;
    assert_eq!((again.status, &again.text()), (202, answer));
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
}
