//! How organizations are made by their users, and named.

use sendpromptly_core::access::Role;
use sendpromptly_core::audit::Actor;
use sendpromptly_core::id::ProjectId;

use super::*;
use crate::platform::entropy;
use crate::testing::{NOW, World, operator};

async fn told(world: &World, organization: OrganizationId) -> Vec<(String, String)> {
    let entries = world.store.chain(organization).entries(0, 100).await.unwrap();
    let lines = entries.into_iter();
    lines
        .map(|entry| (entry.action, entry.details.unwrap().text))
        .collect()
}

#[tokio::test]
async fn whoever_makes_another_organization_owns_it_and_its_name_can_be_changed() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    let origin = Origin {
        actor: Actor::User(user),
        address: None,
    };
    let id = OrganizationId::new(NOW, entropy::for_id());
    let [second, third]: [Name; 2] = ["Second", "Third"].map(|name| name.parse().unwrap());
    let store = &world.store;
    let made = store.add_organization(id, &second, user, &origin, NOW);
    assert!(made.await.unwrap());
    let seat = store.membership(user, id).await.unwrap().unwrap();
    assert_eq!((seat.name.as_str(), seat.role), ("Second", Role::Owner));
    for _ in 0..2 {
        let renamed = store.rename_organization(seat.scope, &third, &origin, NOW);
        renamed.await.unwrap();
    }
    let seat = store.membership(user, id).await.unwrap().unwrap();
    assert_eq!(seat.name, "Third");
    let entry = |action: &str, name: &str| (action.to_owned(), format!(r#"{{"name":"{name}"}}"#));
    assert_eq!(
        told(&world, id).await,
        [
            entry("organization.created", "Second"),
            entry("organization.changed", "Third")
        ]
    );
    assert!(told(&world, world.organization).await.is_empty());
}

#[tokio::test]
async fn organizations_are_listed_in_their_order_with_what_they_hold() {
    let world = World::set_up().await;
    let other = world.add_organization("Other").await;
    for (email, role) in [("ada@example.com", "owner"), ("bob@example.com", "viewer")] {
        let user = world.add_user(email).await;
        world.add_member(other, user, role).await;
    }
    let deleted = ProjectId::new(NOW, entropy::for_id());
    world.add_project(deleted).await;
    let origin = operator();
    let deletion = world.store.delete_project(world.scope(), deleted, &origin, NOW);
    assert!(deletion.await.unwrap());
    let list = world.store.organizations().await.unwrap();
    let told = list
        .iter()
        .map(|listed| (listed.id, listed.members, listed.projects));
    let mut expected = [(world.organization, 0, 1), (other, 2, 0)];
    expected.sort_unstable();
    assert!(told.eq(expected), "{list:?}");
}

#[tokio::test]
async fn a_user_owns_twenty_organizations_at_most_however_many_are_made_at_once() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    let nodes = [world.store.clone(), world.second_node().await];
    let origin = operator();
    let name: Name = "Another".parse().unwrap();
    let makings = (0..2 * MOST_OWNED as usize).map(|number| {
        let id = OrganizationId::new(NOW, entropy::for_id());
        nodes[number % 2].add_organization(id, &name, user, &origin, NOW)
    });
    let made = futures_util::future::join_all(makings).await;
    let made = made.into_iter().filter(|made| *made.as_ref().unwrap());
    assert_eq!(made.count(), MOST_OWNED as usize);
    let owned = Sql::new("SELECT count(*) AS n FROM members WHERE user_id = {}");
    assert_eq!(
        world.number(owned.bind(user.as_bytes())).await,
        i64::from(MOST_OWNED)
    );
}
