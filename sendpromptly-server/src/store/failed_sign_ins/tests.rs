//! What the audit log is told of sign-ins that failed, and where.

use super::*;
use crate::testing::{NOW, World};

fn failed(user: Option<UserId>, email: &str) -> FailedSignIn<'_> {
    FailedSignIn {
        user,
        email: Some(email),
        wrong: "password",
        address: IpAddr::from([192, 0, 2, 7]),
        now: NOW,
    }
}

async fn told(world: &World, organization: OrganizationId) -> Vec<(String, String)> {
    let entries = world.store.chain(organization).entries(0, 1_000).await.unwrap();
    let told = entries.into_iter().filter(|entry| entry.action == "login.failed");
    told.map(|entry| (entry.target, entry.details.unwrap().text))
        .collect()
}

#[tokio::test]
async fn ten_failures_a_minute_are_told_one_by_one_and_the_rest_in_one_entry() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    world.add_member(world.organization, user, "owner").await;
    for _ in 0..25 {
        let failed = failed(Some(user), "ada@example.com");
        world.store.note_failed_sign_in(&failed).await.unwrap();
    }
    assert_eq!(told(&world, world.organization).await.len(), 10);
    // The minute is not over.
    assert!(!world.store.tell_failed_sign_ins(NOW).await.unwrap());
    assert_eq!(told(&world, world.organization).await.len(), 10);

    let later = NOW.plus_minutes(1);
    for _ in 0..2 {
        assert!(!world.store.tell_failed_sign_ins(later).await.unwrap());
    }
    let told = told(&world, world.organization).await;
    assert_eq!(told.len(), 11);
    assert!(told.iter().all(|(target, _)| *target == user.to_string()));
    assert!(told[0].1.contains(r#""address":"192.0.2.7""#) && told[0].1.contains(r#""wrong":"password""#));
    assert!(told[10].1.contains(r#""times":"15""#), "{}", told[10].1);
}

#[tokio::test]
async fn accounts_that_nobody_has_are_told_of_as_one_in_the_chain_of_the_instance() {
    let world = World::set_up().await;
    for number in 0..12 {
        let email = format!("user-{number}@example.com");
        let failed = failed(None, &email);
        world.store.note_failed_sign_in(&failed).await.unwrap();
    }
    world
        .store
        .tell_failed_sign_ins(NOW.plus_minutes(1))
        .await
        .unwrap();
    let told_here = told(&world, INSTANCE).await;
    assert_eq!(told_here.len(), 11);
    assert!(told_here.iter().all(|(target, _)| target == UNKNOWN));
    assert!(told_here[10].1.contains(r#""times":"2""#));
    assert!(told(&world, world.organization).await.is_empty());
}

#[tokio::test]
async fn every_organization_of_a_user_is_told() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    let other = world.add_organization("other").await;
    for organization in [world.organization, other] {
        world.add_member(organization, user, "viewer").await;
    }
    for _ in 0..11 {
        let failed = failed(Some(user), "ada@example.com");
        world.store.note_failed_sign_in(&failed).await.unwrap();
    }
    world
        .store
        .tell_failed_sign_ins(NOW.plus_minutes(1))
        .await
        .unwrap();
    for organization in [world.organization, other] {
        assert_eq!(told(&world, organization).await.len(), 11);
    }
    assert!(told(&world, INSTANCE).await.is_empty());
}
