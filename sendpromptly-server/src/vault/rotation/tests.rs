//! Rotations: under load, cut off anywhere, on two nodes, and where the keys are not this program's to change.

use std::collections::BTreeSet;
use std::path::Path;

use futures_util::future::join_all;
use sendpromptly_core::audit::INSTANCE;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::master_keys::MasterKeys;

use super::*;
use crate::config::KeyConfig;
use crate::config::keys::{KeyFile, MasterKeySource};
use crate::platform::entropy;
use crate::store::Store;
use crate::store::rows::Sql;
use crate::testing::{NOW, World, operator};
use crate::vault::Purpose;

mod any_order;

const ROW: [u8; 16] = [2; 16];

/// A value that was sealed, and for what.
struct Sealed(Purpose, Vec<u8>);

/// Seals a value under a data key that is made for it.
async fn seal(vault: &Vault) -> Result<Sealed, VaultError> {
    let purpose = Purpose::Answer(ProjectId::new(NOW, entropy::for_id()));
    let sealed = vault.seal(purpose, &ROW, b"head", NOW).await?;
    Ok(Sealed(purpose, sealed))
}

async fn seal_many(vault: &Vault, count: usize) -> Vec<Sealed> {
    let mut sealed = Vec::new();
    for _ in 0..count {
        sealed.push(seal(vault).await.unwrap());
    }
    sealed
}

async fn assert_opens(vault: &Vault, sealed: &[Sealed]) {
    for Sealed(purpose, sealed) in sealed {
        let opened = vault.open_sealed(*purpose, &ROW, sealed).await.unwrap();
        assert_eq!(opened.as_slice(), b"head");
    }
}

/// A node as it is after a start.
async fn start(world: &World) -> Vault {
    Vault::open(&world.store, &world.keys()).await.unwrap()
}

fn with(world: &World, master: MasterKeySource) -> KeyConfig {
    KeyConfig {
        master,
        ..world.keys()
    }
}

fn file(path: &Path) -> MasterKeySource {
    MasterKeySource::File(KeyFile {
        path: path.to_owned(),
        named: true,
    })
}

fn ring_text(world: &World) -> String {
    std::fs::read_to_string(world.directory.path().join("master.key")).unwrap()
}

fn ring(world: &World) -> Vec<String> {
    let keys = MasterKeys::parse(&ring_text(world)).unwrap();
    keys.kids().map(str::to_owned).collect()
}

async fn active(world: &World) -> String {
    world.store.active_kid().await.unwrap().unwrap()
}

/// A round of a server's worker.
async fn keep_up(vault: &Vault) -> Result<Option<DataKeyPlace>, VaultError> {
    vault.keep_up_with_rotations(&DataKeyPlace::default()).await
}

