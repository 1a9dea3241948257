//! Whoever owns the database can change the audit log. `audit verify` finds it, and says where.

use sendpromptly_tests::audit_chain::Hashed;
use sendpromptly_tests::command::Output;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    tampering_is_found_and_located,
    a_chain_that_is_gone_is_missed,
    a_new_audit_key_beside_an_empty_checkpoint_file_is_told_everywhere,
    what_a_lost_audit_key_has_signed_counts_on_where_somebody_vouches_for_it,
);

const TABLES: [&str; 3] = ["audit_entries", "audit_details", "audit_heads"];
const COLUMNS: &str = "organization_id, seq, id, at, actor, action, target, commitment, prev, hash";

async fn tampering_is_found_and_located(kind: StoreKind) {
    let (world, sql, last) = start(kind).await;
    let tail = last - 2;
    let cut = format!("DELETE FROM audit_entries WHERE seq > {tail}");
    let head = format!(
        "UPDATE audit_heads SET seq = {tail}, checkpoint_seq = 0, hash = (SELECT hash FROM audit_entries WHERE seq = {tail})"
    );
    let shift = "UPDATE audit_entries SET seq = 1000 + seq WHERE seq >= 4";
    let unshift = "UPDATE audit_entries SET seq = seq - 999 WHERE seq > 1000";
    let insert = format!(
        "INSERT INTO audit_entries SELECT {} FROM audit_entries WHERE seq = 3",
        COLUMNS.replace("seq", "4")
    );
    let attacks: [(&str, &[&str], i64); 9] = [
        (
            "an actor is changed",
            &["UPDATE audit_entries SET actor = 'cli:nobody' WHERE seq = 3"],
            3,
        ),
        (
            "an action is changed",
            &["UPDATE audit_entries SET action = 'user.created' WHERE seq = 5"],
            5,
        ),
        (
            "a time is changed",
            &["UPDATE audit_entries SET at = at + 1 WHERE seq = 1"],
            1,
        ),
        (
            "details are changed",
            &["UPDATE audit_details SET details = '{}' WHERE seq = 4"],
            4,
        ),
        (
            "an entry is dropped",
            &["DELETE FROM audit_entries WHERE seq = 3"],
            3,
        ),
        ("an entry is inserted", &[shift, unshift, &insert], 4),
        (
            "two entries are swapped",
            &[
                "UPDATE audit_entries SET seq = 1000 WHERE seq = 3",
                "UPDATE audit_entries SET seq = 3 WHERE seq = 4",
                "UPDATE audit_entries SET seq = 4 WHERE seq = 1000",
            ],
            3,
        ),
        ("the tail is cut off", &[&cut], tail),
        (
            "the tail is cut off and the head moved back",
            &[&cut, &head],
            tail,
        ),
    ];
    for (attack, statements, first_bad) in attacks {
        for statement in statements {
            sql.run(statement).await;
        }
        assert_found(attack, &world.cli.run(&["audit", "verify"]).await, first_bad);
        restore(&sql).await;
        assert_eq!(
            world.cli.run(&["audit", "verify"]).await.code,
            0,
            "restored after: {attack}"
        );
    }

    // Everything is made consistent again, by one who knows how: only the signed checkpoint tells.
    rewrite_from(&sql, &world.organization, 3).await;
    assert_found(
        "the chain is rewritten whole",
        &world.cli.run(&["audit", "verify"]).await,
        last,
    );
    let own = world
        .cli
        .run(&["audit", "verify", "--org", &world.organization])
        .await;
    assert_found("the chain is rewritten whole", &own, last);
}

async fn a_chain_that_is_gone_is_missed(kind: StoreKind) {
    let (world, sql, _) = start(kind).await;
    for table in TABLES {
        sql.run(&format!("DELETE FROM {table}")).await;
    }
    let missed = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(missed.code, 1, "{missed:?}");
    assert!(missed.stderr.contains(&world.organization), "{missed:?}");
}

