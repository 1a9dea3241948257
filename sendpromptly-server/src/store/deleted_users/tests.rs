//! A deleted user: nothing of theirs is left, others lose nothing, and an owner always stays.

use sendpromptly_core::audit::Actor;

use super::*;
use crate::account::link::LinkKind;
use crate::store::erasures::{Erased, SECOND_LOOK_AFTER};
use crate::testing::estate::{dump, every_table};
use crate::testing::{NOW, World, operator};
use crate::vault::{Purpose, Vault};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

async fn delete(world: &World, user: UserId) -> UserDeletion {
    world.store.delete_user(user, &operator(), NOW).await.unwrap()
}

/// Gives a user a row of every kind.
async fn fill(world: &World, user: UserId, email: &str) {
    let (id, vault) = (
        user.as_bytes(),
        Vault::open(&world.store, &world.keys()).await.unwrap(),
    );
    let sealed = vault.seal(Purpose::SecondFactor(user), id, b"secret", NOW).await;
    let sealed = sealed.unwrap();
    let bytes = id.to_vec();
    for insert in [
        Sql::new(
            "INSERT INTO sessions (id, token_digest, user_id, complete, address, agent, created_at, seen_at)
             VALUES ({}, {}, {}, 1, '192.0.2.1', 'test', 0, 0)",
        )
        .bind(id)
        .bind(bytes.clone())
        .bind(id),
        Sql::new("INSERT INTO second_factors (user_id, id, sealed, last_step, confirmed_at) VALUES ({}, {}, {}, 0, 0)")
            .bind(id)
            .bind(id)
            .bind(sealed.clone()),
        Sql::new(
            "INSERT INTO second_factor_proposals (session_id, user_id, id, sealed, created_at)
             VALUES ({}, {}, {}, {}, 0)",
        )
        .bind(id)
        .bind(id)
        .bind(id)
        .bind(sealed),
        Sql::new("INSERT INTO recovery_codes (user_id, hash) VALUES ({}, {})").bind(id).bind(bytes),
        Sql::new("INSERT INTO known_devices (token_digest, user_id, seen_at) VALUES ({}, {}, 0)")
            .bind(id)
            .bind(id),
        Sql::new("INSERT INTO failed_sign_ins (account, minute, user_id, failures) VALUES ({}, 1, {}, 1)")
            .bind(id)
            .bind(id),
        Sql::new("INSERT INTO links (id, kind, subject_id, email, expires_at) VALUES ({}, {}, {}, {}, 0)")
            .bind(id)
            .bind(LinkKind::ChangeEmail.as_str())
            .bind(id)
            .bind(email),
        Sql::new(
            "INSERT INTO sign_ups (id, email, email_key, password_hash, organization_name, created_at)
             VALUES ({}, {}, {}, 'hash', 'Other', 0)",
        )
        .bind(id)
        .bind(email)
        .bind(email),
    ] {
        world.write(insert).await;
    }
    world.add_member(world.organization, user, "owner").await;
}

async fn invite(world: &World, by: UserId, email: &str) {
    let (id, link): ([u8; 16], [u8; 16]) = (
        crate::platform::entropy::bytes(),
        crate::platform::entropy::bytes(),
    );
    let invitation = Sql::new(
        "INSERT INTO invitations (id, organization_id, email, email_key, role, invited_by, expires_at, created_at)
         VALUES ({}, {}, {}, {}, 'viewer', {}, 9, 0)",
    );
    let invitation = invitation.bind(id).bind(world.organization.as_bytes());
    world
        .write(invitation.bind(email).bind(email).bind(by.as_bytes()))
        .await;
    let mailed =
        Sql::new("INSERT INTO links (id, kind, subject_id, expires_at) VALUES ({}, 'invitation', {}, 9)");
    world.write(mailed.bind(link).bind(id)).await;
}

/// An entry of the user's own, whose details tell the address.
async fn told(world: &World, user: UserId, action: Action, email: &str) {
    let origin = Origin {
        actor: Actor::User(user),
        address: Some([192, 0, 2, 1].into()),
    };
    let draft = Draft::new(&origin, action, user, &[("email", email)]);
    let drafts = crate::store::audit::drafts_of(world.organization, NOW, vec![draft]);
    world.store.commit_audited(&[], &drafts).await.unwrap();
}

/// Every row of the store that holds one of these texts, by its table.
async fn found(world: &World, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for table in every_table(world).await {
        let text = dump(world, &table).await.join("\n").to_lowercase();
        if marks.iter().any(|mark| text.contains(mark)) {
            found.push(table);
        }
    }
    found
}

