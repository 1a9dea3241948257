//! Master keys that lie in no file of the program's: in the environment, or behind a command such as `age`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use sendpromptly_tests::command::Cli;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{kids, listed};

const KEYS: &str = "SENDPROMPTLY_MASTER_KEYS";
const COMMAND: &str = "SENDPROMPTLY_MASTER_KEY_COMMAND";

async fn new_store() -> (TestStore, Cli) {
    let store = TestStore::new(StoreKind::Sqlite).await;
    let cli = Cli::on(&store);
    (store, cli)
}

async fn generate(cli: &Cli) -> String {
    let made = cli.run(&["master-key", "generate"]).await;
    assert_eq!(made.code, 0, "{made:?}");
    made.stdout.trim().to_owned()
}

fn kid(line: &str) -> &str {
    line.split(':').next().unwrap()
}

/// Reads a project's data key, by sealing one more secret under it.
async fn assert_opens(cli: &Cli, project: &str) {
    let rotated = cli
        .run(&["secret", "rotate", "--project", project, "--overlap", "0s"])
        .await;
    assert_eq!(rotated.code, 0, "{rotated:?}");
}

#[tokio::test]
async fn the_ring_may_come_from_the_environment() {
    let (store, cli) = new_store().await;
    let (first, second) = (generate(&cli).await, generate(&cli).await);
    let cli = cli.with(KEYS, first.as_str());
    let organization = cli.create_organization("acme").await;
    let project = cli.create_project(&organization, &[]).await.id;
    assert!(!store.data_dir().join("master.key").exists());
    let server = Server::start(&store, &Options::quick().environment(KEYS, &first)).await;

    let refused = cli.run(&["master-key", "rotate"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("master-key generate"), "{refused:?}");
    let both = cli.clone().with(KEYS, format!("{second},{first}"));
    let rotated = both.run(&["master-key", "rotate"]).await.json();
    assert_eq!(
        (&rotated["kid"], &rotated["previous"]),
        (&json!(kid(&second)), &json!(kid(&first)))
    );
    let done = both.run(&["master-key", "remove", kid(&first)]).await;
    assert!(
        done.code == 1 && done.stderr.contains("take its line out"),
        "{done:?}"
    );
    drop(server);
    let cli = cli.with(KEYS, second.as_str());
    assert_opens(&cli, &project).await;
    assert_eq!(listed(&cli).await.len(), 1);
    let old = cli.clone().with(KEYS, first.as_str());
    let refused = old.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    assert!(
        refused.code == 1 && refused.stderr.contains(kid(&second)),
        "{refused:?}"
    );

    let without = cli.without(KEYS);
    let argument = without.run(&["doctor", "--master-keys", &second]).await;
    assert_eq!((argument.code, argument.stdout.as_str()), (2, ""), "{argument:?}");
    assert!(
        argument.stderr.contains("never on the command line"),
        "{argument:?}"
    );
    assert!(!argument.stderr.contains(&second), "{argument:?}");
}

/// Encrypts a text for an identity, as an operator does.
async fn encrypt(identity: &Path, text: &str, to: &Path) {
    let recipient = Command::new("age-keygen")
        .arg("-y")
        .arg(identity)
        .output()
        .await
        .unwrap();
    let recipient = String::from_utf8(recipient.stdout).unwrap();
    let mut age = Command::new("age")
        .args(["--encrypt", "--recipient", recipient.trim(), "--output"])
        .arg(to)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    age.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .await
        .unwrap();
    assert!(age.wait().await.unwrap().success());
}

async fn new_identity(path: &Path) {
    let made = Command::new("age-keygen")
        .arg("--output")
        .arg(path)
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[tokio::test]
async fn the_ring_may_be_what_age_decrypts() {
    let (store, cli) = new_store().await;
    let (first, second) = (generate(&cli).await, generate(&cli).await);
    let [identity, strangers, ring] =
        ["identity.txt", "strangers.txt", "ring.age"].map(|name| store.directory().join(name));
    new_identity(&identity).await;
    new_identity(&strangers).await;
    encrypt(&identity, &format!("# the ring\n{first}\n"), &ring).await;
    let decrypt = |identity: &Path| {
        format!(
            "age --decrypt --identity {} {}",
            identity.display(),
            ring.display()
        )
    };
    let cli = cli.with(COMMAND, decrypt(&identity));
    let organization = cli.create_organization("acme").await;
    let project = cli.create_project(&organization, &[]).await.id;
    let options = Options::quick().set("--master-key-command", decrypt(&identity));
    let mut server = Server::start(&store, &options).await;
    let doctor = cli.run(&["doctor"]).await;
    assert!(
        doctor
            .stdout
            .contains("what --master-key-command prints opens the store"),
        "{doctor:?}"
    );

    // A new key before the old one, encrypted in their place; the running server learns it.
    std::fs::remove_file(&ring).unwrap();
    encrypt(&identity, &format!("{second}\n{first}\n"), &ring).await;
    server.signal("HUP").await;
    let rotated = cli.run(&["master-key", "rotate"]).await.json();
    assert_eq!(rotated["kid"], json!(kid(&second)));
    std::fs::remove_file(&ring).unwrap();
    encrypt(&identity, &format!("{second}\n"), &ring).await;
    assert_opens(&cli, &project).await;
    server.kill().await;
    assert_eq!(
        Server::start(&store, &options).await.get("/readyz").await.status,
        200
    );

    let refused = cli
        .with(COMMAND, decrypt(&strangers))
        .run(&["serve", "--listen", "127.0.0.1:0"])
        .await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
    for said in [
        "--master-key-command ended with exit status: 1",
        "no identity matched",
    ] {
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
}

#[tokio::test]
async fn a_command_that_gives_no_keys_is_refused_in_words_and_nothing_is_made() {
    let (store, cli) = new_store().await;
    let script = store.directory().join("keys.sh");
    let key = "5a".repeat(32);
    for (body, said) in [
        (
            format!("echo k1:{key}; echo broken >&2; exit 1"),
            "exit status: 1: broken",
        ),
        ("echo garbage".to_owned(), "line 1 must be a key's name"),
        ("yes garbage".to_owned(), "at most 65536 bytes"),
        (
            format!("echo leaked {key} >&2; exit 7"),
            "exit status: 7: leaked […]",
        ),
    ] {
        std::fs::write(&script, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let cli = cli.clone().with(COMMAND, script.as_os_str());
        let refused = cli.run(&["serve", "--listen", "127.0.0.1:0"]).await;
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
        assert!(
            refused.stderr.contains(said) && !refused.stderr.contains("5a5a5a"),
            "{refused:?}"
        );
    }
    assert!(!store.data_dir().join("master.key").exists());
    let organization = cli.create_organization("acme").await;
    cli.create_project(&organization, &[]).await;
    assert_eq!(
        kids(&store.data_dir().join("master.key")).len(),
        1,
        "the store was not bound before"
    );
}
