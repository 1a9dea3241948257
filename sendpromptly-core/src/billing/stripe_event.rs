//! Stripe's events and subscriptions, read for the few things that are kept of them.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Answer, Fact, Says};
use crate::event::Mode;
use crate::time::Timestamp;

/// What an event comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It tells something of a subscription.
    Tells(Fact),
    /// It is of a type that says nothing of a subscription, or about something that was paid for in another way.
    SaysNothing,
    /// It is of Stripe's other mode: what happens there is no money, or not that of the account that is asked.
    OfAnotherMode,
}

/// What became of a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckoutState {
    /// It can be paid.
    Open,
    /// It was paid, and this is so of the subscription that was bought.
    Complete(Fact),
    /// It was not paid, and cannot be any more.
    Expired,
}

/// What verifies, but is no event that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an event of Stripe's that names what its type promises")]
pub struct NotAnEvent;

/// Ids of Stripe's are short; what is longer is none.
const MAX_ID: usize = 255;

/// Reads an event's body, whose signature was verified before. Where it is known in which of Stripe's modes
/// subscriptions are, events of the other mode say nothing, whatever they hold. Stripe's API reference tells of the types
/// and their objects; both forms are read that it has given a period and an invoice's subscription.
///
/// # Errors
/// [`NotAnEvent`] for what is no event, or lacks what its type promises.
pub fn read_event(body: &[u8], ours: Option<Mode>) -> Result<Event, NotAnEvent> {
    let event: Value = serde_json::from_slice(body).map_err(|_| NotAnEvent)?;
    let theirs = mode_of(&event);
    if theirs.is_some() && ours.is_some() && theirs != ours {
        return Ok(Event::OfAnotherMode);
    }
    let id = id_in(&event["id"]).ok_or(NotAnEvent)?;
    let kind = event["type"].as_str().ok_or(NotAnEvent)?;
    let at = seconds(&event["created"]).ok_or(NotAnEvent)?;
    let object = &event["data"]["object"];
    let Some(told) = told(kind, object)? else {
        return Ok(Event::SaysNothing);
    };
    fact(id, at, object, told).map(Event::Tells)
}

/// What is kept of what this object tells, under an id of its own.
fn fact(id: &str, at: Timestamp, object: &Value, told: Told<'_>) -> Result<Fact, NotAnEvent> {
    let hash = Sha256::digest(id.as_bytes());
    let mut event = [0; 16];
    event.copy_from_slice(&hash[..16]);
    Ok(Fact {
        event,
        at,
        customer: id_in(&object["customer"]).ok_or(NotAnEvent)?.to_owned(),
        subscription: told.subscription.to_owned(),
        organization: told.organization.and_then(|text| text.parse().ok()),
        says: told.says,
        paid_until: told.paid_until,
        is_read: false,
    })
}

/// Reads a subscription as Stripe gives it when it is asked for the one of this id.
///
/// # Errors
/// [`NotAnEvent`] for what is no subscription, or another one.
pub fn read_subscription(id: &str, body: &[u8]) -> Result<Answer, NotAnEvent> {
    let object: Value = serde_json::from_slice(body).map_err(|_| NotAnEvent)?;
    let told = subscription("", &object)?;
    let status = told.says.status().filter(|_| told.subscription == id);
    Ok(Answer {
        status: status.ok_or(NotAnEvent)?,
        paid_until: told.paid_until,
    })
}

/// Reads a checkout as Stripe gives it, together with its subscription, when it is asked for the one of this id at this
/// time. What it says of the subscription is a fact of that time, as though an event had told.
///
/// # Errors
/// [`NotAnEvent`] for what is no checkout of a subscription, or another one.
pub fn read_checkout(id: &str, body: &[u8], at: Timestamp) -> Result<CheckoutState, NotAnEvent> {
    let object: Value = serde_json::from_slice(body).map_err(|_| NotAnEvent)?;
    if id_in(&object["id"]) != Some(id) {
        return Err(NotAnEvent);
    }
    match object["status"].as_str() {
        Some("open") => Ok(CheckoutState::Open),
        Some("expired") => Ok(CheckoutState::Expired),
        Some("complete") => bought(id, &object["subscription"], at).map(CheckoutState::Complete),
        _ => Err(NotAnEvent),
    }
}

