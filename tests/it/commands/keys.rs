//! `key create`, `key list` and `key revoke`.

use sendpromptly_tests::api::Api;
use sendpromptly_tests::bodies::{millis, receipt, unique};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

use super::{assert_refused, assert_usage, empty_store, fields, nobodys};

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let (_store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let project = cli.create_project(&organization, &[]).await;
    let list = async || {
        cli.run(&["key", "list", "--project", &project.id])
            .await
            .json_lines()
    };
    let made = cli.run(&["key", "create", "--project", &project.id]).await.json();
    assert_eq!(fields(&made), ["api_key", "key_id"]);
    let (key, id) = (
        made["api_key"].as_str().unwrap(),
        made["key_id"].as_str().unwrap(),
    );

    let listed = list().await;
    assert_eq!(listed.len(), 2);
    for line in &listed {
        assert_eq!(fields(line), ["created_at", "hint", "key_id", "revoked_at"]);
        assert_eq!(line["revoked_at"], Value::Null);
        assert!(millis(&line["created_at"]) > 0);
    }
    let own = listed.iter().find(|line| line["key_id"] == id).unwrap();
    assert_eq!(own["hint"], key[key.len() - 10..key.len() - 6]);
    let text = serde_json::to_string(&listed).unwrap();
    assert!(!text.contains(&key[3..20]), "a key is shown once");

    let revoked = cli.run(&["key", "revoke", id]).await.json();
    assert_eq!(fields(&revoked), ["key_id", "revoked_at"]);
    // Revoked again, it stays revoked since then.
    assert_eq!(cli.run(&["key", "revoke", id]).await.json(), revoked);
    let own = list()
        .await
        .into_iter()
        .find(|line| line["key_id"] == id)
        .unwrap();
    assert_eq!(own["revoked_at"], revoked["revoked_at"]);

    let audit = cli.run(&["audit", "export", "--org", &organization]).await.stdout;
    assert_eq!(audit.matches("api_key.revoked").count(), 1);
}

#[tokio::test]
async fn an_unknown_key_or_project_is_not_found_and_a_malformed_id_is_wrong_usage() {
    let (_store, cli) = empty_store().await;
    cli.create_organization("acme").await;
    let (key, project) = (nobodys("key_"), nobodys("prj_"));
    assert_refused(&cli.run(&["key", "revoke", &key]).await, &[&key]);
    assert_refused(
        &cli.run(&["key", "create", "--project", &project]).await,
        &[&project],
    );
    assert_refused(
        &cli.run(&["key", "list", "--project", &project]).await,
        &[&project],
    );
    for malformed in ["", "key_", "sk_1", &project] {
        assert_usage(&cli.run(&["key", "revoke", malformed]).await, &["key_"]);
    }
    assert_usage(&cli.run(&["key", "list", "--project", &key]).await, &["prj_"]);
    assert_usage(&cli.run(&["key", "create"]).await, &["--project"]);
}

#[tokio::test]
async fn a_key_made_beside_a_running_server_works_and_a_revoked_one_ends() {
    let world = World::start(StoreKind::Sqlite).await;
    let made = world
        .cli
        .run(&["key", "create", "--project", &world.project.id])
        .await
        .json();
    let api = Api {
        server: world.server.address,
        key: made["api_key"].as_str().unwrap().to_owned(),
    };
    let first = api.receipt("key-1", &receipt("evt_1")).await;
    assert_eq!((first.status, &first.json()["duplicate"]), (202, &json!(false)));
    // Both keys are of one project: the same event, the same idempotency keys.
    let same = world.api().receipt("key-1", &receipt("evt_1")).await;
    assert_eq!(
        (same.header("idempotent-replayed"), &same.body),
        (Some("true"), &first.body)
    );

    let revoke = ["key", "revoke", made["key_id"].as_str().unwrap()];
    assert_eq!(world.cli.run(&revoke).await.code, 0);
    eventually("the key is refused", async || {
        let answer = api.receipt(&unique("key"), &receipt("evt_2")).await;
        (answer.verdict() == "401 unauthorized").then_some(())
    })
    .await;
    assert_eq!(
        world.api().receipt("key-2", &receipt("evt_2")).await.status,
        202,
        "the other key works on"
    );
}
