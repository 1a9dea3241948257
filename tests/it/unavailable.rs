//! The store goes away: nobody is told that something was accepted which was not, and nothing is lost.

use sendpromptly_tests::bodies::receipt;
use sendpromptly_tests::http::Request;
use sendpromptly_tests::postgres::Cluster;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::TestStore;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

#[tokio::test]
async fn what_was_not_accepted_is_accepted_once_under_the_same_key() {
    let cluster = Cluster::private();
    let store = TestStore::in_cluster(&cluster).await;
    let world = World::start_on(store, &Options::quick(), &[]).await;
    let api = world.api();
    assert_eq!(api.receipt("key-1", &receipt("evt_1")).await.status, 202);
    cluster.stop();
    let answer = api.receipt("key-2", &receipt("evt_2")).await;
    assert_eq!(answer.verdict(), "503 unavailable");
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(!answer.text().contains("postgres"), "{}", answer.text());
    let id = answer.header("x-request-id").unwrap();
    let log = world.server.log();
    assert!(
        log.lines()
            .any(|line| line.contains(id) && line.contains("unavailable")),
        "{log}"
    );

    let ready = Request::new("GET", "/readyz");
    let not_ready = eventually("it is not ready", async || {
        Some(ready.send(api.server).await).filter(|answer| answer.status == 503)
    })
    .await;
    assert_eq!(not_ready.json()["status"], "not ready");
    assert!(!not_ready.json()["waiting_for"].as_array().unwrap().is_empty());
    assert_eq!(
        world.server.get("/healthz").await.status,
        200,
        "it is alive all the same"
    );

    cluster.start();
    let accepted = eventually("the receipt is accepted", async || {
        Some(api.receipt("key-2", &receipt("evt_2")).await).filter(|answer| answer.status == 202)
    })
    .await;
    let again = api.receipt("key-2", &receipt("evt_2")).await;
    assert_eq!((again.status, again.text()), (202, accepted.text()));
    let first = api.receipt("key-1", &receipt("evt_1")).await;
    assert_eq!(first.header("idempotent-replayed"), Some("true"));
    assert_eq!(world.sql().await.rows("events").await, 2);
    eventually("it is ready", async || {
        (ready.send(api.server).await.status == 200).then_some(())
    })
    .await;
}
