//! That checks cost the same and are answered alike, shown by counting hashes.

use std::net::IpAddr;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use futures_util::FutureExt;

use super::*;
use crate::account::device::DeviceToken;
use crate::store::rows::Sql;
use crate::testing::{NOW, PASSWORD, World};

const EMAIL: &str = "ada@example.com";

async fn checked(passwords: &Passwords, email: &str, password: &str, at: Timestamp) -> Checked {
    let place = Place {
        address: IpAddr::from([192, 0, 2, 7]),
        device: None::<DeviceToken>,
    };
    let password = Zeroizing::new(password.to_owned());
    passwords.check(email, password, &place, at).await.unwrap()
}

fn passwords(world: &World) -> Passwords {
    let guesses = Guesses::new(world.store.clone());
    Passwords::new(world.store.clone(), Hasher::start(), guesses)
}

#[tokio::test]
async fn unknown_wrong_waiting_and_right_take_one_hash_each() {
    let world = World::set_up().await;
    world.add_user(EMAIL).await;
    let passwords = passwords(&world);
    let mut counted = Vec::new();
    for (email, password) in [
        (EMAIL, PASSWORD),
        (EMAIL, "wrong"),
        (EMAIL, ""),
        ("nobody@example.com", PASSWORD),
    ] {
        let before = passwords.hasher.hashes();
        let checked = checked(&passwords, email, password, NOW).await;
        counted.push((
            passwords.hasher.hashes() - before,
            matches!(checked, Checked::Right(..)),
        ));
    }
    assert_eq!(counted, [(1, true), (1, false), (1, false), (1, false)]);
    // Until both must wait, also who gives the right password.
    for email in [EMAIL, "nobody@example.com"] {
        for _ in 0..5 {
            checked(&passwords, email, "wrong", NOW).await;
        }
        let before = passwords.hasher.hashes();
        let checked = checked(&passwords, email, PASSWORD, NOW).await;
        assert_eq!(passwords.hasher.hashes() - before, 1, "{email}");
        let Checked::Refused(refusal) = checked else {
            panic!("{email} need not wait");
        };
        assert_eq!(refusal.wait, Duration::from_secs(15), "{email}");
    }
}

#[tokio::test]
async fn a_check_asks_the_store_nothing_before_its_turn() {
    let world = World::set_up().await;
    world.add_user(EMAIL).await;
    let passwords = passwords(&world);
    let mut held = Vec::new();
    while let Some(turn) = passwords.hasher.turn().now_or_never() {
        held.push(turn.unwrap());
    }
    let mut check = std::pin::pin!(checked(&passwords, EMAIL, "wrong", NOW));
    assert!(check.as_mut().now_or_never().is_none());
    let counted = async || {
        let guesses = Sql::new("SELECT count(*) AS n FROM guesses");
        world.number(guesses).await > 0
    };
    assert!(!counted().await);
    drop(held);
    assert!(matches!(check.await, Checked::Refused(_)));
    assert!(counted().await);
}

#[tokio::test]
async fn a_known_and_an_unknown_address_are_made_to_wait_alike() {
    let world = World::set_up().await;
    world.add_user(EMAIL).await;
    let passwords = passwords(&world);
    let mut waits = [Vec::new(), Vec::new()];
    let mut now = NOW;
    for _ in 0..12 {
        for (email, waits) in [EMAIL, "nobody@example.com"].iter().zip(&mut waits) {
            let Checked::Refused(refusal) = checked(&passwords, email, "wrong", now).await else {
                panic!("a wrong password is right");
            };
            waits.push(refusal.wait);
        }
        now = now.plus(waits[0].last().copied().unwrap_or_default());
    }
    assert_eq!(waits[0], waits[1]);
    assert!(waits[0].last().unwrap().as_secs() >= 900);
}

#[tokio::test]
async fn a_right_password_with_a_weak_hash_gets_a_stronger_one_and_counts_all_the_same() {
    let world = World::set_up().await;
    let user = world.add_user(EMAIL).await;
    let weak = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(8, 1, 1, None).unwrap(),
    );
    let weak = weak
        .hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16])
        .unwrap();
    let mut stored = world.store.user(user).await.unwrap().unwrap();
    world
        .store
        .strengthen_password(&stored, &weak.to_string())
        .await
        .unwrap();

    let passwords = passwords(&world);
    assert!(matches!(
        checked(&passwords, EMAIL, "wrong", NOW).await,
        Checked::Refused(_)
    ));
    assert_eq!(
        world.store.user(user).await.unwrap().unwrap().password_hash,
        weak.to_string()
    );

    assert!(matches!(
        checked(&passwords, EMAIL, PASSWORD, NOW).await,
        Checked::Right(..)
    ));
    stored = world.store.user(user).await.unwrap().unwrap();
    assert!(
        stored
            .password_hash
            .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
    );
    assert!(matches!(
        checked(&passwords, EMAIL, PASSWORD, NOW).await,
        Checked::Right(..)
    ));
}

#[tokio::test]
async fn a_check_that_could_not_be_made_is_no_guess() {
    let world = World::set_up().await;
    let user = world.add_user(EMAIL).await;
    let stored = world.store.user(user).await.unwrap().unwrap();
    world.store.strengthen_password(&stored, "no hash").await.unwrap();
    let passwords = passwords(&world);
    let place = Place {
        address: IpAddr::from([192, 0, 2, 7]),
        device: None,
    };
    for _ in 0..30 {
        let password = Zeroizing::new(PASSWORD.to_owned());
        let checked = passwords.check(EMAIL, password, &place, NOW).await;
        assert!(
            matches!(checked, Err(CheckError::Hash(HashError::Failed))),
            "{checked:?}"
        );
    }
}

#[tokio::test]
async fn a_signed_in_user_cannot_keep_the_hasher_busy() {
    let world = World::set_up().await;
    let user = world.add_user(EMAIL).await;
    let other = world.add_user("bob@example.com").await;
    let passwords = passwords(&world);
    let place = Place {
        address: IpAddr::from([192, 0, 2, 7]),
        device: None::<DeviceToken>,
    };
    let again = async |user| {
        let password = Zeroizing::new(PASSWORD.to_owned());
        let checked = passwords.check_again(user, password, &place, NOW).await;
        match checked.unwrap() {
            Checked::Right(_, right) => passwords.guesses.succeeded(right).await.unwrap(),
            Checked::Refused(refusal) => return Some(refusal.wait),
        }
        None
    };
    let mut refused = None;
    for _ in 0..60 {
        refused = again(user).await;
        if refused.is_some() {
            break;
        }
    }
    assert!(refused.is_some_and(|wait| !wait.is_zero()), "nothing ends it");
    let before = passwords.hasher.hashes();
    again(user).await;
    assert!(passwords.hasher.hashes() - before <= 1);
    assert_eq!(again(other).await, None);
}
