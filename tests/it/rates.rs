//! How many requests a project may send.

use sendpromptly_tests::api::{Api, RECEIPT};
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

async fn verdict(api: &Api) -> String {
    api.receipt(&unique("key"), &receipt(&unique("evt")))
        .await
        .verdict()
}

#[tokio::test]
async fn a_project_over_its_rate_waits_and_others_do_not() {
    let options = Options::quick().set("--rate-limit", "1");
    let world = World::start_with(StoreKind::Sqlite, &options, &[]).await;
    let api = world.api();
    let other = world.cli.create_project(&world.organization, &[]).await;
    let other = Api {
        key: other.api_key,
        ..world.api()
    };
    for _ in 0..2 {
        assert_eq!(verdict(&api).await, "202", "bursts may be twice the rate");
    }
    let refused = eventually("one is too many", async || {
        Some(api.receipt("key", &receipt("evt")).await).filter(|answer| answer.status != 202)
    })
    .await;
    assert_eq!(refused.verdict(), "429 rate_limited");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(verdict(&other).await, "202", "another project is not touched");
    eventually("it may go on", async || {
        (verdict(&api).await == "202").then_some(())
    })
    .await;
}

#[tokio::test]
async fn all_keys_of_a_project_and_both_endpoints_share_its_rate() {
    let options = Options::quick().set("--rate-limit", "1");
    let world = World::start_with(StoreKind::Sqlite, &options, &[]).await;
    let create = ["key", "create", "--project", &world.project.id];
    let second = world.cli.run(&create).await.json();
    let second = Api {
        key: second["api_key"].as_str().unwrap().to_owned(),
        ..world.api()
    };
    let bad_result = async |api: &Api| api.result("", &receipt("evt")).await.status == 429;
    eventually("the first key is over the rate", async || {
        bad_result(&world.api()).await.then_some(())
    })
    .await;
    // It may be let through once a second. If the second key had a rate of its own it would be let through twice.
    let mut let_through = 0;
    for _ in 0..2 {
        let_through += u32::from(!bad_result(&second).await);
        eventually("over the rate again", async || {
            bad_result(&world.api()).await.then_some(())
        })
        .await;
    }
    assert!(let_through < 2, "the second key has a rate of its own");
}

#[tokio::test]
async fn a_rate_of_zero_is_no_limit() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for _ in 0..300 {
        let answer = api.request(RECEIPT, "", &receipt("evt")).send(api.server).await;
        assert_eq!(answer.verdict(), "400 invalid_idempotency_key");
    }
}
