//! What the sender sends, and how often. Time is an argument here, so nothing waits.

use stripe_webhook_app::clock::unix_millis;
use stripe_webhook_app::sender::Sender;
use tokio::net::TcpListener;

use crate::ingest::Ingest;
use crate::world::{CHECKOUT, CHECKOUT_ID, World, signature};

/// Longer than any pause.
const LATER: i64 = 3_600_000;

/// A world in which one payment was accepted and worked on.
async fn paid(body: &str) -> World {
    let world = World::start().await;
    assert_eq!(world.deliver(body, &signature(body)).await, 200);
    while world.jobs.work_once().await.unwrap() {}
    world
}

/// Sends until nothing is due, as if every pause were over.
async fn send_all(sender: &Sender) {
    let mut now = unix_millis();
    while sender.send_due(now).await.unwrap() > 0 {
        now += LATER;
    }
}

#[tokio::test]
async fn a_receipt_goes_first_and_its_result_after_it() {
    let world = paid(CHECKOUT).await;
    let ingest = Ingest::start(&[]).await;
    send_all(&world.sender_to(ingest.address)).await;
    let [receipt, result] = ingest.requests().try_into().unwrap();
    assert_eq!(receipt.path, "/api/v1/receipt");
    assert_eq!(receipt.authorization, "Bearer sk_test");
    assert_eq!(receipt.json()["provider_event_id"], CHECKOUT_ID);
    assert_eq!(receipt.json()["effect_type"], "access_unlock");
    assert_eq!(receipt.json()["internal_reference"], "account_42");
    assert_eq!(receipt.json()["occurred_at"], "2026-01-31T09:30:00Z");
    assert_eq!(result.path, "/api/v1/result");
    assert_eq!(result.json()["provider_event_id"], CHECKOUT_ID);
    assert_eq!(result.json()["status"], "success");
    assert_ne!(receipt.key, result.key);
    assert_eq!(world.number("SELECT count(*) FROM outbox").await, 0);
}

#[tokio::test]
async fn a_payment_that_cannot_be_applied_is_told_as_failed() {
    let world = paid(&CHECKOUT.replace("account_42", "account_unknown")).await;
    let ingest = Ingest::start(&[]).await;
    send_all(&world.sender_to(ingest.address)).await;
    let result = ingest.requests().pop().unwrap().json();
    assert_eq!(result["status"], "failed");
    assert_eq!(result["error_code"], "unknown_account");
}

#[tokio::test]
async fn every_retry_is_the_same_request_under_the_same_key() {
    let world = paid(CHECKOUT).await;
    let ingest = Ingest::start(&[503, 429, 500, 401]).await;
    send_all(&world.sender_to(ingest.address)).await;
    let requests = ingest.requests();
    assert_eq!(requests.len(), 6);
    assert!(requests[..5].iter().all(|request| request == &requests[0]));
    assert_eq!(requests[5].path, "/api/v1/result");
}

#[tokio::test]
async fn a_message_that_was_not_accepted_waits_for_its_pause_to_end() {
    let world = paid(CHECKOUT).await;
    let ingest = Ingest::start(&[503]).await;
    let sender = world.sender_to(ingest.address);
    let now = unix_millis();
    assert_eq!(sender.send_due(now).await.unwrap(), 1);
    assert_eq!(sender.send_due(now).await.unwrap(), 0);
    assert_eq!(sender.send_due(now + LATER).await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_loses_nothing() {
    let world = paid(CHECKOUT).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sender = world.sender_to(address);
    let now = unix_millis();
    for hours in 0..20 {
        assert_eq!(sender.send_due(now + hours * LATER).await.unwrap(), 1);
    }
    let ingest = Ingest::start(&[]).await;
    let sender = world.sender_to(ingest.address);
    assert_eq!(sender.send_due(now + 21 * LATER).await.unwrap(), 1);
    assert_eq!(sender.send_due(now + 21 * LATER).await.unwrap(), 1);
    assert_eq!(ingest.requests().len(), 2);
}

#[tokio::test]
async fn what_was_accepted_but_not_marked_so_goes_again_under_the_same_key() {
    let world = paid(CHECKOUT).await;
    let ingest = Ingest::start(&[]).await;
    let sender = world.sender_to(ingest.address);
    // The process dies after the answer and before the row is deleted.
    sqlx::query("CREATE TRIGGER killed BEFORE DELETE ON outbox BEGIN SELECT RAISE(ABORT, 'killed'); END")
        .execute(&world.pool)
        .await
        .unwrap();
    assert!(sender.send_due(unix_millis()).await.is_err());
    sqlx::query("DROP TRIGGER killed")
        .execute(&world.pool)
        .await
        .unwrap();
    send_all(&sender).await;
    let requests = ingest.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0], requests[1]);
}

#[tokio::test]
async fn a_message_that_can_never_be_accepted_is_kept_and_holds_its_result_back() {
    let world = paid(CHECKOUT).await;
    let ingest = Ingest::start(&[422]).await;
    let sender = world.sender_to(ingest.address);
    send_all(&sender).await;
    assert_eq!(ingest.requests().len(), 1);
    assert_eq!(world.outbox.count_refused().await.unwrap(), 1);
    assert_eq!(world.number("SELECT count(*) FROM outbox").await, 2);
    // A person has mended the cause and lets it go again, as the README says.
    sqlx::query("UPDATE outbox SET refused = NULL, due_at = 0 WHERE refused IS NOT NULL")
        .execute(&world.pool)
        .await
        .unwrap();
    send_all(&sender).await;
    assert_eq!(ingest.requests().len(), 3);
    assert_eq!(world.number("SELECT count(*) FROM outbox").await, 0);
}
