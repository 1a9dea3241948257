//! What this app makes of a Stripe event: which effect a payment buys, and for whom.

use serde_json::Value;

/// A payment that buys something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Stripe's id of the event (`evt_…`), the same on every delivery.
    pub event_id: String,
    /// Stripe's type of the event.
    pub event_type: String,
    /// When it happened, in Unix seconds.
    pub occurred_at: i64,
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
        Ok(Some(Self {
            event_id: event_id.to_owned(),
            event_type: event_type.to_owned(),
            occurred_at: event["created"].as_i64().ok_or(NotAnEvent)?,
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
