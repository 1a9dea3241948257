//! What this app makes of a Stripe event: which effect a payment buys, and for whom.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A payment that buys something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Stripe's id of the event (`evt_…`), the same on every delivery.
    pub event_id: String,
    /// Stripe's type of the event.
    pub event_type: String,
    /// When it happened, in RFC 3339.
    pub occurred_at: String,
    /// Whose account it is for. Where the payment does not say, its own id: work for it then fails in the open.
    pub account: String,
    /// What it buys.
    pub effect: Effect,
}

/// What a payment buys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The paid plan.
    AccessUnlock,
    /// So many credits.
    CreditGrant(i64),
}

impl Effect {
    /// Its name in receipts.
    #[must_use]
    pub const fn effect_type(self) -> &'static str {
        match self {
            Self::AccessUnlock => "access_unlock",
            Self::CreditGrant(_) => "credit_grant",
        }
    }
}

/// The body is not a Stripe event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is not a Stripe event")]
pub struct NotAnEvent;

impl Payment {
    /// Reads an event; `None` where it buys nothing.
    ///
    /// # Errors
    /// [`NotAnEvent`].
    pub fn read(body: &[u8]) -> Result<Option<Self>, NotAnEvent> {
        let event: Value = serde_json::from_slice(body).map_err(|_| NotAnEvent)?;
        let text = |at: &str| event.pointer(at).and_then(Value::as_str);
        let event_id = text("/id").ok_or(NotAnEvent)?;
        let event_type = text("/type").ok_or(NotAnEvent)?;
        let bought = match event_type {
            // A session that is paid later completes unpaid, and an event of its own tells of the payment.
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
                let paid = text("/data/object/payment_status") != Some("unpaid");
                paid.then(|| (Effect::AccessUnlock, text("/data/object/client_reference_id")))
            }
            "invoice.paid" => {
                let account = text("/data/object/parent/subscription_details/metadata/account_id");
                Some((Effect::CreditGrant(quantity(&event)), account))
            }
            _ => None,
        };
        let Some((effect, account)) = bought else {
            return Ok(None);
        };
        let account = account.or(text("/data/object/id")).ok_or(NotAnEvent)?;
        let created = event["created"].as_i64().and_then(rfc3339).ok_or(NotAnEvent)?;
        Ok(Some(Self {
            event_id: event_id.to_owned(),
            event_type: event_type.to_owned(),
            occurred_at: created,
            account: account.to_owned(),
            effect,
        }))
    }
}

/// How many units the invoice's lines hold together.
fn quantity(event: &Value) -> i64 {
    let lines = event.pointer("/data/object/lines/data").and_then(Value::as_array);
    lines
        .into_iter()
        .flatten()
        .filter_map(|line| line["quantity"].as_i64())
        .sum()
}

fn rfc3339(seconds: i64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKOUT: &str = include_str!("../fixtures/checkout.session.completed.json");
    const INVOICE: &str = include_str!("../fixtures/invoice.paid.json");

    fn read(body: &str) -> Option<Payment> {
        Payment::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_paid_checkout_unlocks_access() {
        let payment = read(CHECKOUT).unwrap();
        assert_eq!(payment.event_id, "evt_1SaQ4nKd7Lw2TzVbM9xUeR3c");
        assert_eq!(payment.effect, Effect::AccessUnlock);
        assert_eq!(payment.account, "account_42");
        assert_eq!(payment.occurred_at, "2026-01-31T09:30:00Z");
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
}