async fn a_new_audit_key_beside_an_empty_checkpoint_file_is_told_everywhere(kind: StoreKind) {
    const TOLD: &str = "signed by another audit key";
    let (mut world, _, _) = start(kind).await;
    let file = |name: &str| world.store.data_dir().join(name);
    let files = ["audit.key", "audit.pub", "audit.checkpoints"].map(file);
    let lost = std::fs::read_to_string(&files[1]).unwrap();
    let kept = ["audit.pub", "audit.checkpoints"].map(|name| world.store.directory().join(name));
    std::fs::copy(&files[1], &kept[0]).unwrap();
    std::fs::copy(&files[2], &kept[1]).unwrap();
    for path in &files {
        std::fs::remove_file(path).unwrap();
    }
    // A server makes a new pair, and looks at nothing that it has not signed.
    world.restart(&Options::quick()).await;
    let log = world.server.log();
    assert!(log.contains(TOLD) && log.contains(lost.trim()), "{log}");
    world.server.stop().await;
    let sick = world.cli.run(&["doctor"]).await;
    assert_eq!(sick.code, 1, "{sick:?}");
    assert!(sick.stdout.contains(TOLD), "{sick:?}");
    let verified = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.stderr.contains("--checkpoints"), "{verified:?}");
    // What it would sign proves nothing to whoever has the public half of the other.
    let to = world.store.directory().join("export");
    for command in [
        &["audit", "export", "--org", &world.organization][..],
        &["restore", "--declare"],
        &[
            "org",
            "export",
            "--org",
            &world.organization,
            to.to_str().unwrap(),
        ],
    ] {
        let refused = world.cli.run(command).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(
            refused.stderr.contains(TOLD) && refused.stdout.is_empty(),
            "{refused:?}"
        );
    }
    // What the lost key has signed is proven by what was kept of it.
    let [key, checkpoints] = kept.each_ref().map(|path| path.to_str().unwrap());
    let by_kept = [
        "audit",
        "verify",
        "--public-key",
        key,
        "--checkpoints",
        checkpoints,
    ];
    assert_eq!(world.cli.run(&by_kept).await.code, 0);

    // Once the new key has signed, only the proof of it tells that there was another.
    world.restart(&Options::quick()).await;
    world.api().new_incident().await;
    world.server.stop().await;
    let verified = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert!(verified.stderr.contains(lost.trim()), "{verified:?}");
    assert_eq!(world.cli.run(&["doctor"]).await.code, 0);
    // And where the lost one comes back, the other way round.
    std::fs::write(&files[1], lost).unwrap();
    let verified = world
        .cli
        .run(&["audit", "verify", "--checkpoints", checkpoints])
        .await;
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.stderr.contains(TOLD), "{verified:?}");
}

async fn what_a_lost_audit_key_has_signed_counts_on_where_somebody_vouches_for_it(kind: StoreKind) {
    let (mut world, sql, _) = start(kind).await;
    let file = |name: &str| world.store.data_dir().join(name);
    let (key, public, earlier) = (file("audit.key"), file("audit.pub"), file("audit.pub.earlier"));
    std::fs::remove_file(key).unwrap();
    std::fs::rename(&public, &earlier).unwrap();
    assert_eq!(
        world.cli.run(&["doctor"]).await.code,
        1,
        "it makes the new pair, and misses the other"
    );
    assert_eq!(world.cli.run(&["audit", "verify"]).await.code, 1);

    let own = std::fs::read_to_string(&public).unwrap();
    let lost = std::fs::read_to_string(&earlier).unwrap();
    std::fs::write(&public, format!("{own}{lost}")).unwrap();
    let well = world.cli.run(&["doctor"]).await;
    assert_eq!(well.code, 0, "{well:?}");
    assert!(
        well.stdout.contains(lost.trim()) && !well.stdout.contains(own.trim()),
        "{well:?}"
    );
    let verified = world.cli.run(&["audit", "verify"]).await;
    assert_eq!((verified.code, verified.stderr.as_str()), (0, ""), "{verified:?}");
    let export = world
        .cli
        .run(&["audit", "export", "--org", &world.organization])
        .await;
    assert_eq!(export.code, 0, "{export:?}");

    // The new key signs on in the same file, and the earlier one's word still finds a change.
    world.restart(&Options::quick()).await;
    assert!(!world.server.log().contains("another audit key"));
    world.api().new_incident().await;
    world.server.stop().await;
    assert_eq!(world.cli.run(&["audit", "verify"]).await.code, 0);
    rewrite_from(&sql, &world.organization, 3).await;
    let verified = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 1, "{verified:?}");
}

