//! Stores that a command makes, migrates, shares with a server, or refuses.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use sendpromptly_tests::command::Cli;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::postgres::Cluster;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

use super::{assert_ended, assert_refused, assert_usage, empty_store};

on_both_stores!(
    an_absent_store_is_made_and_a_later_ones_tables_are_refused,
    a_command_over_a_store_that_is_not_there_makes_none_and_says_so,
    commands_work_beside_a_server_and_without_one
);

async fn an_absent_store_is_made_and_a_later_ones_tables_are_refused(kind: StoreKind) {
    let store = TestStore::new(kind).await;
    let cli = Cli::on(&store);
    for _ in 0..2 {
        assert_ended(&cli.run(&["migrate"]).await, 0, &["up to date"]);
    }
    let organization = cli.create_organization("acme").await;

    let sql = store.sql().await;
    sql.run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_from_the_future', 0)")
        .await;
    for command in [
        &["migrate"][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &["audit", "export", "--org", &organization],
    ] {
        assert_refused(&cli.run(command).await, &["later version"]);
    }
    sql.run("DELETE FROM seaql_migrations WHERE version = 'm9999_from_the_future'")
        .await;
    assert_eq!(
        cli.run(&["audit", "export", "--org", &organization]).await.code,
        0,
        "nothing was changed"
    );
}

/// Else a backup of the wrong directory would be taken night after night, whole and empty.
async fn a_command_over_a_store_that_is_not_there_makes_none_and_says_so(kind: StoreKind) {
    let store = TestStore::new(kind).await;
    let cli = Cli::on(&store);
    let file = store.directory().join("backup");
    let commands = [
        &["backup", file.to_str().unwrap()][..],
        &["audit", "verify"],
        &["retention", "run"],
        &[
            "org",
            "export",
            "--org",
            "org_01a22d8fd2b479f3b0eb766a828c229b",
            "out",
        ],
    ];
    for command in commands {
        assert_refused(&cli.run(command).await, &["no store is here yet", "--data-dir"]);
    }
    assert!(!file.exists());
    let sick = cli.run(&["doctor"]).await;
    assert_eq!(sick.code, 1, "{sick:?}");
    let finding = sick
        .stdout
        .lines()
        .find(|line| line.contains("no store is here yet"));
    assert!(
        finding.is_some_and(
            |line| line.starts_with("wrong   store: ") && line.contains("`sendpromptly serve` makes one")
        ),
        "{sick:?}"
    );
    assert!(!store.data_dir().exists(), "nothing is made, no keys either");
    cli.create_organization("acme").await;
    assert_eq!(cli.run(&["audit", "verify"]).await.code, 0);
}

async fn commands_work_beside_a_server_and_without_one(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let (_, incident) = world.api().new_incident().await;
    let beside = world.incident(&incident).await;
    world.server.stop().await;
    assert_eq!(world.incident(&incident).await, beside);
    let dismiss = ["incident", "dismiss", &incident, "--reason", "why"];
    assert_eq!(world.cli.run(&dismiss).await.code, 0);
    world.restart(&Options::quick()).await;
    assert_eq!(world.incident(&incident).await["state"], "dismissed");
}

#[tokio::test]
async fn a_second_server_on_a_sqlite_file_is_refused_in_words() {
    let world = World::start(StoreKind::Sqlite).await;
    let second = world.cli.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_refused(&second, &["another server runs on this database"]);
    world.api().new_event().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_refused_in_words() {
    let world = World::start(StoreKind::Sqlite).await;
    let (_store, cli) = empty_store().await;
    let taken = world.server.address.to_string();
    assert_refused(&cli.run(&["serve", "--listen", &taken]).await, &[&taken]);
}

#[tokio::test]
async fn another_users_data_directory_is_refused() {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let directory = if is_root {
        let directory = store.directory().join("theirs");
        std::fs::create_dir(&directory).unwrap();
        std::os::unix::fs::chown(&directory, Some(65_534), None).unwrap();
        directory
    } else {
        "/usr".into()
    };
    let url = format!("sqlite://{}", directory.join("test.db").display());
    let cli = Cli::on(&store).with("SENDPROMPTLY_DATABASE_URL", url);
    for command in [
        &["migrate"][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &["audit", "verify"],
    ] {
        assert_refused(
            &cli.run(command).await,
            &[directory.to_str().unwrap(), "belongs to"],
        );
    }
    assert!(!directory.join("test.db").exists());
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_told_without_its_password() {
    let (store, cli) = empty_store().await;
    let url = format!(
        "postgres://me:hunter2@localhost/pay?host={}",
        store.directory().display()
    );
    let cli = cli.with("SENDPROMPTLY_DATABASE_URL", url);
    for command in [
        &["migrate"][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &["doctor"],
    ] {
        let output = cli.run(command).await;
        assert_eq!(output.code, 1, "{output:?}");
        assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
        assert!(output.stderr.len() + output.stdout.len() > 20, "{output:?}");
    }
}

#[tokio::test]
async fn keys_are_made_for_their_owner_alone_and_never_made_anew() {
    let (store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let project = cli.create_project(&organization, &[]).await;
    let key = store.data_dir().join("master.key");
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );

    // Without its master key a store's secrets are lost; a new key in its place would hide that.
    let away = store.directory().join("away.key");
    std::fs::rename(&key, &away).unwrap();
    let rotate = ["secret", "rotate", "--project", &project.id];
    let refused = cli.run(&rotate).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    let serve = cli.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_refused(&serve, &["key"]);

    let named = cli.clone().with("SENDPROMPTLY_MASTER_KEY_FILE", away.as_os_str());
    assert_eq!(named.run(&rotate).await.code, 0);
    let missing = cli.with("SENDPROMPTLY_MASTER_KEY_FILE", "nowhere.key");
    let refused = missing.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("nowhere.key"), "{refused:?}");
}

#[tokio::test]
async fn a_key_file_that_others_may_read_is_refused() {
    let (store, cli) = empty_store().await;
    cli.create_organization("acme").await;
    let key = store.data_dir().join("master.key");
    let organization = cli.create_organization("other").await;
    cli.create_project(&organization, &[]).await;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = cli
        .run(&["project", "create", "--org", &organization, "--name", "shop"])
        .await;
    assert_refused(&refused, &["master.key", "600"]);
}

#[tokio::test]
async fn the_doctor_finds_what_is_wrong_and_says_it_in_words() {
    let (store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    cli.create_project(&organization, &[]).await;
    let well = cli.run(&["doctor"]).await;
    assert_eq!(well.code, 0, "{well:?}");
    let said = format!("{}{}", well.stdout, well.stderr);
    for checked in ["configuration", "store", "clock", "key"] {
        assert!(said.to_lowercase().contains(checked), "{checked} in {said}");
    }
    // Where the checkpoints lie beside the database, whoever has one has both.
    assert!(said.contains("checkpoint-file"), "{said}");

    let sick = async |cli: &Cli, word: &str| {
        let output = cli.run(&["doctor"]).await;
        assert_eq!(output.code, 1, "{output:?}");
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(said.contains(word), "{word} in {said}");
    };
    let left = store.data_dir().join("master.new-00ff00ff00ff00ff");
    std::fs::write(&left, "k1:00").unwrap();
    let advised = cli.run(&["doctor"]).await;
    assert_eq!(advised.code, 0, "{advised:?}");
    assert!(
        advised.stdout.contains("master.new-00ff00ff00ff00ff"),
        "{advised:?}"
    );
    std::fs::remove_file(&left).unwrap();
    let exported = cli.run(&["audit", "export", "--org", &organization]).await;
    let checkpoint = exported.stdout.lines().last().unwrap().to_owned() + "\n";
    std::fs::write(store.data_dir().join("audit.checkpoints"), checkpoint).unwrap();
    let pair = ["audit.key", "audit.pub"].map(|name| store.data_dir().join(name));
    let away = store.directory().join("away");
    std::fs::create_dir(&away).unwrap();
    for path in &pair {
        std::fs::rename(path, away.join(path.file_name().unwrap())).unwrap();
    }
    sick(&cli, "another audit key").await;
    for path in &pair {
        std::fs::rename(away.join(path.file_name().unwrap()), path).unwrap();
    }
    assert_eq!(cli.run(&["doctor"]).await.code, 0);
    let key = store.data_dir().join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    sick(&cli, "master.key").await;
    std::fs::remove_file(&key).unwrap();
    sick(&cli, "master.key").await;
    assert!(!key.exists(), "a doctor makes nothing");
    assert_usage(&cli.run(&["doctor", "--listen", "here"]).await, &["--listen"]);
}

#[tokio::test]
async fn the_doctor_finds_a_postgresql_wrong_that_could_lose_what_it_commits() {
    let cluster = Cluster::private();
    let store = TestStore::in_cluster(&cluster).await;
    let cli = Cli::on(&store);
    cli.create_organization("acme").await;
    cluster.configure("fsync = off\nfull_page_writes = off\n");
    let wrong = cli.run(&["doctor"]).await;
    let word = "wrong   store: PostgreSQL runs with fsync = off, full_page_writes = off,";
    assert!(wrong.stdout.contains(word) && wrong.code == 1, "{wrong:?}");
    cluster.configure("fsync = on\nfull_page_writes = on\n");
    let well = cli.run(&["doctor"]).await;
    let word = "ok      store: what it commits is durable";
    assert!(well.stdout.contains(word) && well.code == 0, "{well:?}");
}
