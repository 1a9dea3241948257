//! That codes are taken once, by their own user, and that guesses at them are slowed down.

use sendpromptly_core::audit::Actor;
use sendpromptly_core::throttle::{Budget, Share};

use super::*;
use crate::store::sessions::SessionToken;
use crate::testing::{NOW, World};

/// So long after [`NOW`] the next code comes.
const STEP_MS: i64 = 30_000;

/// A user with everything that takes codes.
struct Scene {
    world: World,
    second_factors: SecondFactors,
    user: UserId,
    session: SessionId,
    token: SessionToken,
    place: Place,
    origin: Origin,
}

impl Scene {
    async fn set_up() -> Self {
        let world = World::set_up().await;
        let second_factors = node(&world, world.store.clone()).await;
        let user = world.add_user("ada@example.com").await;
        world.add_member(world.organization, user, "owner").await;
        let (session, token) = world.begin_session(user, None).await;
        Self {
            world,
            second_factors,
            user,
            session,
            token,
            place: Place {
                address: [192, 0, 2, 1].into(),
                device: None,
            },
            origin: Origin {
                actor: Actor::User(user),
                address: None,
            },
        }
    }

    /// One whose user has a second factor since [`NOW`].
    async fn with_factor() -> (Self, TotpSecret, Vec<RecoveryCode>) {
        let scene = Self::set_up().await;
        scene.propose().await.unwrap();
        let secret = scene.proposed().await.unwrap();
        let codes = scene.confirm(&code_at(&secret, NOW)).await.unwrap();
        (scene, secret, codes)
    }

    async fn propose(&self) -> Result<(), VaultError> {
        self.second_factors.propose(self.user, self.session, NOW).await
    }

    async fn proposed(&self) -> Option<TotpSecret> {
        self.second_factors
            .proposed(self.user, self.session, NOW)
            .await
            .unwrap()
    }

    fn typed(&self, code: &str, now: Timestamp) -> Typed<'_> {
        Typed {
            user: self.user,
            code: Zeroizing::new(code.to_owned()),
            place: &self.place,
            origin: &self.origin,
            now,
        }
    }

    async fn confirm(&self, code: &str) -> Result<Vec<RecoveryCode>, CodeError> {
        let changer = Changer {
            user: self.user,
            session: self.session,
            token: &self.token,
            origin: &self.origin,
            now: NOW,
        };
        self.second_factors
            .confirm(&self.typed(code, NOW), &changer)
            .await
    }

    async fn take(&self, code: &str, now: Timestamp) -> Result<Taken, CodeError> {
        self.take_on(&self.second_factors, code, now).await
    }

    async fn take_on(&self, node: &SecondFactors, code: &str, now: Timestamp) -> Result<Taken, CodeError> {
        node.take(&self.typed(code, now), Vec::new(), Vec::new()).await
    }
}

async fn node(world: &World, store: Store) -> SecondFactors {
    let vault = Vault::open(&store, &world.keys()).await.unwrap();
    SecondFactors::new(store.clone(), vault, Guesses::new(store))
}

/// The code that the user's app shows at this time.
fn code_at(secret: &TotpSecret, at: Timestamp) -> String {
    let letters = secret.grouped().replace(' ', "");
    let secret = totp_rs::Secret::try_from_base32(letters).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate(u64::try_from(at.as_secs()).unwrap()).to_string()
}

fn later(steps: i64) -> Timestamp {
    NOW.plus_millis(steps * STEP_MS)
}

#[tokio::test]
async fn a_set_up_is_confirmed_by_a_code_of_its_own_secret() {
    let scene = Scene::set_up().await;
    assert!(matches!(
        scene.confirm("123456").await,
        Err(CodeError::NotProposed)
    ));
    scene.propose().await.unwrap();
    let first = scene.proposed().await.unwrap();
    scene.propose().await.unwrap();
    let second = scene.proposed().await.unwrap();
    let refused = scene.confirm(&code_at(&first, NOW)).await;
    assert!(matches!(refused, Err(CodeError::Wrong(_))), "{refused:?}");
    let codes = scene.confirm(&code_at(&second, NOW)).await.unwrap();
    assert_eq!(codes.len(), 10);
    assert!(scene.proposed().await.is_none());
}