fn bought(checkout: &str, object: &Value, at: Timestamp) -> Result<Fact, NotAnEvent> {
    let told = subscription("", object)?;
    let id = format!("{checkout} at {}", at.as_millis());
    // Facts have whole seconds, as Stripe's own times.
    let at = Timestamp::from_millis(at.as_secs() * 1_000);
    fact(&id, at, object, told)
}

/// The mode that an event names, as all of Stripe's do.
fn mode_of(event: &Value) -> Option<Mode> {
    let live = event["livemode"].as_bool()?;
    Some(if live { Mode::Live } else { Mode::Test })
}

struct Told<'a> {
    says: Says,
    subscription: &'a str,
    organization: Option<&'a str>,
    paid_until: Option<Timestamp>,
}

fn told<'a>(kind: &str, object: &'a Value) -> Result<Option<Told<'a>>, NotAnEvent> {
    match kind {
        "checkout.session.completed" => Ok(checkout(object)),
        "invoice.paid" => Ok(invoice(object, Says::Paid)),
        "invoice.payment_failed" => Ok(invoice(object, Says::PaymentFailed)),
        "customer.subscription.created"
        | "customer.subscription.updated"
        | "customer.subscription.paused"
        | "customer.subscription.resumed"
        | "customer.subscription.deleted" => subscription(kind, object).map(Some),
        _ => Ok(None),
    }
}

/// A checkout of another mode buys no subscription. For whom it is meant is not read: `client_reference_id` may come
/// from an address that anybody can write. The subscription's own metadata tell, which only the account can set.
fn checkout(object: &Value) -> Option<Told<'_>> {
    Some(Told {
        says: Says::CheckedOut,
        subscription: id_in(&object["subscription"])?,
        organization: None,
        paid_until: None,
    })
}

/// An invoice that belongs to no subscription says nothing of one.
fn invoice(object: &Value, says: Says) -> Option<Told<'_>> {
    let details = &object["parent"]["subscription_details"];
    // Up to 2025 Stripe named the subscription on the invoice itself.
    let subscription = id_in(&details["subscription"]).or_else(|| id_in(&object["subscription"]))?;
    let lines = object["lines"]["data"].as_array().into_iter().flatten();
    Some(Told {
        says,
        subscription,
        organization: details["metadata"]["organization_id"].as_str(),
        paid_until: lines.filter_map(|line| seconds(&line["period"]["end"])).max(),
    })
}

fn subscription<'a>(kind: &str, object: &'a Value) -> Result<Told<'a>, NotAnEvent> {
    let status = object["status"].as_str().ok_or(NotAnEvent)?;
    let says = match (kind, status) {
        ("customer.subscription.deleted", _) | (_, "canceled" | "incomplete_expired") => Says::Canceled,
        ("customer.subscription.resumed", "active") => Says::Resumed,
        (_, "incomplete") => Says::Incomplete,
        (_, "trialing") => Says::Trialing,
        (_, "active") => Says::Active,
        (_, "past_due") => Says::PastDue,
        (_, "unpaid") => Says::Unpaid,
        (_, "paused") => Says::Paused,
        _ => return Err(NotAnEvent),
    };
    // Since 2025 each item has a period of its own.
    let items = object["items"]["data"].as_array().into_iter().flatten();
    let of_items = items
        .filter_map(|item| seconds(&item["current_period_end"]))
        .max();
    Ok(Told {
        says,
        subscription: id_in(&object["id"]).ok_or(NotAnEvent)?,
        organization: object["metadata"]["organization_id"].as_str(),
        paid_until: of_items.or_else(|| seconds(&object["current_period_end"])),
    })
}

/// An id, which Stripe gives as a text, or within the object that it names.
fn id_in(value: &Value) -> Option<&str> {
    let id = value.as_str().or_else(|| value["id"].as_str())?;
    let fits = (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(id)
}

/// Whole seconds since 1970, up to the year 9999.
fn seconds(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_i64()?;
    (0..253_402_300_800)
        .contains(&seconds)
        .then(|| Timestamp::from_millis(seconds * 1_000))
}