/// A store whose server has stopped, and so has signed where its one chain ended, without the guards that keep
/// mistakes away; and the chain's last entry.
async fn start(kind: StoreKind) -> (World, Sql, i64) {
    let mut world = World::start(kind).await;
    for _ in 0..2 {
        let (event, _) = world.api().new_incident().await;
        world.api().report(&event, "success").await;
    }
    world.server.stop().await;
    let sound = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(sound.code, 0, "{sound:?}");
    let sql = world.sql().await;
    sql.drop_audit_guards().await;
    for table in TABLES {
        sql.run(&format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"))
            .await;
    }
    let last = sql.rows("audit_entries").await;
    assert!(last >= 8);
    (world, sql, last)
}

async fn restore(sql: &Sql) {
    for table in TABLES {
        sql.run(&format!("DELETE FROM {table}")).await;
        sql.run(&format!("INSERT INTO {table} SELECT * FROM kept_{table}"))
            .await;
    }
}

/// Gives an entry another actor, and each one from there the hash that follows, up to the head.
async fn rewrite_from(sql: &Sql, organization: &str, changed: u64) {
    sql.run(&format!(
        "UPDATE audit_entries SET actor = 'cli:nobody' WHERE seq = {changed}"
    ))
    .await;
    let rows = sql
        .texts(&format!(
            "SELECT seq || '|' || at || '|' || actor || '|' || action || '|' || target || '|' || {} || '|' || {} AS t
             FROM audit_entries ORDER BY seq",
            sql.hex_of_bytes("commitment"),
            sql.hex_of_bytes("hash"),
        ))
        .await;
    let mut prev = "0".repeat(64);
    for row in rows {
        let field: Vec<_> = row.split('|').collect();
        let hashed = Hashed {
            organization: organization.strip_prefix("org_").unwrap(),
            seq: field[0].parse().unwrap(),
            prev: &prev,
            at: field[1].parse().unwrap(),
            words: [field[2], field[3], field[4]],
            commitment: field[5],
        };
        let hash = hashed.hash();
        assert_eq!(
            hash == field[6],
            hashed.seq < changed,
            "hashes as the program does: {row}"
        );
        let (new_prev, new_hash) = (sql.bytes(&prev), sql.bytes(&hash));
        let seq = hashed.seq;
        sql.run(&format!(
            "UPDATE audit_entries SET prev = {new_prev}, hash = {new_hash} WHERE seq = {seq}"
        ))
        .await;
        prev = hash;
    }
    sql.run(&format!("UPDATE audit_heads SET hash = {}", sql.bytes(&prev)))
        .await;
}

fn assert_found(attack: &str, verified: &Output, entry: i64) {
    assert_eq!(verified.code, 1, "{attack}: {verified:?}");
    let said = format!("{}{}", verified.stdout, verified.stderr);
    let located = said
        .split(|c: char| !c.is_ascii_alphanumeric())
        .collect::<Vec<_>>();
    let named = located
        .windows(2)
        .any(|pair| pair[0] == "entry" && pair[1] == entry.to_string());
    assert!(named, "{attack} is located at entry {entry}: {verified:?}");
}

#[tokio::test]
async fn a_copy_of_the_checkpoints_that_is_kept_elsewhere_tells_too() {
    let (world, sql, last) = start(StoreKind::Sqlite).await;
    let file = world.store.data_dir().join("audit.checkpoints");
    let copy = world.store.directory().join("elsewhere");
    std::fs::rename(&file, &copy).unwrap();
    rewrite_from(&sql, &world.organization, 3).await;
    let verify = ["audit", "verify", "--checkpoints", copy.to_str().unwrap()];
    assert_found(
        "the chain is rewritten whole",
        &world.cli.run(&verify).await,
        last,
    );

    let missing = world
        .cli
        .run(&["audit", "verify", "--checkpoints", "nowhere"])
        .await;
    assert_ne!(missing.code, 0, "{missing:?}");
    assert!(missing.stderr.contains("nowhere"), "{missing:?}");
}

#[tokio::test]
async fn a_checkpoint_that_another_key_has_signed_counts_for_nothing() {
    let (world, sql, last) = start(StoreKind::Sqlite).await;
    let file = world.store.data_dir().join("audit.checkpoints");
    let checkpoints = std::fs::read_to_string(&file).unwrap();
    let sound = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(sound.code, 0, "{sound:?}");

    // Who rewrites the chain writes a checkpoint to match, but cannot sign it.
    rewrite_from(&sql, &world.organization, 3).await;
    let head = sql
        .texts(&format!(
            "SELECT {} AS t FROM audit_heads",
            sql.hex_of_bytes("hash")
        ))
        .await;
    let mut forged: serde_json::Value = serde_json::from_str(checkpoints.lines().last().unwrap()).unwrap();
    forged["head"] = head[0].as_str().into();
    std::fs::write(&file, format!("{forged}\n")).unwrap();
    let verified = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(format!("{verified:?}").contains("sign"), "{verified:?}");

    // Beside the true ones it changes nothing either.
    std::fs::write(&file, format!("{checkpoints}{forged}\n")).unwrap();
    assert_found(
        "a forged checkpoint",
        &world.cli.run(&["audit", "verify"]).await,
        last,
    );
}
