//! Whose key is taken, and what guessing costs.

use futures_util::FutureExt;
use futures_util::future::join_all;
use hyper::header::HeaderValue;
use sendpromptly_core::dedupe::Endpoint;
use sendpromptly_core::id::KeyId;

use super::*;
use crate::api::{App, Readiness};
use crate::ingest::Ingest;
use crate::platform::entropy;
use crate::store::api_keys::NewKey;
use crate::store::rows::Sql;
use crate::testing::{NOW, World, operator};
use crate::vault::Vault;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

/// A store, and who reads it.
struct Fixture {
    world: World,
    authenticator: Authenticator,
}

impl Fixture {
    async fn set_up() -> Self {
        let world = World::set_up().await;
        let authenticator = Authenticator::new(world.store.clone());
        Self { world, authenticator }
    }

    async fn key(&self) -> ApiKey {
        self.key_and_id().await.0
    }

    async fn key_and_id(&self) -> (ApiKey, KeyId) {
        let key = ApiKey::generate(entropy::bytes());
        let new = NewKey {
            id: KeyId::new(NOW, entropy::for_id()),
            project: self.world.project,
            hash: key.hash(),
            hint: key.hint().to_owned(),
            created_at: NOW,
        };
        assert!(
            self.world
                .store
                .create_key(self.world.scope(), &new, &operator())
                .await
                .unwrap()
        );
        (key, new.id)
    }

    /// Asks with all of these at once; gives what becomes of each.
    async fn ask(&self, keys: &[ApiKey]) -> Vec<&'static str> {
        let asked = keys.iter().map(async |key| {
            let headers = bearing(&[&format!("Bearer {}", key.expose())]);
            match self.authenticator.authenticate(&headers, CLIENT).await {
                Ok(_) => "good",
                Err(error) => error.status_and_code().1,
            }
        });
        join_all(asked).await
    }
}

fn bearing(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn unknown_keys(count: usize) -> Vec<ApiKey> {
    (0..count).map(|_| ApiKey::generate(entropy::bytes())).collect()
}

fn count(outcomes: &[&str], outcome: &str) -> usize {
    outcomes.iter().filter(|known| **known == outcome).count()
}

#[test]
fn one_bearer_header_holds_the_key() {
    let token = |values: &[&str]| bearer(&bearing(values)).map(str::to_owned);
    assert_eq!(token(&["Bearer sk_a"]).as_deref(), Some("sk_a"));
    assert_eq!(token(&["bearer  sk_a"]).as_deref(), Some("sk_a"));
    for wrong in [
        &[][..],
        &["sk_a"],
        &["Basic sk_a"],
        &["Bearer"],
        &["Bearer sk_a", "Bearer sk_a"],
    ] {
        assert_eq!(token(wrong), None, "{wrong:?}");
    }
}

#[tokio::test]
async fn a_look_up_of_a_key_counts_for_less_than_five_seconds() {
    let authenticator = Fixture::set_up().await.authenticator;
    let counts = authenticator.holders.policy().time_to_live();
    assert!(counts.is_some_and(|counts| counts < Duration::from_secs(5)));
}

#[tokio::test]
async fn a_burst_with_a_key_that_was_not_seen_before_is_let_in() {
    let fixture = Fixture::set_up().await;
    let keys = vec![fixture.key().await; 1_000];
    // No look-up ends before every request is there.
    let places = fixture.authenticator.strangers.acquire_many(STRANGERS as u32);
    let places = places.await.unwrap();
    let mut asked = std::pin::pin!(fixture.ask(&keys));
    assert!(futures_util::poll!(&mut asked).is_pending());
    drop(places);
    assert_eq!(count(&asked.await, "good"), 1_000);
}

#[tokio::test]
async fn many_keys_from_one_address_that_were_not_seen_before_are_let_in() {
    let fixture = Fixture::set_up().await;
    let mut keys = Vec::new();
    for _ in 0..150 {
        keys.push(fixture.key().await);
    }
    let outcomes = fixture.ask(&keys).await;
    assert_eq!(count(&outcomes, "good"), 150);
}

#[tokio::test]
async fn guesses_at_once_are_counted_like_guesses_one_after_another() {
    let fixture = Fixture::set_up().await;
    let outcomes = fixture.ask(&unknown_keys(300)).await;
    assert_eq!(count(&outcomes, "unauthorized"), 100);
    assert_eq!(count(&outcomes, "rate_limited"), 200);
    let fixture = Fixture::set_up().await;
    let one = unknown_keys(1).remove(0);
    let outcomes = fixture.ask(&vec![one; 300]).await;
    assert_eq!(
        count(&outcomes, "unauthorized"),
        100,
        "one unknown key, again and again"
    );
}

#[tokio::test]
async fn a_key_in_use_goes_on_whatever_others_guess() {
    let fixture = Fixture::set_up().await;
    let keys = [fixture.key().await];
    assert_eq!(fixture.ask(&keys).await, ["good"]);
    fixture.ask(&unknown_keys(200)).await;
    fixture.authenticator.holders.invalidate_all();
    assert_eq!(fixture.ask(&keys).await, ["good"]);
}

#[tokio::test]
async fn a_look_up_that_failed_is_no_failure_of_the_key() {
    let fixture = Fixture::set_up().await;
    let key = fixture.key().await;
    let rename = |from: &str, to: &str| Sql::new(format!("ALTER TABLE {from} RENAME TO {to}"));
    fixture.world.write(rename("api_keys", "gone")).await;
    let keys: Vec<_> = unknown_keys(150).into_iter().chain([key.clone()]).collect();
    let outcomes = fixture.ask(&keys).await;
    assert_eq!(count(&outcomes, "unavailable"), 151);
    fixture.world.write(rename("gone", "api_keys")).await;
    assert_eq!(fixture.ask(&[key]).await, ["good"]);
}

#[tokio::test]
async fn a_key_that_is_revoked_while_the_body_comes_slowly_is_refused() {
    let fixture = Fixture::set_up().await;
    let store = &fixture.world.store;
    let (scope, project) = (fixture.world.scope(), fixture.world.project);
    let (key, id) = fixture.key_and_id().await;
    let (ingest, _committers) = Ingest::start(store, 1, &Default::default());
    let readiness = Readiness::new(|| async { Vec::new() }.boxed());
    let vault = Vault::open(store, &fixture.world.keys()).await.unwrap();
    let app = App::new(store.clone(), vault, ingest, 0, readiness, None);
    let mut headers = bearing(&[&format!("Bearer {}", key.expose())]);
    for (name, value) in [
        ("accept", "*/*"),
        ("content-type", "application/json"),
        ("idempotency-key", "k1"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let slow_body = async {
        let revoked = store.revoke_key(scope, project, id, &operator(), NOW).await;
        assert!(revoked.unwrap().is_some());
        app.authenticator.holders.invalidate_all(); // as four seconds do
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(4)).await;
        tokio::time::resume();
        Ok("{}".into())
    };
    let answer = app.ingest(Endpoint::Result, &headers, CLIENT, slow_body).await;
    assert_eq!(answer.err(), Some(ApiError::Unauthorized));
}
