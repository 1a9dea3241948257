//! Master keys: rotated under load and on two nodes, cut off anywhere, missing, given by the environment or a
//! command.

use std::path::Path;

use sendpromptly_tests::command::{Cli, Project};
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

mod elsewhere;

on_both_stores!(
    rotating_under_load_loses_nothing,
    a_rotation_that_is_killed_anywhere_leaves_every_key_readable,
    a_store_whose_master_key_is_missing_or_another_is_refused_by_its_name,
);

/// The instance's own audit log.
const INSTANCE: &str = "org_00000000000000000000000000000000";

/// What `master-key list` prints.
async fn listed(cli: &Cli) -> Vec<Value> {
    cli.run(&["master-key", "list"]).await.json_lines()
}

/// The names of the keys of a ring's file, in their order.
fn kids(ring: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(ring).unwrap();
    let keys = text.lines().filter(|line| !line.starts_with('#'));
    keys.map(|line| line.split(':').next().unwrap().to_owned())
        .collect()
}

/// The secret digits of the keys of a ring's file.
fn digits(ring: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(ring).unwrap();
    let keys = text.lines().filter(|line| !line.starts_with('#'));
    keys.map(|line| line.split(':').nth(1).unwrap().to_owned())
        .collect()
}

async fn rotate(cli: &Cli) -> (String, String) {
    let rotated = cli.run(&["master-key", "rotate"]).await.json();
    let field = |name: &str| {
        rotated[name]
            .as_str()
            .unwrap_or_else(|| panic!("{rotated}"))
            .to_owned()
    };
    (field("kid"), field("previous"))
}

/// The actions of the instance's audit log that are about master keys, with the keys' names.
async fn told(cli: &Cli) -> Vec<(String, String)> {
    let exported = cli
        .run(&["audit", "export", "--org", INSTANCE])
        .await
        .json_lines();
    let field = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let all = exported
        .iter()
        .map(|entry| (field(entry, "action"), field(entry, "target")));
    all.filter(|(action, _)| action.starts_with("master_key."))
        .collect()
}

async fn rotating_under_load_loses_nothing(kind: StoreKind) {
    const ROUNDS: usize = 4;
    let endpoint = Endpoint::always(200).await;
    let mut world = World::start_calling(kind, &endpoint).await;
    let ring = world.store.data_dir().join("master.key");
    let mut secrets = digits(&ring);
    let mut expected = Vec::new();
    // Signed calls, new events and new projects, whose secrets take data keys, all the while.
    let load = async {
        let mut ordered = Vec::new();
        let mut projects = Vec::new();
        for round in 0..3 * ROUNDS {
            let (_, incident) = world.incident_for(&format!("customer-{round}")).await;
            world.cli.reprocess(&incident).await;
            ordered.push(incident);
            projects.push(world.cli.create_project(&world.organization, &[]).await);
        }
        (ordered, projects)
    };
    let rotations = async {
        for _ in 0..ROUNDS {
            let (kid, previous) = rotate(&world.cli).await;
            secrets.extend(digits(&ring));
            let removed = world.cli.run(&["master-key", "remove", &previous]).await;
            assert_eq!(removed.json(), json!({"kid": previous}));
            expected.push(("master_key.rotated".to_owned(), kid));
            expected.push(("master_key.removed".to_owned(), previous));
        }
    };
    let ((ordered, projects), ()) = tokio::join!(load, rotations);

    for incident in &ordered {
        world.replay_becomes(incident, "delivered").await;
    }
    let calls = endpoint.calls();
    assert_eq!(calls.len(), ordered.len());
    assert!(
        calls
            .iter()
            .all(|call| call.is_signed_with(&[&world.project.signing_secret]))
    );
    let last = kids(&ring);
    let keys = listed(&world.cli).await;
    assert_eq!((keys.len(), last.len()), (1, 1), "{keys:?}");
    assert_eq!(
        (&keys[0]["kid"], &keys[0]["active"], &keys[0]["in_ring"]),
        (&json!(last[0]), &json!(true), &json!(true))
    );
    assert_eq!(told(&world.cli).await, expected);
    assert_eq!(world.cli.run(&["audit", "verify"]).await.code, 0);

    // With nothing but the last key: every project's data key is read, and one more call is signed.
    world.server.stop().await;
    let logged = world.server.log();
    world.restart(&Options::quick()).await;
    every_data_key_is_read(&world, &projects).await;
    let (_, incident) = world.incident_for("after").await;
    world.cli.reprocess(&incident).await;
    world.replay_becomes(&incident, "delivered").await;
    for secret in secrets {
        assert!(!logged.contains(&secret), "a master key is in the log");
    }
}

/// A new secret of a project is sealed with the data key of those before it.
async fn every_data_key_is_read(world: &World, projects: &[Project]) {
    for project in projects {
        let rotate = ["secret", "rotate", "--project", &project.id];
        let rotated = world.cli.run(&rotate).await;
        assert_eq!(rotated.code, 0, "{rotated:?}");
    }
}