#[tokio::test]
async fn a_code_is_taken_once_and_the_next_one_after_it() {
    let (scene, secret, _) = Scene::with_factor().await;
    let used = scene.take(&code_at(&secret, NOW), NOW).await;
    assert!(matches!(used, Err(CodeError::Wrong(_))), "the code of the set-up");
    let next = code_at(&secret, later(1));
    assert_eq!(scene.take(&next, NOW).await.unwrap(), Taken::Code);
    assert!(matches!(
        scene.take(&next, later(1)).await,
        Err(CodeError::Wrong(_))
    ));
    let after = code_at(&secret, later(2));
    assert_eq!(scene.take(&after, later(2)).await.unwrap(), Taken::Code);
}

#[tokio::test]
async fn of_many_tries_with_one_code_at_two_nodes_one_takes_it() {
    for recovers in [false, true] {
        let (scene, secret, codes) = Scene::with_factor().await;
        let other = node(&scene.world, scene.world.second_node().await).await;
        let nodes = [&scene.second_factors, &other];
        let code = if recovers {
            codes[0].expose()
        } else {
            Zeroizing::new(code_at(&secret, later(1)))
        };
        let tries = (0..100).map(|number| scene.take_on(nodes[number % 2], &code, later(1)));
        let taken = futures_util::future::join_all(tries).await;
        let faults = taken
            .iter()
            .filter(|taken| matches!(taken, Err(CodeError::Store(_) | CodeError::Vault(_))));
        assert_eq!(faults.count(), 0, "{taken:?}");
        assert_eq!(taken.iter().filter(|taken| taken.is_ok()).count(), 1, "{taken:?}");
    }
}

#[tokio::test]
async fn a_recovery_code_is_taken_once_however_it_is_typed() {
    let (scene, _, codes) = Scene::with_factor().await;
    let typed = codes[3].expose().to_uppercase().replace('-', " ");
    let taken = scene.take(&typed, NOW).await.unwrap();
    assert_eq!(taken, Taken::Recovery { left: 9 });
    let again = scene.take(&codes[3].expose(), NOW).await;
    assert!(matches!(again, Err(CodeError::Wrong(_))));
}

#[tokio::test]
async fn another_users_code_is_not_taken() {
    let (scene, ..) = Scene::with_factor().await;
    let bob = scene.world.add_user("bob@example.com").await;
    let (factors, session) = (&scene.second_factors, [5; 16]);
    factors.propose(bob, session, NOW).await.unwrap();
    let secret = factors.proposed(bob, session, NOW).await.unwrap().unwrap();
    let taken = scene.take(&code_at(&secret, later(1)), later(1)).await;
    assert!(matches!(taken, Err(CodeError::Wrong(_))));
}

#[tokio::test]
async fn guesses_are_slowed_down_for_right_codes_too() {
    let (scene, secret, codes) = Scene::with_factor().await;
    let budget = Budget::of(Guessed::Code, Share::AccountFromNetwork);
    let mut failures = None;
    while let Ok(counted) = budget.count(failures, NOW) {
        failures = Some(counted);
        assert!(matches!(
            scene.take("not a code", NOW).await,
            Err(CodeError::Wrong(_))
        ));
    }
    let right = code_at(&secret, later(1));
    for code in [right.as_str(), codes[0].expose().as_str()] {
        let refused = scene.take(code, NOW).await;
        assert!(matches!(refused, Err(CodeError::Wait(wait)) if !wait.is_zero()));
    }
    let waited = budget.wait(failures, NOW);
    let then = NOW.plus(waited);
    assert!(
        scene
            .take(&code_at(&secret, then.plus_millis(STEP_MS)), then)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn what_lies_in_the_store_gives_no_code_away() {
    let (scene, secret, codes) = Scene::with_factor().await;
    let factor = scene
        .world
        .store
        .second_factor(scene.user)
        .await
        .unwrap()
        .unwrap();
    let holds = |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).any(|window| window == needle);
    assert!(!holds(&factor.sealed, secret.as_bytes()));
    let shown = format!("{secret:?} {codes:?} {:?}", scene.typed("123456", NOW));
    assert!(!shown.contains("123456") && !shown.contains(codes[0].expose().as_str()));
}
