//! Which payloads are stored and found, where they open, and how they go.

use sendpromptly_core::snapshot::KEPT;

use super::passes::{CLOCKS_MS, old_snapshots};
use super::*;
use crate::payload::{self, Payload};
use crate::store::cases::key_rows;
use crate::store::data_keys::KeyUse;
use crate::store::projects::{ProjectChange, SnapshotChange};
use crate::testing::{NOW, World, operator};
use crate::vault::{Purpose, Vault};

const PAYLOAD: &str = r#"{"card":"4242"}"#;

struct Scene {
    world: World,
    vault: Vault,
}

impl Scene {
    /// A project that keeps payloads.
    async fn set_up() -> Self {
        let world = World::set_up().await;
        world.keep_snapshots().await;
        let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
        Self { world, vault }
    }

    /// An event whose payload is kept.
    async fn event(&self, provider_event_id: &str) -> EventId {
        let event = self.world.receive(provider_event_id).await;
        self.world.keep_payload(&self.vault, event, PAYLOAD).await;
        event
    }

    async fn change(&self, snapshots: SnapshotChange) {
        let change = ProjectChange {
            snapshots,
            ..ProjectChange::default()
        };
        let (scope, project) = (self.world.scope(), self.world.project);
        let changed = self
            .world
            .store
            .change_project(scope, project, &change, &operator(), NOW)
            .await;
        assert!(changed.unwrap().is_some());
    }

    /// What this vault finds of an event's payload.
    async fn opened_by(&self, vault: &Vault, event: EventId) -> Option<String> {
        let key = (self.world.project, event);
        let opened = payload::open(&self.world.store, vault, key, NOW).await;
        match opened.unwrap() {
            Payload::Text(text) => Some(text.as_str().to_owned()),
            Payload::Gone | Payload::Lost(_) => None,
        }
    }

    async fn rows(&self) -> i64 {
        let rows = Sql::new("SELECT count(*) AS n FROM snapshots");
        self.world.number(rows).await
    }

    /// A node that remembers nothing.
    async fn other_node(&self) -> Vault {
        Vault::open(&self.world.store, &self.world.keys()).await.unwrap()
    }

    async fn keys(&self) -> i64 {
        let keys = Sql::new("SELECT count(*) AS n FROM data_keys WHERE purpose = 'snapshot'");
        self.world.number(keys).await
    }
}

#[tokio::test]
async fn no_snapshot_opens_when_swapped_changed_or_in_another_project() {
    let scene = Scene::set_up().await;
    let (one, two) = (scene.event("evt_1").await, scene.event("evt_2").await);
    let sealed = async |event| {
        let stored = scene.world.store.kept_payload(scene.world.project, event, NOW);
        stored.await.unwrap().unwrap().sealed
    };
    let put = async |event: EventId, sealed: Vec<u8>| {
        let update = Sql::new("UPDATE snapshots SET sealed = {} WHERE event_id = {}");
        scene
            .world
            .write(update.bind(sealed).bind(event.as_bytes()))
            .await;
    };
    let own = sealed(one).await;
    assert_eq!(scene.opened_by(&scene.vault, one).await.as_deref(), Some(PAYLOAD));
    put(one, sealed(two).await).await;
    assert_eq!(scene.opened_by(&scene.vault, one).await, None, "another event's");
    for at in 0..own.len() {
        let mut changed = own.clone();
        changed[at] ^= 1;
        put(one, changed).await;
        assert_eq!(scene.opened_by(&scene.vault, one).await, None, "byte {at}");
    }
    put(one, own[..own.len() - 1].to_vec()).await;
    assert_eq!(scene.opened_by(&scene.vault, one).await, None, "cut short");
    put(one, own.clone()).await;
    assert_eq!(scene.opened_by(&scene.vault, one).await.as_deref(), Some(PAYLOAD));

    let other = ProjectId::from_bytes([7; 16]);
    for purpose in [
        Purpose::Snapshot(other, Era::default()),
        Purpose::Answer(scene.world.project),
    ] {
        let opened = scene.vault.open_sealed(purpose, one.as_bytes(), &own).await;
        assert!(opened.is_err(), "{purpose:?}");
    }
}