/// The process is killed at each of the calls by which it makes something last or known, one after another.
async fn a_rotation_that_is_killed_anywhere_leaves_every_key_readable(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut projects = vec![world.project.clone()];
    for _ in 0..2 {
        projects.push(world.cli.create_project(&world.organization, &[]).await);
    }
    let ring = world.store.data_dir().join("master.key");
    let calls = match kind {
        StoreKind::Sqlite => &["fsync", "fdatasync", "rename", "pwrite64"][..],
        StoreKind::Postgres => &["fsync", "rename", "sendto"],
    };
    let mut killed = 0;
    for call in calls {
        for number in 1..60 {
            let cut_off = world.cli.clone().struck_at(call, number, "KILL");
            let rotated = cut_off.run(&["master-key", "rotate"]).await;
            assert!(
                listed(&world.cli)
                    .await
                    .iter()
                    .all(|key| key["in_ring"] == json!(true)),
                "{call} {number}"
            );
            if rotated.code == 0 {
                break;
            }
            assert_ne!(rotated.code, 1, "{call} {number}: {rotated:?}");
            killed += 1;
        }
    }
    assert!(killed >= 6, "{killed} kills");
    let last = world.cli.run(&["master-key", "rotate"]).await;
    assert_eq!(last.code, 0, "{last:?}");
    let rotations = told(&world.cli).await.len();
    let rotated = kids(&ring);
    assert_eq!(rotated.len(), rotations + 1, "each rotation has made one key");
    every_data_key_is_read(&world, &projects).await;
    let directory = std::fs::read_dir(world.store.data_dir()).unwrap();
    let drafts = directory.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("master.key.")
    });
    assert_eq!(drafts.count(), 0, "no copy of the keys stays behind");
}

async fn a_store_whose_master_key_is_missing_or_another_is_refused_by_its_name(kind: StoreKind) {
    let mut world = World::start(kind).await;
    world.server.stop().await;
    let ring = world.store.data_dir().join("master.key");
    let text = std::fs::read_to_string(&ring).unwrap();
    let kid = kids(&ring).remove(0);
    let other = world.cli.run(&["master-key", "generate"]).await.stdout;
    let renamed = format!("{kid}:{}", other.split_once(':').unwrap().1);
    for (ring_text, said) in [
        (other.as_str(), format!("there is no key named {kid}")),
        (&renamed, format!("its key named {kid} is another one")),
    ] {
        std::fs::write(&ring, ring_text).unwrap();
        for command in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["master-key", "rotate"],
        ] {
            let refused = world.cli.run(command).await;
            assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{refused:?}");
            assert!(refused.stderr.contains(&said), "{refused:?}");
        }
    }
    std::fs::write(&ring, other).unwrap();
    let keys = listed(&world.cli).await;
    let missing = keys.iter().find(|key| key["kid"] == json!(kid)).unwrap();
    assert_eq!(
        (&missing["active"], &missing["in_ring"]),
        (&json!(true), &json!(false))
    );
    std::fs::write(&ring, text).unwrap();
    world.restart(&Options::quick()).await;
    world.api().new_event().await;
}

/// A second node whose ring is a file of its own.
async fn second_node(world: &World) -> (Server, std::path::PathBuf) {
    let directory = world.store.directory().join("second");
    std::fs::create_dir(&directory).unwrap();
    let ring = directory.join("own.key");
    std::fs::copy(world.store.data_dir().join("master.key"), &ring).unwrap();
    let options = Options::quick().set("--master-key-file", ring.to_str().unwrap());
    (Server::start_as(&world.store, &options, &directory).await, ring)
}

#[tokio::test]
async fn two_nodes_go_over_to_a_prepared_key_without_a_pause() {
    let endpoint = Endpoint::start(|_, _| Reply::status(200)).await;
    let mut world = World::start_calling(StoreKind::Postgres, &endpoint).await;
    let (second, ring) = second_node(&world).await;
    let prepared = world.cli.run(&["master-key", "prepare"]).await.json()["kid"].clone();
    assert_eq!(
        listed(&world.cli).await[0],
        json!({"kid": prepared, "active": false, "in_ring": true, "data_keys": 0})
    );
    std::fs::copy(world.store.data_dir().join("master.key"), &ring).unwrap();
    let (kid, previous) = rotate(&world.cli).await;
    assert_eq!(json!(kid), prepared);
    assert_eq!(world.cli.run(&["master-key", "remove", &previous]).await.code, 0);

    // The second node alone signs what is ordered now.
    let (_, incident) = world.incident_for("later").await;
    world.server.stop().await;
    world.cli.reprocess(&incident).await;
    world.replay_becomes(&incident, "delivered").await;
    assert!(endpoint.calls()[0].is_signed_with(&[&world.project.signing_secret]));
    assert_eq!(second.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_node_that_was_left_out_of_a_rotation_says_so_and_goes_on_once_it_has_the_key() {
    let endpoint = Endpoint::always(200).await;
    let mut world = World::start_calling(StoreKind::Postgres, &endpoint).await;
    let (second, ring) = second_node(&world).await;
    let (kid, _) = rotate(&world.cli).await;
    let (_, incident) = world.incident_for("waits").await;
    world.server.stop().await;
    world.cli.reprocess(&incident).await;
    eventually("the node says which key it lacks", async || {
        let log = second.log();
        let says = |line: &&str| line.contains("master_keys") && line.contains(&kid);
        log.lines().find(says).map(|_| ())
    })
    .await;
    assert!(endpoint.calls().is_empty(), "nothing goes out unsigned");
    std::fs::copy(world.store.data_dir().join("master.key"), &ring).unwrap();
    second.signal("HUP").await;
    world.replay_becomes(&incident, "delivered").await;
    assert!(endpoint.calls()[0].is_signed_with(&[&world.project.signing_secret]));
}
