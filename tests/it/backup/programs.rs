//! PostgreSQL's own programs: too old, failing, hanging, and without a word of the password.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sendpromptly_tests::command::Cli;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

use super::{Target, assert_refused, back_up, backup_of};

/// Tells the version that it is asked for, as the real one does.
const VERSION: &str = "case $1 in --version) exec /usr/bin/\"${0##*/}\" --version;; esac\n";

/// A directory with programs of these names that do this instead.
fn programs(world: &World, names: &[&str], script: &str) -> PathBuf {
    let directory = world
        .store
        .directory()
        .join(format!("bin-{:08x}", fastrand::u32(..)));
    fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
    for name in names {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    directory
}

fn by(cli: &Cli, directory: &Path) -> Cli {
    cli.clone().with("SENDPROMPTLY_PG_BIN_DIR", directory.as_os_str())
}

fn assert_nothing_is_left(world: &World) {
    let left = fs::read_dir(world.store.directory()).unwrap();
    let names = left.map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name.starts_with("a.backup")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_program_that_is_absent_too_old_or_fails_is_told_in_words() {
    let world = World::start(StoreKind::Postgres).await;
    let file = backup_of(&world);
    let backup = ["backup", file.to_str().unwrap()];
    for (script, words) in [
        (None, &["pg_dump", "--pg-bin-dir"][..]),
        (
            Some("echo 'pg_dump (PostgreSQL) 9.6.24'"),
            &["version 9", "--pg-bin-dir"],
        ),
        (Some("echo something else"), &["does not tell its version"]),
        (
            Some("printf half; echo 'pg_dump: error: no more' >&2; echo 'DETAIL: a row' >&2; exit 1"),
            &["pg_dump has failed", "no more"],
        ),
    ] {
        let is_last = script.is_some_and(|script| script.starts_with("printf"));
        let script = script.map(|script| format!("{}{script}\n", if is_last { VERSION } else { "" }));
        let names: &[&str] = if script.is_some() { &["pg_dump"] } else { &[] };
        let directory = programs(&world, names, &script.unwrap_or_default());
        let cli = by(&world.cli, &directory);
        let refused = cli.run(&backup).await;
        assert_refused(&refused, words);
        if !is_last {
            the_doctor_says_so_before_the_night(&cli, words).await;
        }
        assert!(!refused.stderr.contains("a row"), "{refused:?}");
        assert_nothing_is_left(&world);
    }
}

async fn the_doctor_says_so_before_the_night(cli: &Cli, words: &[&str]) {
    let doctor = cli.run(&["doctor"]).await;
    assert_eq!(doctor.code, 1, "{doctor:?}");
    let said = doctor
        .stdout
        .lines()
        .find(|line| line.starts_with("wrong   backup: "));
    let said = said.unwrap_or_else(|| panic!("{doctor:?}"));
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
}

#[tokio::test]
async fn a_backup_that_was_killed_has_no_name_and_the_next_one_is_whole() {
    let world = World::start(StoreKind::Postgres).await;
    let file = backup_of(&world);
    let backup = ["backup", file.to_str().unwrap()];
    let begun = world.store.directory().join("begun");
    let script = format!(
        "{VERSION}printf half; : >'{}'; exec tail --pid=$PPID -f /dev/null\n",
        begun.display()
    );
    let hanging = by(&world.cli, &programs(&world, &["pg_dump"], &script));
    let mut child = hanging.start(&backup);
    eventually("the dump has begun", async || begun.exists().then_some(())).await;
    let second = world.cli.run(&backup).await;
    assert_refused(&second, &["another backup", "under way"]);
    child.kill().await.unwrap();
    assert!(!file.exists());
    back_up(&world).await;
    assert_eq!(Target::with_keys_of(&world).await.restore(&world).await.code, 0);
}

#[tokio::test]
async fn a_restore_that_was_killed_is_known_and_begun_again() {
    let world = World::start(StoreKind::Postgres).await;
    world.api().new_event().await;
    back_up(&world).await;
    let target = Target::with_keys_of(&world).await;
    let file = backup_of(&world);
    let restore = ["restore", file.to_str().unwrap()];
    let filled = world.store.directory().join("filled");
    // All tables are filled, and then it dies before the keys are back.
    let script = format!(
        "{VERSION}/usr/bin/pg_restore \"$@\" && : >'{}' && exec tail --pid=$PPID -f /dev/null\n",
        filled.display()
    );
    let hanging = by(&target.cli, &programs(&world, &["pg_restore"], &script));
    let mut child = hanging.start(&restore);
    eventually("the tables are filled", async || filled.exists().then_some(())).await;
    child.kill().await.unwrap();
    for command in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["migrate"],
        &["audit", "verify"],
    ] {
        assert_refused(&target.cli.run(command).await, &["was not finished", "restore"]);
    }
    assert_eq!(target.cli.run(&restore).await.code, 0);
    assert_eq!(target.store.sql().await.rows("events").await, 1);
    assert_eq!(target.cli.run(&["doctor"]).await.code, 0);
    assert_refused(&target.cli.run(&restore).await, &["not empty"]);
}

#[tokio::test]
async fn the_databases_password_is_in_no_argument() {
    const PASSWORD: &str = "hunter2-in-the-url";
    let world = World::start_with(StoreKind::Postgres, &Options::quick(), &[]).await;
    let seen = world.store.directory().join("seen");
    let environment = world.store.directory().join("environment");
    let script = format!(
        "{VERSION}echo \"$@\" >'{}'; env >'{}'; [ \"$PGPASSWORD\" = {PASSWORD} ] && exec /usr/bin/pg_dump \"$@\"\nexit 1\n",
        seen.display(),
        environment.display()
    );
    let url = world
        .store
        .url()
        .replace("postgres@localhost", &format!("postgres:{PASSWORD}@localhost"));
    let cli = by(&world.cli, &programs(&world, &["pg_dump"], &script))
        .with("SENDPROMPTLY_DATABASE_URL", url)
        .with("PGHOSTADDR", "192.0.2.1")
        .with("PGSERVICE", "elsewhere");
    let file = backup_of(&world);
    let output = cli.run(&["backup", file.to_str().unwrap()]).await;
    assert_eq!(output.code, 0, "{output:?}");
    let arguments = fs::read_to_string(seen).unwrap();
    assert!(arguments.contains("--format=custom"), "{arguments}");
    assert!(!format!("{arguments} {output:?}").contains(PASSWORD));
    let environment = fs::read_to_string(environment).unwrap();
    for own in ["SENDPROMPTLY_", "PGHOSTADDR", "PGSERVICE"] {
        assert!(!environment.contains(own), "{environment}");
    }
}
