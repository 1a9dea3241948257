//! Who changes whose role, who goes, and that an owner always stays, whatever comes at once.

use sendpromptly_core::audit::Actor;
use sendpromptly_core::id::OrganizationId;

use super::*;
use crate::store::sessions::SessionToken;
use crate::testing::{NOW, World};

/// The scope of a member.
async fn scope_of(world: &World, user: UserId) -> OrganizationScope {
    let found = world.store.membership(user, world.organization).await;
    found.unwrap().unwrap().scope
}

async fn join(world: &World, name: &str, role: Role) -> UserId {
    let user = world.add_user(&format!("{name}@example.com")).await;
    world.add_member(world.organization, user, role.as_str()).await;
    user
}

fn origin(user: UserId) -> Origin {
    Origin {
        actor: Actor::User(user),
        address: Some([192, 0, 2, 7].into()),
    }
}

/// What somebody does to somebody, on a node.
#[derive(Debug, Clone, Copy)]
enum Do {
    Make(Role),
    Remove,
    Leave,
}

async fn on(store: &Store, scope: OrganizationScope, by: UserId, what: Do, member: UserId) -> Change {
    let origin = origin(by);
    let deed = Deed {
        scope,
        by,
        member,
        origin: &origin,
        now: NOW,
    };
    let done = match what {
        Do::Make(role) => store.change_role(&deed, role).await,
        Do::Remove => store.remove_member(&deed).await,
        Do::Leave => store.leave(&deed).await,
    };
    done.unwrap()
}

async fn is_to_rotate(world: &World, token: &SessionToken) -> bool {
    let session = world.store.session(token, NOW).await.unwrap().unwrap();
    session.rotate
}

/// What a chain tells: actor, action, target and details of each entry.
async fn told(world: &World, organization: OrganizationId) -> Vec<[String; 4]> {
    let entries = world.store.chain(organization).entries(0, 100).await.unwrap();
    let lines = entries.into_iter().map(|entry| {
        let details = entry.details.unwrap().text;
        [entry.actor, entry.action, entry.target, details]
    });
    lines.collect()
}

async fn roles(world: &World) -> Vec<String> {
    let query = Sql::new("SELECT role FROM members WHERE organization_id = {} ORDER BY role");
    let found = query.bind(world.organization.as_bytes());
    let found = found.all(world.store.reader()).await.unwrap();
    found.iter().map(|row| rows::get(row, "role").unwrap()).collect()
}

#[tokio::test]
async fn a_changed_role_counts_at_once_renews_the_sessions_and_is_audited() {
    let world = World::set_up().await;
    let owner = join(&world, "owner", Role::Owner).await;
    let member = join(&world, "member", Role::Viewer).await;
    let (changed, other) = (
        world.begin_session(member, None).await.1,
        world.begin_session(owner, None).await.1,
    );
    let scope = scope_of(&world, owner).await;
    let make = Do::Make(Role::Operator);
    assert_eq!(on(&world.store, scope, owner, make, member).await, Change::Done);
    let seat = world.store.membership(member, world.organization).await.unwrap();
    assert_eq!(seat.unwrap().role, Role::Operator);
    assert!(is_to_rotate(&world, &changed).await && !is_to_rotate(&world, &other).await);
    let entry = [
        owner.to_string(),
        "member.role_changed".to_owned(),
        member.to_string(),
        r#"{"address":"192.0.2.7","from":"viewer","to":"operator"}"#.to_owned(),
    ];
    assert_eq!(told(&world, world.organization).await, [entry]);
    // The same again changes nothing and is not told.
    assert_eq!(on(&world.store, scope, owner, make, member).await, Change::Done);
    assert_eq!(told(&world, world.organization).await.len(), 1);
}