#[tokio::test]
async fn a_deleted_user_leaves_nothing_but_an_id_and_others_keep_theirs() {
    let world = World::set_up().await;
    let (ada, bob) = (world.add_user(ADA).await, world.add_user(BOB).await);
    fill(&world, ada, ADA).await;
    fill(&world, bob, BOB).await;
    invite(&world, ada, "guest@example.com").await;
    invite(&world, bob, ADA).await;
    invite(&world, bob, "friend@example.com").await;
    told(&world, ada, Action::UserCreated, "old@example.com").await;
    told(&world, ada, Action::EmailChanged, ADA).await;
    told(&world, bob, Action::UserCreated, BOB).await;
    let (_, incident) = world.failed_event("evt").await;
    let note = Sql::new(
        "INSERT INTO notes (project_id, incident_id, id, author_id, text, created_at) VALUES ({}, {}, {}, {}, 'n', 0)",
    );
    let note = note.bind(world.project.as_bytes()).bind(incident.as_bytes());
    world.write(note.bind([1; 16]).bind(ada.as_bytes())).await;

    assert_eq!(delete(&world, ada).await, UserDeletion::Done);
    let looked_twice = NOW.plus(SECOND_LOOK_AFTER);
    while world.store.erase_details(looked_twice, 2).await.unwrap() != Erased::Nothing {}

    assert_eq!(found(&world, &[ADA, "old@example.com"]).await, [] as [&str; 0]);
    let id = sendpromptly_core::hex::encode(ada.as_bytes());
    assert_eq!(
        found(&world, &[&id]).await,
        ["audit_entries", "notes"],
        "the id, where others' history names them"
    );
    let mut of_others = found(&world, &[BOB, &sendpromptly_core::hex::encode(bob.as_bytes())]).await;
    of_others.retain(|table| table != "data_keys");
    for (table, _) in THEIRS {
        assert!(of_others.iter().any(|of| of == table), "{table} in {of_others:?}");
    }
    let open = Sql::new("SELECT count(*) AS n FROM invitations WHERE email = 'friend@example.com'");
    assert_eq!(world.number(open).await, 1);
    assert_eq!(
        world
            .number(Sql::new("SELECT count(*) AS n FROM invitations"))
            .await,
        1
    );
    let links = Sql::new("SELECT count(*) AS n FROM links WHERE kind = 'invitation'");
    assert_eq!(world.number(links).await, 1);
    let keys = Sql::new("SELECT count(*) AS n FROM data_keys WHERE scope = 'user'");
    assert_eq!(world.number(keys).await, 1, "the other one's");
    assert_eq!(delete(&world, ada).await, UserDeletion::NoUser);
}

#[tokio::test]
async fn each_of_the_users_organizations_and_the_instance_are_told() {
    let world = World::set_up().await;
    let ada = world.add_user(ADA).await;
    let other = world.add_organization("other").await;
    world.add_member(world.organization, ada, "viewer").await;
    world.add_member(other, ada, "operator").await;
    assert_eq!(delete(&world, ada).await, UserDeletion::Done);
    for organization in [world.organization, other, INSTANCE] {
        let entries = world.store.chain(organization).entries(0, 9).await.unwrap();
        let last = entries.last().unwrap();
        assert_eq!(
            (last.action.as_str(), &last.target, last.actor.as_str()),
            ("user.deleted", &ada.to_string(), "cli:ada")
        );
        assert!(!last.details.as_ref().unwrap().text.contains(ADA));
    }
}

#[tokio::test]
async fn the_last_owner_of_an_organization_is_not_deleted() {
    let world = World::set_up().await;
    let (ada, bob) = (world.add_user(ADA).await, world.add_user(BOB).await);
    world.add_member(world.organization, ada, "owner").await;
    world.add_member(world.organization, bob, "admin").await;
    assert_eq!(
        delete(&world, ada).await,
        UserDeletion::LastOwner(vec!["acme".to_owned()])
    );
    assert!(world.store.user(ada).await.unwrap().is_some());
    let promote = Sql::new("UPDATE members SET role = 'owner' WHERE user_id = {}");
    world.write(promote.bind(bob.as_bytes())).await;
    let (one, other) = (world.store.clone(), world.second_node().await);
    let origin = operator();
    let ends = tokio::join!(
        one.delete_user(ada, &origin, NOW),
        other.delete_user(bob, &origin, NOW)
    );
    let ends = [ends.0.unwrap(), ends.1.unwrap()];
    let done = ends.iter().filter(|end| **end == UserDeletion::Done);
    assert_eq!(done.count(), 1, "{ends:?}");
    let owners = Sql::new("SELECT count(*) AS n FROM members WHERE role = 'owner'");
    assert_eq!(world.number(owners).await, 1);
}
