//! Billing: what Stripe's events say of an organization's subscription, and what the organization may do then.
//!
//! Stripe delivers events late, twice and in any order. So nothing is made of one event after another: each leaves a
//! [`Fact`], and [`settle`] makes the subscription of all the facts that are there. The same facts give the same
//! subscription, in whatever order they came. Where Stripe can be asked, each event is a reason to ask it: a
//! [`Reading`] stands for every fact that was heard before it was begun, and facts that come after it count until the
//! next one. `docs/billing.md` tells the same to whoever sets it up.

mod plan;
mod reading;
mod stripe_event;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use plan::{Access, Plan, TRIAL};
pub use reading::{Answer, Reading, next_try};
pub use stripe_event::{CheckoutState, Event, NotAnEvent, read_checkout, read_event, read_subscription};

use crate::event::words;
use crate::id::OrganizationId;
use crate::time::Timestamp;

words! {
    /// What an event says of a subscription. Of events of the same second the later one in this list counts as the
    /// later one: a beginning lies before what follows from it, and an end is the end.
    Says {
        /// Somebody has checked out. Whoever opens a checkout may say for whom, so nobody is believed to be named by it.
        CheckedOut = "checked_out",
        /// Its first payment has not come yet.
        Incomplete = "incomplete",
        /// It is tried, and will be paid for.
        Trialing = "trialing",
        /// A payment failed.
        PaymentFailed = "payment_failed",
        /// A payment is missing, and asked for again.
        PastDue = "past_due",
        /// A payment is missing, and no longer asked for.
        Unpaid = "unpaid",
        /// It is paid for.
        Active = "active",
        /// A payment has come.
        Paid = "paid",
        /// It is paused.
        Paused = "paused",
        /// It goes on after a pause.
        Resumed = "resumed",
        /// It has ended.
        Canceled = "canceled",
    }

    /// What becomes of a subscription.
    Status {
        /// It has ended, for good.
        Canceled = "canceled",
        /// Its first payment has not come yet.
        Incomplete = "incomplete",
        /// A payment is missing, and no longer asked for.
        Unpaid = "unpaid",
        /// It is paused.
        Paused = "paused",
        /// A payment is missing, and asked for again.
        PastDue = "past_due",
        /// It is paid for, or tried before it is paid for.
        Active = "active",
    }
}

impl Status {
    /// Whether there is something that can be put right or go on: another subscription beside it would be charged for as
    /// well.
    #[must_use]
    pub const fn is_alive(self) -> bool {
        !matches!(self, Self::Canceled | Self::Incomplete)
    }
}

/// What one event of Stripe's leaves behind. It holds references and times, and nothing else of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The first 16 bytes of the SHA-256 of Stripe's id of the event.
    pub event: [u8; 16],
    /// When Stripe made the event, in whole seconds.
    pub at: Timestamp,
    /// Stripe's id of the customer.
    pub customer: String,
    /// Stripe's id of the subscription.
    pub subscription: String,
    /// The organization that the subscription names, where the event tells.
    pub organization: Option<OrganizationId>,
    /// What it says.
    pub says: Says,
    /// Up to when it says that the subscription is paid for, in whole seconds.
    pub paid_until: Option<Timestamp>,
    /// Whether Stripe has told of the subscription since this was heard.
    pub is_read: bool,
}

impl Says {
    /// What becomes of a subscription of which this is said; `None` where that takes more than this.
    const fn status(self) -> Option<Status> {
        Some(match self {
            Self::CheckedOut | Self::Paid | Self::PaymentFailed => return None,
            Self::Incomplete => Status::Incomplete,
            Self::Trialing | Self::Active | Self::Resumed => Status::Active,
            Self::PastDue => Status::PastDue,
            Self::Unpaid => Status::Unpaid,
            Self::Paused => Status::Paused,
            Self::Canceled => Status::Canceled,
        })
    }
}

impl Fact {
    /// The order of facts: by time, then by what they say, then by the event, so that no two are alike.
    const fn order(&self) -> (Timestamp, Says, [u8; 16]) {
        (self.at, self.says, self.event)
    }
}

/// A subscription, as all facts together tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Stripe's id of it.
    pub id: String,
    /// Stripe's id of the customer.
    pub customer: String,
    /// What became of it.
    pub status: Status,
    /// Since when a payment is missing, where one is.
    pub past_due_since: Option<Timestamp>,
    /// Up to when it is paid for.
    pub paid_until: Option<Timestamp>,
    /// How many subscriptions of the organization are alive. Each is charged for, and one would do.
    pub alive: u32,
}

