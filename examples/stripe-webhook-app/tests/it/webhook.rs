//! What the webhook believes, and what it stores.

use stripe_webhook_app::clock::unix_millis;

use crate::world::{CHECKOUT, INVOICE, World, signature, signature_of};

const JOBS: &str = "SELECT count(*) FROM jobs";
const WAITING: &str = "SELECT count(*) FROM outbox";

#[tokio::test]
async fn a_payment_is_stored_with_its_receipt_before_it_is_answered() {
    let world = World::start().await;
    assert_eq!(world.deliver(CHECKOUT, &signature(CHECKOUT)).await, 200);
    assert_eq!(world.number(JOBS).await, 1);
    assert_eq!(world.number(WAITING).await, 1);
}

#[tokio::test]
async fn a_payment_that_is_delivered_twice_is_worked_on_once() {
    let world = World::start().await;
    for _ in 0..2 {
        assert_eq!(world.deliver(INVOICE, &signature(INVOICE)).await, 200);
        while world.jobs.work_once().await.unwrap() {}
    }
    assert_eq!(world.number(JOBS).await, 1);
    assert_eq!(world.number(WAITING).await, 2);
    assert_eq!(world.number("SELECT credits FROM accounts").await, 500);
}

#[tokio::test]
async fn a_webhook_that_is_not_signed_leaves_no_trace() {
    let world = World::start().await;
    let right = signature(CHECKOUT);
    let stale = signature_of(CHECKOUT, unix_millis() - 400_000);
    for (body, signature) in [
        (INVOICE, right.as_str()),
        (CHECKOUT, ""),
        (CHECKOUT, "t=1,v1=00"),
        (CHECKOUT, stale.as_str()),
    ] {
        assert_eq!(world.deliver(body, signature).await, 400, "{signature}");
    }
    assert_eq!(world.number(JOBS).await, 0);
    assert_eq!(world.number(WAITING).await, 0);
}

#[tokio::test]
async fn an_event_that_buys_nothing_is_answered_and_forgotten() {
    let world = World::start().await;
    let body = r#"{"id":"evt_1","object":"event","type":"customer.created"}"#;
    assert_eq!(world.deliver(body, &signature(body)).await, 200);
    assert_eq!(world.number(JOBS).await, 0);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_stored_is_not_answered_with_success() {
    let world = World::start().await;
    sqlx::query("DROP TABLE outbox")
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(world.deliver(CHECKOUT, &signature(CHECKOUT)).await, 500);
    assert_eq!(world.number(JOBS).await, 0);
}
