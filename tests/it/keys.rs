//! API keys: one answer for all that are not good, revocation, and what guessing costs.

use std::time::{Duration, Instant};

use sendpromptly_tests::api::{Api, RECEIPT};
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::{Answer, Request};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::postgres::Cluster;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

on_both_stores!(
    every_key_that_is_not_good_gets_one_answer,
    a_revoked_key_is_refused_whoever_goes_on_to_use_it,
    after_a_hundred_failures_an_address_must_wait_but_not_a_good_key,
);

fn request(api: &Api) -> Request {
    api.request(RECEIPT, &unique("key"), &receipt(&unique("evt")))
}

async fn send_as(api: &Api, authorization: &str) -> Answer {
    request(api)
        .with("authorization", authorization)
        .send(api.server)
        .await
}

async fn every_key_that_is_not_good_gets_one_answer(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let revoked = world.cli.create_project(&world.organization, &[]).await;
    let listed = world.cli.run(&["key", "list", "--project", &revoked.id]).await;
    let id = listed.json_lines()[0]["key_id"].as_str().unwrap().to_owned();
    assert_eq!(world.cli.run(&["key", "revoke", &id]).await.json()["key_id"], id);

    let good = api.key.clone();
    let changed = format!("{}{}", &good[..42], if good.ends_with('0') { '1' } else { '0' });
    let unknown = unknown_key(&good);
    let mut answers = vec![
        request(&api).without("authorization").send(api.server).await,
        request(&api)
            .header("authorization", format!("Bearer {good}"))
            .send(api.server)
            .await,
    ];
    for authorization in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        good.clone(),
        format!("Basic {good}"),
        format!("Bearer{good}"),
        format!("Bearer {}", &good[3..]),
        format!("Bearer {good}x"),
        format!("Bearer {good} {good}"),
        format!("Bearer {good},Bearer {good}"),
        format!("Bearer \"{good}\""),
        format!("Bearer {}", good.to_uppercase()),
        format!("Bearer {changed}"),
        format!("Bearer {unknown}"),
        format!("Bearer {}", revoked.api_key),
        format!("Bearer {}", world.project.signing_secret),
        format!("Bearer {}", "x".repeat(8_000)),
        "Bearer \u{e9}".to_owned(),
    ] {
        answers.push(send_as(&api, &authorization).await);
    }
    for answer in &answers {
        assert_eq!(answer.verdict(), "401 unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(
            answer.json()["error"],
            answers[0].json()["error"],
            "one answer for all"
        );
    }
    for right in [format!("bearer {good}"), format!("BEARER  {good}")] {
        assert_eq!(send_as(&api, &right).await.verdict(), "202");
    }
}

/// A key that is well-formed and nobody's.
fn unknown_key(good: &str) -> String {
    let random: String = good[3..37].chars().rev().collect();
    format!("sk_{random}{}", check("sk_", &random))
}

/// Six base62 digits of the CRC-32 (ISO-HDLC) over prefix and random part, most significant first.
fn check(prefix: &str, random: &str) -> String {
    let mut crc = !0_u32;
    for byte in prefix.bytes().chain(random.bytes()) {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    let mut rest = !crc;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(rest % 62) as usize];
        rest /= 62;
    }
    String::from_utf8(digits.to_vec()).unwrap()
}

async fn a_revoked_key_is_refused_whoever_goes_on_to_use_it(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    let created = world
        .cli
        .run(&["key", "create", "--project", &world.project.id])
        .await
        .json();
    let second = Api {
        key: created["api_key"].as_str().unwrap().to_owned(),
        ..world.api()
    };
    assert_eq!(
        request(&second).send(second.server).await.verdict(),
        "202",
        "a new key counts at once"
    );
    let revoked = world
        .cli
        .run(&["key", "revoke", created["key_id"].as_str().unwrap()])
        .await
        .json();
    assert_eq!(revoked["key_id"], created["key_id"]);
    // It is used all the while, so what keeps it alive would be seen.
    let refused = eventually("the key is refused", async || {
        let answer = request(&second).send(second.server).await;
        (answer.status != 202).then_some(answer)
    })
    .await;
    assert_eq!(refused.verdict(), "401 unauthorized");
    assert_eq!(
        request(&api).send(api.server).await.verdict(),
        "202",
        "the other key goes on"
    );
}

async fn after_a_hundred_failures_an_address_must_wait_but_not_a_good_key(kind: StoreKind) {
    let world = World::start(kind).await;
    let api = world.api();
    assert_eq!(request(&api).send(api.server).await.verdict(), "202");
    // A window lasts a minute. It may end on the way, but not twice in so short a time.
    let start = Instant::now();
    let mut failures = 0;
    let refused = loop {
        let key = if failures % 2 == 0 {
            "sk_malformed"
        } else {
            &unknown_key(&api.key)
        };
        // Who says to come from elsewhere is not believed.
        let answer = request(&api)
            .with("authorization", format!("Bearer {key}"))
            .header("x-forwarded-for", format!("192.0.2.{failures}"))
            .send(api.server)
            .await;
        if answer.status != 401 {
            break answer;
        }
        failures += 1;
        assert!(failures <= 200, "never refused");
    };
    assert_eq!(refused.verdict(), "429 rate_limited");
    assert!(failures >= 100, "refused after {failures}");
    assert!(failures == 100 || start.elapsed() > Duration::from_secs(60));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        request(&api).send(api.server).await.verdict(),
        "202",
        "a key in use goes on"
    );
    assert_eq!(world.server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn addresses_behind_a_trusted_proxy_are_told_apart() {
    let options = Options::quick().set("--trusted-proxy", "127.0.0.0/8");
    let world = World::start_with(StoreKind::Sqlite, &options, &[]).await;
    let api = world.api();
    let fail = async |client: &str| {
        let wrong = request(&api).with("authorization", "Bearer sk_malformed");
        wrong
            .header("x-forwarded-for", client)
            .send(api.server)
            .await
            .status
    };
    eventually("an address is refused", async || {
        (fail("192.0.2.1").await == 429).then_some(())
    })
    .await;
    assert_eq!(fail("192.0.2.2").await, 401);
    assert_eq!(
        fail("203.0.113.9, 192.0.2.1").await,
        429,
        "the last hop is the proxy's word"
    );
    assert_eq!(fail("192.0.2.1, 203.0.113.9").await, 401);
}

#[tokio::test]
async fn a_look_up_that_failed_is_no_wrong_key() {
    let cluster = Cluster::private();
    let store = TestStore::in_cluster(&cluster).await;
    let world = World::start_on(store, &Options::quick(), &[]).await;
    let api = world.api();
    cluster.stop();
    let answer = request(&api).send(api.server).await;
    assert_eq!(answer.verdict(), "503 unavailable");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
    let malformed = send_as(&api, "Bearer sk_malformed").await;
    assert_eq!(malformed.verdict(), "401 unauthorized", "this needs no look-up");
    cluster.start();
    eventually("the key is good again", async || {
        (request(&api).send(api.server).await.status == 202).then_some(())
    })
    .await;
}