/// The master keys that wrap anything.
async fn wrapping(store: &Store) -> Vec<String> {
    let counted = store.data_keys_of_each().await.unwrap();
    counted.into_iter().map(|(kid, _)| kid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_sealed_while_rotations_run_is_never_left_under_an_earlier_key() {
    let world = World::set_up().await;
    let second = world.second_node().await;
    let nodes = [
        start(&world).await,
        Vault::open(&second, &world.keys()).await.unwrap(),
    ];
    let sealing = (0..6).map(|number| {
        let vault = nodes[number % 2].clone();
        tokio::spawn(async move { seal_many(&vault, 25).await })
    });
    let sealing: Vec<_> = sealing.collect();
    let mut rotations = BTreeSet::new();
    for _ in 0..6 {
        rotations.insert(nodes[0].rotate(&operator(), NOW).await.unwrap().kid);
    }
    let sealed = join_all(sealing).await;
    let last = active(&world).await;
    assert!(rotations.len() > 2, "{rotations:?}");
    // What was sealed after the last rotation is under its key, and so is by now what was sealed before.
    assert_eq!(wrapping(&world.store).await, std::slice::from_ref(&last));
    for kid in ring(&world).into_iter().filter(|kid| *kid != last) {
        nodes[0].remove_master_key(&kid, &operator(), NOW).await.unwrap();
    }
    assert_eq!(ring(&world), [last]);
    for sealed in sealed {
        assert_opens(&start(&world).await, &sealed.unwrap()).await;
    }
}

#[tokio::test]
async fn a_rotation_that_is_cut_off_anywhere_is_brought_to_its_end_with_one_new_key() {
    for done in 0..6 {
        let world = World::set_up().await;
        let vault = start(&world).await;
        let sealed = seal_many(&vault, 3).await;
        let before = active(&world).await;
        // As far as the process that is killed comes.
        if done > 0 {
            vault.prepare_rotation().await.unwrap();
        }
        if done > 1 {
            let next = ring(&world).remove(0);
            vault.activate(&before, &next, &operator(), NOW).await.unwrap();
            for _ in 2..done {
                vault
                    .rewrap_some(&next, &DataKeyPlace::default(), 1)
                    .await
                    .unwrap();
            }
        }
        drop(vault);
        let vault = start(&world).await;
        assert_opens(&vault, &sealed).await;
        if done < 5 {
            vault.rotate(&operator(), NOW).await.unwrap();
        }
        let [next, earlier] = &ring(&world)[..] else {
            panic!("one key was made: {:?}", ring(&world))
        };
        assert_eq!((&active(&world).await, earlier), (next, &before), "{done}");
        assert_eq!(wrapping(&world.store).await, std::slice::from_ref(next));
        assert_opens(&start(&world).await, &sealed).await;
    }
}

#[tokio::test]
async fn a_server_goes_on_with_a_rotation_that_was_cut_off() {
    let world = World::set_up().await;
    let vault = start(&world).await;
    let sealed = seal_many(&vault, 2 * BATCH + 1).await;
    let before = active(&world).await;
    let next = vault.prepare_rotation().await.unwrap();
    vault.activate(&before, &next, &operator(), NOW).await.unwrap();
    let (mut rounds, mut behind) = (0, DataKeyPlace::default());
    while let Some(place) = vault.keep_up_with_rotations(&behind).await.unwrap() {
        (rounds, behind) = (rounds + 1, place);
    }
    assert_eq!(rounds, 3, "in bounded batches");
    assert_eq!(wrapping(&world.store).await, [next]);
    assert_opens(&start(&world).await, &sealed[..3]).await;
}

#[tokio::test]
async fn a_node_that_lacks_the_active_key_says_which_and_goes_on_once_it_has_it() {
    let world = World::set_up().await;
    let vault = start(&world).await;
    let sealed = seal_many(&vault, 1).await;
    let copy = world.directory.path().join("copy.key");
    std::fs::copy(world.directory.path().join("master.key"), &copy).unwrap();
    let lagging = Vault::open(&world.store, &with(&world, file(&copy)))
        .await
        .unwrap();
    let kid = vault.rotate(&operator(), NOW).await.unwrap().kid;
    for said in [
        lagging
            .keep_up_with_rotations(&DataKeyPlace::default())
            .await
            .err()
            .map(|error| error.to_string()),
        seal(&lagging).await.err().map(|error| error.to_string()),
        lagging
            .open_sealed(sealed[0].0, &ROW, &sealed[0].1)
            .await
            .err()
            .map(|error| error.to_string()),
    ] {
        let said = said.expect("a refusal");
        assert!(
            said.contains(&kid) && said.contains("copy.key") && said.contains("another node"),
            "{said}"
        );
    }
    std::fs::write(&copy, ring_text(&world)).unwrap();
    lagging.reload_master_keys().await.unwrap();
    assert_eq!(keep_up(&lagging).await.unwrap(), None);
    assert_opens(&lagging, &sealed).await;
    let sealed = seal(&lagging).await.unwrap();
    assert_opens(&start(&world).await, &[sealed]).await;
    assert_eq!(wrapping(&world.store).await, [kid]);
}

#[tokio::test]
async fn a_node_learns_by_itself_which_key_is_active() {
    let world = World::set_up().await;
    let (vault, other) = (start(&world).await, start(&world).await);
    let sealed = seal_many(&vault, 1).await;
    let kid = vault.rotate(&operator(), NOW).await.unwrap().kid;
    // The file that both read has the key; nobody tells the other node.
    assert_opens(&other, &sealed).await;
    seal(&other).await.unwrap();
    assert_eq!(wrapping(&world.store).await, [kid]);
}

#[tokio::test]
async fn a_prepared_key_is_the_one_that_becomes_active() {
    let world = World::set_up().await;
    let vault = start(&world).await;
    let before = active(&world).await;
    let prepared = vault.prepare_rotation().await.unwrap();
    assert_eq!(vault.prepare_rotation().await.unwrap(), prepared);
    assert_eq!((active(&world).await, ring(&world).len()), (before.clone(), 2));
    let rotated = vault.rotate(&operator(), NOW).await.unwrap();
    assert_eq!(
        rotated,
        Rotated {
            kid: prepared,
            previous: Some(before),
            rewrapped: 0,
            damaged: 0,
        }
    );
    assert_eq!(ring(&world).len(), 2);
}

#[tokio::test]
async fn a_key_that_is_active_or_wraps_something_is_not_removed() {
    let world = World::set_up().await;
    let vault = start(&world).await;
    seal_many(&vault, 2).await;
    let before = active(&world).await;
    let remove = async |kid: &str| vault.remove_master_key(kid, &operator(), NOW).await;
    assert!(matches!(remove(&before).await, Err(RotationError::Active(_))));
    assert!(matches!(remove("mk-unknown").await, Err(RotationError::NoKey(_))));
    let next = vault.prepare_rotation().await.unwrap();
    vault.activate(&before, &next, &operator(), NOW).await.unwrap();
    assert!(matches!(
        remove(&before).await,
        Err(RotationError::Wraps { wraps: 2, .. })
    ));
    assert_eq!(ring(&world), [next.clone(), before.clone()]);
    vault.rotate(&operator(), NOW).await.unwrap();
    remove(&before).await.unwrap();
    assert_eq!(ring(&world), [next]);
}

#[tokio::test]
async fn a_prepared_key_is_not_removed_under_a_rotation_that_is_about_to_make_it_active() {
    let world = World::set_up().await;
    let vault = start(&world).await;
    let before = active(&world).await;
    let prepared = vault.prepare_rotation().await.unwrap();
    let other = start(&world).await;
    let refused = other.remove_master_key(&prepared, &operator(), NOW).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("stands first"), "{said}");
    assert_eq!(world.store.chain(INSTANCE).head().await.unwrap().seq, 0);
    vault
        .activate(&before, &prepared, &operator(), NOW)
        .await
        .unwrap();
    let sealed = seal_many(&vault, 1).await;
    assert_opens(&start(&world).await, &sealed).await;
}

#[tokio::test]
async fn rotations_and_removals_are_in_the_instances_audit_log() {
    let world = World::set_up().await;
    let vault = start(&world).await;
    let before = active(&world).await;
    let kid = vault.rotate(&operator(), NOW).await.unwrap().kid;
    vault.remove_master_key(&before, &operator(), NOW).await.unwrap();
    let entries = world.store.chain(INSTANCE).entries(0, 10).await.unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.actor.as_str(), entry.action.as_str(), entry.target.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("cli:ada", "master_key.rotated", kid.as_str()),
            ("cli:ada", "master_key.removed", before.as_str()),
        ]
    );
    let details = entries[0].details.as_ref().unwrap();
    assert_eq!(details.text, format!("{{\"previous\":\"{before}\"}}"));
}

