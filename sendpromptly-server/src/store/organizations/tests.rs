//! How organizations are made by their users, and named.

use sendpromptly_core::access::Role;
use sendpromptly_core::audit::Actor;

use super::*;
use crate::testing::{NOW, World};

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
    let id = OrganizationId::new(NOW, crate::platform::entropy::for_id());
    let [second, third]: [Name; 2] = ["Second", "Third"].map(|name| name.parse().unwrap());
    let store = &world.store;
    let made = store.add_organization(id, &second, user, &origin, NOW);
    made.await.unwrap();
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
