//! What a restore loses is declared, so that the audit log's proof still holds; a loss that nobody declares is not.

use std::fs;
use std::path::Path;
use std::process::Command;

use sendpromptly_tests::command::Output;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::postgres::Cluster;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::Value;

use super::{Target, assert_refused, back_up, backup_of};

on_both_stores!(
    what_came_after_a_backup_is_a_declared_loss,
    a_store_that_is_served_is_not_restored_into
);

/// The line of an organization's chain.
fn chain<'a>(chains: impl IntoIterator<Item = &'a Value>, organization: &str) -> &'a Value {
    chains
        .into_iter()
        .find(|chain| chain["organization_id"] == organization)
        .unwrap_or_else(|| panic!("no chain {organization}"))
}

async fn what_came_after_a_backup_is_a_declared_loss(kind: StoreKind) {
    let mut world = World::start(kind).await;
    world.api().new_incident().await;
    back_up(&world).await;
    world.api().new_incident().await;
    let later = world.cli.create_organization("later").await;
    // Its last checkpoints see what is lost.
    world.server.stop().await;

    let target = Target::with_keys_of(&world).await;
    let file = backup_of(&world);
    let restore = ["restore", file.to_str().unwrap(), "--checkpoints", "nowhere"];
    assert_refused(&target.cli.run(&restore).await, &["nowhere"]);
    target.assert_untouched().await;
    let restored = target.restored(&world).await;
    let chains = restored["chains"].as_array().unwrap();
    let own = chain(chains, &world.organization);
    let back_to = own["back_to"].as_u64().unwrap();
    assert!(own["lost_up_to"].as_u64().unwrap() > back_to, "{own}");
    let gone = chain(chains, &later);
    assert_eq!(gone["back_to"], 0);
    assert!(gone["lost_up_to"].as_u64().unwrap() > 0, "{gone}");
    assert_declared(&target.cli.run(&["audit", "verify"]).await, &world.organization);

    // It goes on from there, and is still proven.
    let mut server = Server::start(&target.store, &Options::quick()).await;
    let api = sendpromptly_tests::api::Api {
        server: server.address,
        key: world.project.api_key.clone(),
    };
    api.new_incident().await;
    server.stop().await;
    assert_declared(&target.cli.run(&["audit", "verify"]).await, &world.organization);
    let told = "SELECT count(*) AS n FROM audit_entries WHERE action = 'store.restored'";
    assert_eq!(target.store.sql().await.count(told).await, 1);

    // The checkpoints from before, kept elsewhere, are declared as well.
    let kept = world.store.data_dir().join("audit.checkpoints");
    let own = target.store.data_dir().join("audit.checkpoints");
    let verify = [
        "audit",
        "verify",
        "--checkpoints",
        kept.to_str().unwrap(),
        "--checkpoints",
        own.to_str().unwrap(),
    ];
    assert_declared(&target.cli.run(&verify).await, &world.organization);
}

fn assert_declared(verified: &Output, organization: &str) {
    let chains = verified.json_lines();
    let own = chain(&chains, organization);
    assert_eq!(own["restores"].as_array().unwrap().len(), 1, "{own}");
}

fn assert_cut_short(verified: &Output) {
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.stderr.contains("cut off"), "{verified:?}");
}

#[tokio::test]
async fn a_declared_loss_passes_and_an_undeclared_one_does_not() {
    let mut world = World::start(StoreKind::Sqlite).await;
    world.server.stop().await;
    let file = world.store.data_dir().join("test.db");
    let kept = world.store.directory().join("kept.db");
    let due = "SELECT count(*) AS n FROM organizations WHERE deletion_due_at <= 1000";
    let sql = world.sql().await;
    sql.run("UPDATE organizations SET deletion_due_at = 1000").await;
    let session =
        "INSERT INTO sessions (id, token_digest, user_id, complete, address, agent, created_at, seen_at)
        SELECT id, id, id, 1, '', '', 1000, 1000 FROM users";
    assert_eq!(sql.run(session).await, 1);
    sql.close().await;
    fs::copy(&file, &kept).unwrap();
    let sql = world.sql().await;
    sql.run("UPDATE organizations SET deletion_due_at = NULL").await; // taken back, and that is lost
    sql.close().await;
    world.restart(&Options::quick()).await;
    world.api().new_incident().await;
    world.server.stop().await;

    fs::rename(&kept, &file).unwrap();
    assert_cut_short(&world.cli.run(&["audit", "verify"]).await);
    let declared = world.cli.run(&["restore", "--declare"]).await.json_lines();
    let own = chain(&declared, &world.organization);
    assert!(own["lost_up_to"].as_u64() > own["back_to"].as_u64(), "{own}");
    assert_eq!(
        world.sql().await.count(due).await,
        0,
        "its time of grace begins anew"
    );
    assert_eq!(world.sql().await.rows("sessions").await, 0);
    assert_declared(&world.cli.run(&["audit", "verify"]).await, &world.organization);
}