#[tokio::test]
async fn snapshots_that_are_deleted_are_gone_at_once_and_removed_in_batches() {
    let scene = Scene::set_up().await;
    let events = [
        scene.event("evt_1").await,
        scene.event("evt_2").await,
        scene.event("evt_3").await,
    ];
    scene.change(SnapshotChange::OffAndDelete).await;
    for event in events {
        assert_eq!(
            scene.opened_by(&scene.vault, event).await,
            None,
            "also where the key is remembered"
        );
        let kept = scene
            .world
            .store
            .payload_received_at(scene.world.project, event, NOW);
        assert_eq!(kept.await.unwrap(), None);
    }
    assert_eq!(scene.rows().await, 3);
    let minute = NOW.plus_millis(CLOCKS_MS);
    let deleted = async |now| scene.world.store.count_deleted_snapshots(now).await.unwrap();
    assert_eq!((deleted(NOW).await, deleted(minute).await), (0, 3));

    scene.change(SnapshotChange::On).await;
    let kept = scene.event("evt_4").await;
    let remove = async |millis| {
        let now = NOW.plus_millis(millis);
        scene.world.store.remove_deleted_snapshots(now, 2).await.unwrap()
    };
    assert_eq!(remove(CLOCKS_MS - 1).await, 0, "one may still be under way");
    let mut removed = Vec::new();
    for _ in 0..3 {
        removed.push(remove(CLOCKS_MS).await);
    }
    assert_eq!(removed, [2, 1, 0]);
    assert_eq!(scene.rows().await, 1, "what was kept since stays");
    assert_eq!(
        scene.opened_by(&scene.vault, kept).await.as_deref(),
        Some(PAYLOAD)
    );
    let pending = async || {
        let pending = "SELECT count(*) AS n FROM projects WHERE snapshots_deleted_at IS NOT NULL";
        scene.world.number(Sql::new(pending)).await
    };
    assert_eq!(pending().await, 0);
}

#[tokio::test]
async fn deleting_payloads_destroys_the_keys_of_past_days_at_once() {
    let scene = Scene::set_up().await;
    let event = scene.event("evt_1").await;
    let project = scene.world.project;
    let earlier = NOW.plus_millis(-3 * 86_400_000);
    let purpose = Purpose::Snapshot(project, Era::default());
    let row = [9; 16];
    let old = scene.vault.seal(purpose, &row, b"{}", earlier).await.unwrap();
    assert_eq!(scene.keys().await, 2, "one for each day");
    scene.change(SnapshotChange::OffAndDelete).await;
    assert_eq!(scene.keys().await, 0);
    // What a backup of the database may still hold opens on no node.
    let opened = scene.other_node().await.open_sealed(purpose, &row, &old).await;
    assert!(opened.is_err_and(|error| error.is_final()));

    // A node that remembers today's key must not go on with it: nobody else could open what it seals.
    scene.change(SnapshotChange::On).await;
    let again = scene.event("evt_2").await;
    let elsewhere = scene.other_node().await;
    assert_eq!(scene.opened_by(&elsewhere, again).await.as_deref(), Some(PAYLOAD));
    assert_eq!(scene.opened_by(&elsewhere, event).await, None);
    let today = KeyUse {
        scope: "project",
        scope_id: *project.as_bytes(),
        purpose: "snapshot",
        day: NOW.as_millis() / 86_400_000,
    };
    assert!(scene.world.store.newest_data_key(&today).await.unwrap().is_some());
}

#[tokio::test]
async fn a_snapshot_is_not_found_from_its_30th_day_on_though_its_row_is_there() {
    let scene = Scene::set_up().await;
    let event = scene.event("evt_1").await;
    let over = NOW.plus(KEPT);
    let found = async |now| {
        let stored = scene
            .world
            .store
            .kept_payload(scene.world.project, event, now)
            .await;
        let kept = scene
            .world
            .store
            .payload_received_at(scene.world.project, event, now)
            .await;
        (stored.unwrap().is_some(), kept.unwrap().is_some())
    };
    assert_eq!(found(over.plus_millis(-1)).await, (true, true));
    assert_eq!(found(over).await, (false, false));
    assert_eq!(scene.rows().await, 1);
}

