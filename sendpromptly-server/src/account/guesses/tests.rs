//! Guesses as strangers and owners make them, at one node and at two.

use sendpromptly_core::throttle::Guessed::{Code, Password};

use super::*;
use crate::store::guesses::old_guesses;
use crate::store::known_devices;
use crate::testing::{NOW, World};

const OWNER: DeviceToken = DeviceToken::new([7; 32]);

fn from(last: u8, device: Option<DeviceToken>) -> Place {
    Place {
        address: IpAddr::from([192, 0, 2, last]),
        device,
    }
}

/// Fails until nothing may be tried any more; gives how often.
async fn fail_from(guesses: &Guesses, guessed: Guessed, account: &Account, place: &Place) -> u32 {
    for count in 0..1_000 {
        match guesses.may_try(guessed, account, place, NOW).await {
            Ok(tried) => _ = tried.failed(),
            Err(GuessError::Wait(_)) => return count,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("nothing ends it");
}

async fn make_known(world: &World, user: UserId, old: Option<&DeviceToken>, new: &DeviceToken) {
    let old = old.map(DeviceToken::digest);
    let writes = known_devices::remember(user, old.as_ref(), &new.digest(), NOW);
    world.store.commit_together(writes).await.unwrap();
}

#[tokio::test]
async fn strangers_cannot_make_a_known_browser_wait() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    make_known(&world, user, None, &OWNER).await;
    let (guesses, account) = (Guesses::new(world.store.clone()), Account::User(user));
    // From everywhere, the owner's own network too, and with tokens that nobody gave out.
    for last in 0..20 {
        let made_up = Some(DeviceToken::new([last; 32])).filter(|token| *token != OWNER);
        fail_from(&guesses, Password, &account, &from(last, made_up)).await;
    }
    assert!(matches!(
        guesses.may_try(Password, &account, &from(200, None), NOW).await,
        Err(GuessError::Wait(_))
    ));
    let tried = guesses
        .may_try(Password, &account, &from(3, Some(OWNER)), NOW)
        .await;
    guesses.succeeded(tried.unwrap()).await.unwrap();
    // It has its own budget, which ends as well.
    assert_eq!(
        fail_from(&guesses, Password, &account, &from(3, Some(OWNER))).await,
        10
    );
}

#[tokio::test]
async fn a_browser_is_known_for_its_own_users_only_and_by_its_newest_token() {
    let world = World::set_up().await;
    let ada = world.add_user("ada@example.com").await;
    let bob = world.add_user("bob@example.com").await;
    let newer = DeviceToken::new([8; 32]);
    make_known(&world, ada, None, &OWNER).await;
    let known = async |user, token: &DeviceToken| {
        let known = world.store.is_known_device(user, &token.digest(), NOW).await;
        known.unwrap()
    };
    assert!(known(ada, &OWNER).await && !known(bob, &OWNER).await);
    // Bob signs in there too: the browser gets another token, for both.
    make_known(&world, bob, Some(&OWNER), &newer).await;
    assert!(known(ada, &newer).await && known(bob, &newer).await);
    assert!(!known(ada, &OWNER).await && !known(bob, &OWNER).await);
    let later = NOW.plus(known_devices::KNOWN_FOR);
    assert!(
        !world
            .store
            .is_known_device(ada, &newer.digest(), later)
            .await
            .unwrap()
    );
    assert_eq!(world.drop_old(known_devices::old_devices(later)).await, 2);
}

#[tokio::test]
async fn a_user_has_twenty_known_browsers_at_most() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    for number in 0..25 {
        let token = DeviceToken::new([number; 32]);
        let at = NOW.plus_millis(i64::from(number));
        let writes = known_devices::remember(user, None, &token.digest(), at);
        world.store.commit_together(writes).await.unwrap();
    }
    let known = async |number| {
        let token = DeviceToken::new([number; 32]);
        world
            .store
            .is_known_device(user, &token.digest(), NOW)
            .await
            .unwrap()
    };
    assert!(known(24).await && known(5).await && !known(4).await);
}

#[tokio::test]
async fn guesses_at_once_get_no_further_than_guesses_one_after_another() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    let nodes = [
        Guesses::new(world.store.clone()),
        Guesses::new(world.second_node().await),
    ];
    let tries = (0..40).map(|number: usize| {
        let guesses = nodes[number % 2].clone();
        async move {
            guesses
                .may_try(Code, &Account::User(user), &from(7, None), NOW)
                .await
                .is_ok()
        }
    });
    let let_through = futures_util::future::join_all(tries).await;
    assert_eq!(let_through.iter().filter(|through| **through).count(), 5);
}