#[tokio::test]
async fn whoever_is_removed_or_leaves_is_a_stranger_at_once() {
    let world = World::set_up().await;
    let owner = join(&world, "owner", Role::Owner).await;
    let scope = scope_of(&world, owner).await;
    for (what, action, role) in [
        (Do::Remove, "member.removed", Role::Admin),
        (Do::Leave, "member.left", Role::Viewer),
    ] {
        let member = join(&world, action, role).await;
        let token = world.begin_session(member, None).await.1;
        let by = if matches!(what, Do::Leave) { member } else { owner };
        assert_eq!(on(&world.store, scope, by, what, member).await, Change::Done);
        let seat = world.store.membership(member, world.organization).await.unwrap();
        assert!(seat.is_none() && is_to_rotate(&world, &token).await);
        let entry = told(&world, world.organization).await.pop().unwrap();
        assert_eq!(
            entry[..3],
            [by.to_string(), action.to_owned(), member.to_string()]
        );
        let details = format!(r#"{{"address":"192.0.2.7","role":"{role}"}}"#);
        assert_eq!(entry[3], details);
        assert_eq!(
            on(&world.store, scope, by, what, member).await,
            Change::NoMember,
            "twice"
        );
    }
}

#[tokio::test]
async fn what_a_rule_refuses_leaves_nothing_behind() {
    let world = World::set_up().await;
    let owner = join(&world, "owner", Role::Owner).await;
    let admin = join(&world, "admin", Role::Admin).await;
    let scope = scope_of(&world, owner).await;
    let (rank, last) = (
        Change::Refused(Refusal::Rank),
        Change::Refused(Refusal::LastOwner),
    );
    for (by, what, member, refused) in [
        (admin, Do::Make(Role::Viewer), owner, rank),
        (admin, Do::Remove, owner, rank),
        (admin, Do::Make(Role::Owner), admin, rank),
        (owner, Do::Make(Role::Admin), owner, last),
        (owner, Do::Remove, owner, last),
        (owner, Do::Leave, owner, last),
    ] {
        let done = on(&world.store, scope, by, what, member).await;
        assert_eq!(done, refused, "{what:?}");
    }
    assert_eq!(roles(&world).await, ["admin", "owner"]);
    assert!(told(&world, world.organization).await.is_empty());
}

#[tokio::test]
async fn a_member_of_another_organization_is_none_of_this_one() {
    let world = World::set_up().await;
    let owner = join(&world, "owner", Role::Owner).await;
    let elsewhere = world.add_organization("elsewhere").await;
    let stranger = world.add_user("stranger@example.com").await;
    world.add_member(elsewhere, stranger, "viewer").await;
    let scope = scope_of(&world, owner).await;
    for what in [Do::Make(Role::Admin), Do::Remove] {
        assert_eq!(
            on(&world.store, scope, owner, what, stranger).await,
            Change::NoMember
        );
    }
    // And one from there has no say here.
    let role = Do::Make(Role::Viewer);
    assert_eq!(
        on(&world.store, scope, stranger, role, owner).await,
        Change::Refused(Refusal::Rank)
    );
    assert!(world.store.member(scope, stranger).await.unwrap().is_none());
    let seat = world.store.membership(stranger, elsewhere).await.unwrap();
    assert_eq!(seat.unwrap().role, Role::Viewer);
}

#[tokio::test]
async fn of_two_owners_who_demote_or_remove_each_other_at_once_exactly_one_is_refused() {
    for what in [Do::Make(Role::Admin), Do::Remove, Do::Leave] {
        let world = World::set_up().await;
        let second = world.second_node().await;
        for round in 0..10 {
            let one = join(&world, &format!("one{round}"), Role::Owner).await;
            let two = join(&world, &format!("two{round}"), Role::Owner).await;
            let scope = scope_of(&world, one).await;
            let (of_one, of_two) = match what {
                Do::Leave => (one, two),
                _ => (two, one),
            };
            let done = tokio::join!(
                on(&world.store, scope, one, what, of_one),
                on(&second, scope, two, what, of_two)
            );
            let done = [done.0, done.1];
            let carried_out = done.iter().filter(|done| **done == Change::Done).count();
            let refused = done.iter().filter(|done| matches!(done, Change::Refused(_)));
            assert_eq!((carried_out, refused.count()), (1, 1), "{what:?}: {done:?}");
            let owners = roles(&world).await;
            assert_eq!(owners.iter().filter(|role| *role == "owner").count(), 1);
            world.write(Sql::new("DELETE FROM members")).await;
        }
    }
}

#[tokio::test]
async fn of_twenty_owners_who_all_leave_at_once_one_stays() {
    let world = World::set_up().await;
    let nodes = [world.store.clone(), world.second_node().await];
    let mut owners = Vec::new();
    for number in 0..20 {
        owners.push(join(&world, &format!("owner{number}"), Role::Owner).await);
    }
    let scope = scope_of(&world, owners[0]).await;
    let leaving = owners.iter().enumerate().map(|(number, owner)| {
        let store = &nodes[number % 2];
        on(store, scope, *owner, Do::Leave, *owner)
    });
    let left = futures_util::future::join_all(leaving).await;
    let refused = left
        .iter()
        .filter(|change| **change == Change::Refused(Refusal::LastOwner));
    assert_eq!(refused.count(), 1);
    assert_eq!(roles(&world).await, ["owner"]);
    assert_eq!(told(&world, world.organization).await.len(), 19);
}

#[tokio::test]
async fn the_list_tells_of_each_member_what_the_organization_goes_by() {
    let world = World::set_up().await;
    let owner = join(&world, "zoe", Role::Owner).await;
    let member = join(&world, "ada", Role::Viewer).await;
    world.begin_session(owner, None).await;
    let factor = Sql::new(
        "INSERT INTO second_factors (user_id, id, sealed, last_step, confirmed_at) VALUES ({}, {}, {}, 0, {})",
    );
    let factor = factor.bind(owner.as_bytes()).bind([1; 16]).bind([1; 32]);
    world.write(factor.bind(NOW)).await;
    let scope = scope_of(&world, owner).await;
    let page = world.store.members(scope, None, 10).await.unwrap();
    assert_eq!(page.more_after, None);
    let of = |user, email: &str, role, known| Member {
        user,
        email: email.to_owned(),
        role,
        since: NOW,
        has_second_factor: known,
        seen_at: known.then_some(NOW),
    };
    let (ada, zoe) = (
        of(member, "ada@example.com", Role::Viewer, false),
        of(owner, "zoe@example.com", Role::Owner, true),
    );
    assert_eq!(page.members, [ada.clone(), zoe]);
    assert_eq!(world.store.member(scope, member).await.unwrap(), Some(ada));
    // A browser is remembered for longer than a session.
    let later = NOW.plus_millis(1_000);
    let device = Sql::new("INSERT INTO known_devices (token_digest, user_id, seen_at) VALUES ({}, {}, {})");
    world
        .write(device.bind([2; 16]).bind(owner.as_bytes()).bind(later))
        .await;
    let seen = world.store.member(scope, owner).await.unwrap().unwrap().seen_at;
    assert_eq!(seen, Some(later));
}

#[tokio::test]
async fn a_long_list_comes_in_parts_each_member_once() {
    let world = World::set_up().await;
    let mut all = Vec::new();
    for number in 0..7 {
        all.push(join(&world, &format!("m{number}"), Role::Viewer).await);
    }
    let scope = scope_of(&world, all[0]).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = world.store.members(scope, after, 3).await.unwrap();
        seen.extend(page.members.iter().map(|member| member.user));
        after = page.more_after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
    // Whoever it went by has left meanwhile, or never was a member: from the beginning.
    let stranger = world.add_user("stranger@example.com").await;
    let page = world.store.members(scope, Some(stranger), 3).await.unwrap();
    assert_eq!(page.members[0].user, all[0]);
}

#[tokio::test]
async fn what_somebody_who_is_lowered_or_goes_has_offered_is_void() {
    let world = World::set_up().await;
    let owner = join(&world, "owner", Role::Owner).await;
    let scope = scope_of(&world, owner).await;
    let open = Sql::new("SELECT count(*) AS n FROM invitations");
    for (number, what, left) in [
        (0, Do::Make(Role::Admin), 0),
        (1, Do::Remove, 0),
        (2, Do::Make(Role::Owner), 1),
    ] {
        let role = if left == 0 { Role::Owner } else { Role::Admin };
        let member = join(&world, &format!("member{number}"), role).await;
        let invitation = Sql::new(
            "INSERT INTO invitations (id, organization_id, email, email_key, role, invited_by, expires_at, created_at)
             VALUES ({}, {}, 'guest', 'guest', 'viewer', {}, {}, {})",
        );
        let invitation = invitation.bind([number; 16]).bind(world.organization.as_bytes());
        let invitation = invitation.bind(member.as_bytes()).bind(NOW).bind(NOW);
        world.write(invitation).await;
        assert_eq!(on(&world.store, scope, owner, what, member).await, Change::Done);
        assert_eq!(world.number(open.clone()).await, left, "{what:?}");
        let revoked = told(&world, world.organization).await.pop().unwrap();
        let entry = [
            owner.to_string(),
            "invitation.revoked".to_owned(),
            world.organization.to_string(),
            r#"{"address":"192.0.2.7","email":"guest"}"#.to_owned(),
        ];
        assert_eq!(revoked == entry, left == 0, "{what:?}: {revoked:?}");
    }
}