/// The drill of the documents: a base backup and archived logs, brought to a point in time.
#[tokio::test]
async fn a_database_that_went_back_to_a_point_in_time_is_declared_and_served() {
    let cluster = Cluster::private();
    let archive = cluster.directory().join("archive");
    cluster.configure(&format!(
        "archive_mode = on\narchive_command = 'mkdir -p \"{0}\" && test ! -f \"{0}/%f\" && cp \"%p\" \"{0}/%f.part\" && mv \"{0}/%f.part\" \"{0}/%f\"'\n",
        archive.display()
    ));
    let mut world = World::start_on(TestStore::in_cluster(&cluster).await, &Options::quick(), &[]).await;
    let base = cluster.directory().join("base");
    take_base_backup(cluster.directory(), &base);
    world.api().new_incident().await;
    let before = world.sql().await.rows("events").await;
    let sql = world.sql().await;
    sql.texts("SELECT pg_create_restore_point('before the mistake')::text AS t")
        .await;
    world.api().new_incident().await;
    world.server.stop().await;
    let last = sql
        .texts("SELECT pg_walfile_name(pg_switch_wal()) AS t")
        .await
        .remove(0);
    eventually("the log is archived", async || {
        archive.join(&last).exists().then_some(())
    })
    .await;
    sql.close().await;

    cluster.go_back(
        &base,
        &format!(
            "restore_command = 'cp \"{}/%f\" \"%p\"'\nrecovery_target_name = 'before the mistake'\n\
             recovery_target_action = 'promote'\n",
            archive.display()
        ),
    );
    let sql = world.sql().await;
    eventually("the database can be written", async || {
        let recovering = "SELECT count(*) AS n FROM pg_is_in_recovery() r WHERE r";
        (sql.count(recovering).await == 0).then_some(())
    })
    .await;
    assert_eq!(sql.rows("events").await, before);
    assert_cut_short(&world.cli.run(&["audit", "verify"]).await);
    assert_eq!(world.cli.run(&["restore", "--declare"]).await.code, 0);
    assert_declared(&world.cli.run(&["audit", "verify"]).await, &world.organization);
    world.restart(&Options::quick()).await;
    world.api().new_incident().await;
    world.server.stop().await;
    assert_declared(&world.cli.run(&["audit", "verify"]).await, &world.organization);
}

fn take_base_backup(host: &Path, base: &Path) {
    let mut command = sendpromptly_tests::postgres::as_postgres("pg_basebackup");
    let command: &mut Command = command.args(["-U", "postgres", "-X", "none", "-c", "fast", "-h"]);
    let status = command.arg(host).arg("-D").arg(base).status().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_restore_that_fails_declares_nothing() {
    let mut world = World::start(StoreKind::Postgres).await;
    back_up(&world).await;
    world.server.stop().await;
    let target = Target::with_keys_of(&world).await;
    let sql = target.store.sql().await;
    // It fails at the last of its statements.
    for statement in [
        "CREATE SCHEMA other",
        "CREATE FUNCTION other.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
           IF EXISTS (SELECT 1 FROM pg_event_trigger_dropped_objects() WHERE object_name = 'unfinished_restore') THEN
             RAISE EXCEPTION 'not now';
           END IF;
         END $$",
        "CREATE EVENT TRIGGER refuse ON sql_drop EXECUTE FUNCTION other.refuse()",
    ] {
        sql.run(statement).await;
    }
    let checkpoints = target.store.data_dir().join("audit.checkpoints");
    let before = fs::read(&checkpoints).unwrap();
    assert_refused(&target.restore(&world).await, &[]);
    assert_eq!(fs::read(&checkpoints).unwrap(), before);
    sql.run("DROP EVENT TRIGGER refuse").await;
    assert_eq!(target.restore(&world).await.code, 0);
}

async fn a_store_that_is_served_is_not_restored_into(kind: StoreKind) {
    let world = World::start(kind).await;
    back_up(&world).await;
    let target = Target::with_keys_of(&world).await;
    // There is nothing in it yet, so it is the server alone that is in the way.
    let mut server = Server::start(&target.store, &Options::quick()).await;
    assert_refused(&target.restore(&world).await, &["server runs on this database"]);
    server.stop().await;
    assert_eq!(target.restore(&world).await.code, 0);
}
