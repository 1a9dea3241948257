//! What a thief has begun in a session of a user comes to nothing when the user ends it.

use super::*;
use crate::account::link::{Link, LinkKind};
use crate::store::links::{self, NewLink};
use crate::store::own_password::PasswordChange;
use crate::store::own_sessions::Which;

/// A link to a new address, asked for by a thief.
async fn ask_for_address(user: &User<'_>) -> Link {
    let link = Link {
        kind: LinkKind::ChangeEmail,
        id: entropy::ordered_id(NOW),
        expires_at: NOW.plus(LinkKind::ChangeEmail.life()),
    };
    let new = NewLink {
        link,
        subject: *user.id.as_bytes(),
        email: Some("mallory@example.com".to_owned()),
    };
    user.world.write(links::insert(&new)).await;
    assert!(is_good(user.world, &link).await);
    link
}

async fn is_good(world: &World, link: &Link) -> bool {
    world.store.link_subject(link).await.unwrap().is_some()
}

#[tokio::test]
async fn a_change_of_the_factor_voids_links_to_a_new_address() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    let link = ask_for_address(&user).await;
    let user = user.with_factor().await;
    assert!(!is_good(&world, &link).await);
    let link = ask_for_address(&user).await;
    assert_eq!(user.turn_off().await, TurnedOff::Done);
    assert!(!is_good(&world, &link).await);
}

#[tokio::test]
async fn the_end_of_other_sessions_voids_links_to_a_new_address() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    let (thiefs, _) = world.begin_session(user.id, Some(NOW)).await;
    for which in [Which::One(thiefs), Which::AllBut(user.session)] {
        let link = ask_for_address(&user).await;
        let ended = world.store.end_sessions(user.id, which, &user.origin, NOW);
        ended.await.unwrap();
        assert!(!is_good(&world, &link).await, "{which:?}");
    }
}

#[tokio::test]
async fn a_change_of_the_password_drops_proposals() {
    let world = World::set_up().await;
    let user = User::set_up(&world).await;
    user.propose(SECRET, NOW).await;
    let stored = world.store.user(user.id).await.unwrap().unwrap();
    let token = SessionToken::generate();
    let change = PasswordChange {
        user: &stored,
        hash: "another",
        session: user.session,
        token: &token,
        device: None,
        origin: &user.origin,
        now: NOW,
    };
    assert!(world.store.change_password(&change, &[]).await.unwrap());
    assert!(!user.confirm(SECRET).await);
}