#[tokio::test]
async fn codes_are_counted_per_account_and_a_right_password_does_not_change_that() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    let (guesses, account) = (Guesses::new(world.store.clone()), Account::User(user));
    let mut let_through = 0;
    for last in 0..10 {
        let_through += fail_from(&guesses, Code, &account, &from(last, None)).await;
        let tried = guesses.may_try(Password, &account, &from(last, None), NOW).await;
        guesses.succeeded(tried.unwrap()).await.unwrap();
    }
    assert_eq!(let_through, 10);
}

#[tokio::test]
async fn signing_in_to_an_account_makes_no_room_for_guesses_at_others() {
    let world = World::set_up().await;
    let own = Account::User(world.add_user("mallory@example.com").await);
    let guesses = Guesses::new(world.store.clone());
    let place = from(7, None);
    let mut tried = 0;
    'guessing: loop {
        for number in 0..4 {
            let other = Account::unknown(&format!("user-{tried}-{number}@example.com"));
            match guesses.may_try(Password, &other, &place, NOW).await {
                Ok(wrong) => _ = wrong.failed(),
                Err(_) => break 'guessing,
            }
            tried += 1;
        }
        let right = guesses.may_try(Password, &own, &place, NOW).await.unwrap();
        guesses.succeeded(right).await.unwrap();
        assert!(tried < 1_000, "nothing ends it");
    }
    assert_eq!(tried, 50);
}

#[tokio::test]
async fn a_success_wipes_out_what_its_own_user_has_mistyped() {
    let world = World::set_up().await;
    let account = Account::User(world.add_user("ada@example.com").await);
    let (guesses, place) = (Guesses::new(world.store.clone()), from(7, None));
    for _ in 0..6 {
        for _ in 0..4 {
            let _ = guesses
                .may_try(Password, &account, &place, NOW)
                .await
                .unwrap()
                .failed();
        }
        let right = guesses.may_try(Password, &account, &place, NOW).await;
        let Ok(right) = right else {
            // Four wrong ones each time still count against the account as a whole.
            return;
        };
        guesses.succeeded(right).await.unwrap();
    }
    panic!("the account's own budget never ends");
}

#[tokio::test]
async fn budgets_are_dropped_when_nothing_counts_any_more() {
    let world = World::set_up().await;
    let account = Account::unknown("nobody@example.com");
    let guesses = Guesses::new(world.store.clone());
    let _ = guesses
        .may_try(Password, &account, &from(7, None), NOW)
        .await
        .unwrap()
        .failed();
    assert_eq!(world.drop_old(old_guesses(NOW)).await, 0);
    let later = NOW.plus(sendpromptly_core::throttle::FORGIVEN_AFTER);
    assert_eq!(world.drop_old(old_guesses(later)).await, 3);
}

#[tokio::test]
async fn right_guesses_at_once_for_many_accounts_from_one_network_are_never_in_each_others_way() {
    let world = World::set_up().await;
    let nodes = [
        Guesses::new(world.store.clone()),
        Guesses::new(world.second_node().await),
    ];
    let tries = (0..40).map(|number: usize| {
        let guesses = nodes[number % 2].clone();
        async move {
            let account = Account::unknown(&format!("user-{}@example.com", number % 10));
            let tried = guesses.may_try(Password, &account, &from(7, None), NOW).await?;
            guesses.succeeded(tried).await?;
            Ok::<_, GuessError>(())
        }
    });
    let done = futures_util::future::join_all(tries).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    // Nothing is left counted.
    let account = Account::unknown("user-1@example.com");
    assert_eq!(fail_from(&nodes[0], Password, &account, &from(7, None)).await, 5);
}

#[tokio::test]
async fn browsers_made_known_again_and_again_get_no_more_guesses_at_codes() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    let (guesses, account) = (Guesses::new(world.store.clone()), Account::User(user));
    let mut let_through = 0;
    for number in 0..10 {
        // As after a reset by a mailed link, which forgets the others.
        let device = DeviceToken::new([number; 32]);
        make_known(&world, user, None, &device).await;
        let_through += fail_from(&guesses, Code, &account, &from(7, Some(device))).await;
    }
    assert_eq!(let_through, 10);
    // It is not what strangers count in, so none of them used it up, and they go on to have their own.
    assert_eq!(fail_from(&guesses, Code, &account, &from(7, None)).await, 5);
}