#[tokio::test]
async fn keys_that_others_keep_are_changed_by_them_and_made_active_here() {
    let world = World::set_up().await;
    let line = |name: &str, digit: &str| format!("{name}:{}\n", digit.repeat(64));
    let given = |text: &str| with(&world, MasterKeySource::Given(MasterKeys::parse(text).unwrap()));
    let one = line("k1", "a");
    let vault = Vault::open(&world.store, &given(&one)).await.unwrap();
    let sealed = seal_many(&vault, 2).await;
    let said = vault.rotate(&operator(), NOW).await.unwrap_err().to_string();
    assert!(
        said.contains("`master-keys` cannot be changed") && said.contains("generate"),
        "{said}"
    );

    let both = line("k2", "b") + &one;
    let vault = Vault::open(&world.store, &given(&both)).await.unwrap();
    let rotated = vault.rotate(&operator(), NOW).await.unwrap();
    assert_eq!((rotated.kid.as_str(), rotated.rewrapped), ("k2", 2));
    let said = vault
        .remove_master_key("k1", &operator(), NOW)
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("k1 wraps nothing any more"), "{said}");
    assert_eq!(
        world.store.chain(INSTANCE).head().await.unwrap().seq,
        1,
        "nothing was removed yet"
    );

    let vault = Vault::open(&world.store, &given(&line("k2", "b"))).await.unwrap();
    assert_opens(&vault, &sealed).await;
}