/// The subscription of an organization, made of every fact about the subscriptions that name it, and of what Stripe told
/// of them when it was asked. Of several subscriptions the one that allows most counts, then the one that was heard of
/// last. A subscription belongs to the organization that it named first; what else its customer pays for is not this
/// server's. `None` where no subscription names the organization.
///
/// ```
/// use sendpromptly_core::billing::{Event, Status, read_event, settle};
/// use sendpromptly_core::id::OrganizationId;
///
/// let organization = OrganizationId::from_bytes([7; 16]);
/// let event = |id: &str, kind: &str, status: &str, at: i64| {
///     let body = format!(
///         r#"{{"id": "{id}", "type": "customer.subscription.{kind}", "created": {at}, "data": {{"object": {{
///             "id": "sub_1", "customer": "cus_1", "status": "{status}",
///             "metadata": {{"organization_id": "{organization}"}}}}}}}}"#
///     );
///     match read_event(body.as_bytes(), None)? {
///         Event::Tells(fact) => Ok(fact),
///         other => panic!("it is about a subscription: {other:?}"),
///     }
/// };
/// let (created, updated) = (
///     event("evt_1", "created", "incomplete", 1_800_000_000)?,
///     event("evt_2", "updated", "active", 1_800_000_001)?,
/// );
/// // The later event came first, and the earlier one twice.
/// let settled = settle(organization, &[updated, created.clone(), created], &[]);
/// assert_eq!(settled.map(|subscription| subscription.status), Some(Status::Active));
/// # Ok::<(), sendpromptly_core::billing::NotAnEvent>(())
/// ```
#[must_use]
pub fn settle(organization: OrganizationId, facts: &[Fact], readings: &[Reading]) -> Option<Subscription> {
    let mut facts = in_order(facts);
    let mut owners = BTreeMap::new();
    for fact in &facts {
        if let Some(named) = fact.organization.filter(|_| fact.says != Says::CheckedOut) {
            owners.entry(fact.subscription.as_str()).or_insert(named);
        }
    }
    facts.retain(|fact| owners.get(fact.subscription.as_str()) == Some(&organization));
    let mut subscriptions = BTreeMap::<&str, Vec<&Fact>>::new();
    for fact in facts {
        subscriptions.entry(&fact.subscription).or_default().push(fact);
    }
    let told = subscriptions.into_iter().filter_map(|(id, facts)| {
        let reading = readings.iter().find(|reading| reading.subscription == id);
        let last = facts.last()?.order();
        Some((Subscription::told_by(&facts, reading)?, last))
    });
    let told: Vec<_> = told.collect();
    let alive = told
        .iter()
        .filter(|(subscription, _)| subscription.status.is_alive());
    let alive = u32::try_from(alive.count()).unwrap_or(u32::MAX);
    let best = told
        .into_iter()
        .max_by_key(|(subscription, last)| (subscription.status, *last));
    best.map(|(subscription, _)| Subscription {
        alive,
        ..subscription
    })
}

/// Each fact once, in the order of facts.
fn in_order(facts: &[Fact]) -> Vec<&Fact> {
    let mut facts: Vec<&Fact> = facts.iter().collect();
    facts.sort_unstable_by_key(|fact| fact.order());
    facts.dedup_by_key(|fact| fact.event);
    facts
}

impl Subscription {
    /// What these facts tell of the one subscription that they are about, in their order, beginning with what Stripe
    /// told of it last.
    fn told_by(facts: &[&Fact], reading: Option<&Reading>) -> Option<Self> {
        let mut subscription = Self::begin(facts.first()?, reading);
        for fact in facts {
            if !reading.is_some_and(|reading| reading.knows(fact)) {
                subscription.hear(fact);
            }
        }
        Some(subscription)
    }

    fn begin(fact: &Fact, reading: Option<&Reading>) -> Self {
        Self {
            id: fact.subscription.clone(),
            customer: fact.customer.clone(),
            status: reading.map_or(Status::Incomplete, |reading| reading.status),
            past_due_since: reading.and_then(|reading| reading.past_due_since),
            paid_until: reading.and_then(|reading| reading.paid_until),
            alive: 0,
        }
    }

    /// Takes the next fact, which lies after all that were taken before.
    fn hear(&mut self, fact: &Fact) {
        // Stripe never takes an end back: who comes again begins another subscription.
        if self.status == Status::Canceled {
            return;
        }
        match (fact.says, self.status) {
            (Says::CheckedOut, _) => return,
            // An invoice says nothing of a pause; and whoever has never paid is not late, but has not begun.
            (Says::Paid, Status::Incomplete | Status::PastDue | Status::Unpaid) => {
                self.status = Status::Active;
            }
            (Says::PaymentFailed, Status::Active) => self.status = Status::PastDue,
            (Says::Paid | Says::PaymentFailed, _) => {}
            (says, _) => self.status = says.status().unwrap_or(self.status),
        }
        self.past_due_since = match self.status {
            Status::PastDue => self.past_due_since.or(Some(fact.at)),
            _ => None,
        };
        self.paid_until = match fact.says {
            Says::Paid => self.paid_until.max(fact.paid_until),
            Says::PaymentFailed => self.paid_until,
            _ => fact.paid_until.or(self.paid_until),
        };
    }
}
