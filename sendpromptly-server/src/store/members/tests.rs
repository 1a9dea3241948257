//! Changes of members at once, on two nodes.

use sendpromptly_core::audit::{Actor, Origin};
use sendpromptly_core::id::{OrganizationId, UserId};

use super::*;
use crate::platform::entropy;
use crate::store::users::{self, NewUser};
use crate::testing::{NOW, World};

async fn user(world: &World, name: &str) -> UserId {
    let new = NewUser {
        id: UserId::new(NOW, entropy::for_id()),
        email: format!("{name}@example.com"),
        email_key: format!("{name}@example.com"),
        password_hash: String::new(),
        created_at: NOW,
    };
    world.write(users::insert(&new)).await;
    new.id
}

async fn join(world: &World, organization: OrganizationId, user: UserId, role: Role) {
    let insert =
        Sql::new("INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({}, {}, {}, {})");
    let insert = insert.bind(organization.as_bytes()).bind(user.as_bytes());
    world.write(insert.bind(role.as_str()).bind(NOW)).await;
}

const fn origin(user: UserId) -> Origin {
    Origin {
        actor: Actor::User(user),
        address: None,
    }
}

const fn deed<'a>(scope: OrganizationScope, by: UserId, member: UserId, origin: &'a Origin) -> Deed<'a> {
    Deed {
        scope,
        by,
        member,
        origin,
        now: NOW,
    }
}

#[tokio::test]
async fn of_two_owners_who_demote_or_remove_each_other_at_once_one_stays_owner() {
    let world = World::set_up().await;
    let other = world.second_node().await;
    let (ada, bob) = (user(&world, "ada").await, user(&world, "bob").await);
    for round in 0..6_u8 {
        let id = OrganizationId::new(NOW, entropy::for_id());
        let insert = Sql::new("INSERT INTO organizations (id, name, created_at) VALUES ({}, 'acme', {})");
        world.write(insert.bind(id.as_bytes()).bind(NOW)).await;
        join(&world, id, ada, Role::Owner).await;
        join(&world, id, bob, Role::Owner).await;
        let scope = OrganizationScope::of_the_command_line(id);
        let (by_ada, by_bob) = (origin(ada), origin(bob));
        let (first, second) = (deed(scope, ada, bob, &by_ada), deed(scope, bob, ada, &by_bob));
        let (first, second) = if round % 2 == 0 {
            tokio::join!(
                world.store.change_role(&first, Role::Viewer),
                other.change_role(&second, Role::Viewer)
            )
        } else {
            tokio::join!(world.store.remove_member(&first), other.remove_member(&second))
        };
        let ends = [first.unwrap(), second.unwrap()];
        assert_eq!(
            ends.iter().filter(|end| **end == Change::Done).count(),
            1,
            "{ends:?}"
        );
        let owners =
            Sql::new("SELECT count(*) AS n FROM members WHERE organization_id = {} AND role = 'owner'");
        assert_eq!(world.number(owners.bind(id.as_bytes())).await, 1);
    }
}

#[tokio::test]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let world = World::set_up().await;
    let other = world.second_node().await;
    let (ada, bob) = (user(&world, "ada").await, user(&world, "bob").await);
    join(&world, world.organization, ada, Role::Owner).await;
    join(&world, world.organization, bob, Role::Owner).await;
    let scope = OrganizationScope::of_the_command_line(world.organization);
    let (by_ada, by_bob) = (origin(ada), origin(bob));
    let (first, second) = (deed(scope, ada, ada, &by_ada), deed(scope, bob, bob, &by_bob));
    let (first, second) = tokio::join!(world.store.leave(&first), other.leave(&second));
    let mut ends = [first.unwrap(), second.unwrap()];
    ends.sort_by_key(|end| *end == Change::Done);
    assert_eq!(ends, [Change::Refused(Refusal::LastOwner), Change::Done]);
}

#[tokio::test]
async fn a_members_invitations_are_void_when_the_member_is_lowered() {
    let world = World::set_up().await;
    let (ada, bob) = (user(&world, "ada").await, user(&world, "bob").await);
    join(&world, world.organization, ada, Role::Owner).await;
    join(&world, world.organization, bob, Role::Admin).await;
    let insert = Sql::new(
        "INSERT INTO invitations (id, organization_id, email, email_key, role, invited_by, expires_at, created_at)
         VALUES ({}, {}, 'eve@example.com', 'eve@example.com', 'admin', {}, {}, {})",
    );
    let insert = insert.bind([1; 16]).bind(world.organization.as_bytes());
    world.write(insert.bind(bob.as_bytes()).bind(NOW).bind(NOW)).await;
    let scope = OrganizationScope::of_the_command_line(world.organization);
    let by_ada = origin(ada);
    let deed = deed(scope, ada, bob, &by_ada);
    assert_eq!(
        world.store.change_role(&deed, Role::Viewer).await.unwrap(),
        Change::Done
    );
    assert!(world.store.invitations(scope).await.unwrap().is_empty());
}