#[tokio::test]
async fn a_store_is_refused_where_one_of_its_master_keys_is_missing_or_another() {
    let world = World::set_up().await;
    let vault = start(&world).await;
    seal_many(&vault, 2).await;
    let before = active(&world).await;
    let next = vault.prepare_rotation().await.unwrap();
    vault.activate(&before, &next, &operator(), NOW).await.unwrap();
    let refusal = async |text: String| {
        let source = MasterKeySource::Given(MasterKeys::parse(&text).unwrap());
        let refused = Vault::open(&world.store, &with(&world, source))
            .await
            .unwrap_err();
        refused.to_string()
    };
    let text = ring_text(&world);
    for missing in [&before, &next] {
        let said = refusal(sendpromptly_core::master_keys::without(&text, missing).to_string()).await;
        assert!(
            said.contains(missing.as_str()) && said.contains("put its line back"),
            "{said}"
        );
    }
    for other in [&before, &next] {
        let without = sendpromptly_core::master_keys::without(&text, other);
        let said = refusal(format!("{}{other}:{}\n", *without, "ab".repeat(32))).await;
        assert!(
            said.contains(other.as_str()) && said.contains("is another one"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_damaged_data_key_keeps_nobody_from_rotating_or_starting() {
    let world = World::set_up().await;
    let vault = start(&world).await;
    let sealed = seal_many(&vault, 3).await;
    let before = active(&world).await;
    let id = sendpromptly_core::envelope::data_key_id(&sealed[0].1).unwrap();
    let mut damaged = world.store.data_key(&id).await.unwrap().unwrap();
    damaged.wrapped[20] ^= 1;
    let flip = Sql::new("UPDATE data_keys SET wrapped = {} WHERE id = {}");
    world.write(flip.bind(damaged.wrapped).bind(id)).await;

    let rotated = start(&world).await.rotate(&operator(), NOW).await.unwrap();
    assert_eq!((rotated.rewrapped, rotated.damaged), (2, 1));
    assert_eq!(rotated.previous, Some(before.clone()));
    let vault = start(&world).await;
    assert_opens(&vault, &sealed[1..]).await;
    let refused = vault.open_sealed(sealed[0].0, &ROW, &sealed[0].1).await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("the data key is damaged")
    );
    // It is not held for a rotation that was cut off, and the key that it needs stays.
    let again = vault.rotate(&operator(), NOW).await.unwrap();
    assert_eq!(again.previous, Some(rotated.kid));
    assert!(keep_up(&vault).await.is_ok());
    let removed = vault.remove_master_key(&before, &operator(), NOW).await;
    assert!(matches!(removed, Err(RotationError::Wraps { wraps: 1, .. })));
}