#[tokio::test]
async fn old_snapshots_are_removed_in_bounded_batches_of_every_project_and_young_ones_stay() {
    let scene = Scene::set_up().await;
    let store = &scene.world.store;
    for number in 0..3 {
        scene.event(&format!("evt_{number}")).await;
    }
    let last = ProjectId::from_bytes([0xff; 16]);
    put(
        &scene,
        scene.world.project,
        EventId::new(NOW, [1; 10]),
        NOW.plus_millis(1),
    )
    .await;
    put(&scene, last, EventId::new(NOW, [1; 10]), NOW).await;
    let over = NOW.plus(KEPT);
    let early = old_snapshots(over.plus_millis(-1));
    assert_eq!(store.drop_old(early, 3).await.unwrap(), 0);
    assert_eq!(store.count_old(old_snapshots(over)).await.unwrap(), 4);
    let mut removed = Vec::new();
    for _ in 0..3 {
        removed.push(store.drop_old(old_snapshots(over), 3).await.unwrap());
    }
    assert_eq!(removed, [3, 1, 0], "a batch goes over several projects");
    assert_eq!(scene.rows().await, 1);
}

/// A row that nothing opens.
async fn put(scene: &Scene, project: ProjectId, event: EventId, received_at: Timestamp) {
    let row = Sql::new(
        "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed) VALUES ({}, {}, 0, {}, {})",
    );
    let row = row.bind(project.as_bytes()).bind(event.as_bytes());
    scene.world.write(row.bind(received_at).bind(vec![1_u8])).await;
}

#[tokio::test]
async fn thirty_days_count_from_the_receipt_also_where_the_event_is_older() {
    let scene = Scene::set_up().await;
    let event = EventId::new(NOW.plus_millis(-5 * 86_400_000), [1; 10]);
    put(&scene, scene.world.project, event, NOW).await;
    let found = async |now| {
        let store = &scene.world.store;
        let found = store.payload_received_at(scene.world.project, event, now);
        found.await.unwrap()
    };
    let over = NOW.plus(KEPT);
    assert_eq!(found(over.plus_millis(-1)).await, Some(NOW));
    assert_eq!(found(over).await, None);
}

#[tokio::test]
async fn a_deletion_ordered_by_a_slow_clock_leaves_no_row() {
    let scene = Scene::set_up().await;
    let ahead = NOW.plus_millis(2 * 3_600_000);
    put(&scene, scene.world.project, EventId::new(ahead, [1; 10]), ahead).await;
    scene.change(SnapshotChange::OffAndDelete).await; // at NOW, by its clock
    let remove = async |now| scene.world.store.remove_deleted_snapshots(now, 50).await.unwrap();
    assert_eq!(remove(ahead.plus_millis(CLOCKS_MS)).await, 1);
    assert_eq!(scene.rows().await, 0);
}

#[tokio::test]
async fn what_is_stored_while_keeping_is_turned_off_waits_and_is_left_out() {
    let scene = Scene::set_up().await;
    let world = &scene.world;
    let event = world.receive("evt_1").await;
    let tx = world.store.begin().await.unwrap();
    let off = Sql::new("UPDATE projects SET keep_snapshots = 0 WHERE id = {}");
    off.bind(world.project.as_bytes()).run(&tx).await.unwrap();
    let (store, project) = (world.store.clone(), world.project);
    let storing = tokio::spawn(async move {
        let new = NewSnapshot {
            project,
            event,
            era: Era::default(),
            received_at: NOW,
            sealed: &[1],
        };
        let insert = insert(store.dialect(), [new]);
        store.commit_together(vec![insert]).await.unwrap();
    });
    if world.store.dialect() == Dialect::Postgres {
        // Until it waits for the one that turns keeping off, or has not waited.
        let waits = "SELECT count(*) AS n FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INTO snapshots%'";
        while !storing.is_finished() && world.number(Sql::new(waits)).await == 0 {
            tokio::task::yield_now().await;
        }
    }
    tx.commit().await.unwrap();
    storing.await.unwrap();
    assert_eq!(scene.rows().await, 0);
}

#[tokio::test]
async fn whether_payloads_go_along_is_looked_up_event_by_event() {
    let world = World::set_up().await;
    if world.store.dialect == Dialect::Postgres {
        return; // it weighs
    }
    let wanted = key_rows([(world.project, EventId::from_bytes([1; 16]))]);
    let plan = to_send(world.scope(), wanted, NOW)
        .plan(world.store.reader())
        .await;
    assert!(plan.lines().next().unwrap().contains("json_each"), "{plan}");
}
