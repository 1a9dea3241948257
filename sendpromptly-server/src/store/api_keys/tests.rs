//! What is kept of keys that travelled in clear.

use sendpromptly_core::audit::Actor;

use super::*;
use crate::testing::{NOW, World};

const HOUR: i64 = 60 * 60 * 1_000;

fn origin() -> Origin {
    Origin {
        actor: Actor::System("redirect"),
        address: Some([192, 0, 2, 7].into()),
    }
}

async fn live_key(world: &World) -> KeyHolder {
    let key = world.add_key(world.project).await;
    world.store.find_key(&key.hash()).await.unwrap().unwrap()
}

async fn entries(world: &World) -> i64 {
    let query = Sql::new("SELECT COUNT(*) AS n FROM audit_entries WHERE action = 'api_key.exposed'");
    world.number(query).await
}

#[tokio::test]
async fn an_exposed_key_is_audited_once_an_hour_and_shown_in_the_list() {
    let world = World::set_up().await;
    let key = live_key(&world).await;
    let note = async |at| world.store.note_exposed_key(&key, &origin(), at).await.unwrap();
    let shown = async || world.store.keys(world.scope(), world.project).await.unwrap()[0].exposed_at;
    assert_eq!(shown().await, None);
    assert!(note(NOW).await);
    assert!(!note(NOW.plus_millis(HOUR - 1)).await);
    assert_eq!((shown().await, entries(&world).await), (Some(NOW), 1));
    let later = NOW.plus_millis(HOUR);
    assert!(note(later).await);
    assert_eq!((shown().await, entries(&world).await), (Some(later), 2));
    world
        .store
        .revoke_key(world.scope(), world.project, key.key_id, &origin(), later)
        .await
        .unwrap();
    assert!(
        !note(later.plus_millis(2 * HOUR)).await,
        "it opens nothing any more"
    );
    assert_eq!(entries(&world).await, 2);
}

#[tokio::test]
async fn nodes_that_see_one_exposure_at_once_make_one_entry() {
    let world = World::set_up().await;
    let (key, second) = (live_key(&world).await, world.second_node().await);
    let note = |store: &Store| {
        let (store, origin) = (store.clone(), origin());
        async move { store.note_exposed_key(&key, &origin, NOW).await.unwrap() }
    };
    let all: Vec<_> = (0..16)
        .map(|n| note(if n % 2 == 0 { &world.store } else { &second }))
        .collect();
    let noted = futures_util::future::join_all(all).await;
    assert_eq!(noted.into_iter().filter(|noted| *noted).count(), 1);
    assert_eq!(entries(&world).await, 1);
}

#[tokio::test]
async fn the_entry_names_the_key_and_keeps_the_address_in_its_details() {
    let world = World::set_up().await;
    let key = live_key(&world).await;
    assert!(world.store.note_exposed_key(&key, &origin(), NOW).await.unwrap());
    let query = Sql::new(
        "SELECT e.actor, e.target, d.details FROM audit_entries e
         JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
         WHERE e.organization_id = {} AND e.action = 'api_key.exposed'",
    );
    let query = query.bind(world.organization.as_bytes());
    let row = query.one(world.store.reader()).await.unwrap().unwrap();
    let text = |column| rows::get::<String>(&row, column).unwrap();
    assert_eq!(
        (text("actor"), text("target")),
        ("system:redirect".to_owned(), key.key_id.to_string())
    );
    assert!(text("details").contains("192.0.2.7"), "{}", text("details"));
}
