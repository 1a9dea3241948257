//! What the app makes of Stripe's events.

use stripe_webhook_app::stripe_event::{Effect, NotAnEvent, Payment};

use crate::world::{CHECKOUT, INVOICE};

fn read(body: &str) -> Option<Payment> {
    Payment::read(body.as_bytes()).unwrap()
}

#[test]
fn a_paid_checkout_unlocks_access() {
    let payment = read(CHECKOUT).unwrap();
    assert_eq!(payment.event_id, "evt_1SaQ4nKd7Lw2TzVbM9xUeR3c");
    assert_eq!(payment.effect, Effect::AccessUnlock);
    assert_eq!(payment.account, "account_42");
    assert_eq!(payment.occurred_at, 1_769_851_800);
}

#[test]
fn a_paid_invoice_grants_the_credits_of_its_lines() {
    let payment = read(INVOICE).unwrap();
    assert_eq!(payment.effect, Effect::CreditGrant(500));
    assert_eq!(payment.account, "account_42");
}

#[test]
fn a_session_that_is_not_paid_yet_and_events_of_other_types_buy_nothing() {
    let unpaid = CHECKOUT.replace("\"payment_status\": \"paid\"", "\"payment_status\": \"unpaid\"");
    assert_eq!(read(&unpaid), None);
    let later = unpaid
        .replace(
            "checkout.session.completed",
            "checkout.session.async_payment_succeeded",
        )
        .replace("\"unpaid\"", "\"paid\"");
    assert_eq!(
        read(&later).map(|payment| payment.effect),
        Some(Effect::AccessUnlock)
    );
    assert_eq!(read(r#"{"id":"evt_1","type":"customer.created"}"#), None);
}

#[test]
fn a_payment_that_names_no_account_is_known_by_its_own_id() {
    let nobody = CHECKOUT.replace("\"account_42\"", "null");
    assert!(read(&nobody).unwrap().account.starts_with("cs_test_"));
}

#[test]
fn what_is_no_event_is_refused() {
    for body in [
        "",
        "[]",
        "{}",
        "{\"id\":\"evt_1\"}",
        "{\"id\":1,\"type\":\"invoice.paid\"}",
    ] {
        assert_eq!(Payment::read(body.as_bytes()), Err(NotAnEvent), "{body}");
    }
}
