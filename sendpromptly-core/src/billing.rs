//! Billing: what Stripe's events say of an organization's subscription, and what the organization may do then.
//!
//! Stripe delivers events late, twice and in any order. So nothing is made of one event after another: each leaves a
//! [`Fact`], and [`settle`] makes the subscription of all the facts that are there. The same facts give the same
//! subscription, in whatever order they came.

mod plan;
mod stripe_event;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use plan::{Access, Plan, TRIAL};
pub use stripe_event::{NotAnEvent, read_event};

use crate::event::words;
use crate::id::OrganizationId;
use crate::time::Timestamp;

words! {
    /// What an event says of a subscription. Of events of the same second the later one in this list counts as the
    /// later one: a beginning lies before what follows from it, and an end is the end.
    Says {
        /// An organization has checked out.
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

/// What one event of Stripe's leaves behind. It holds references and times, and nothing else of the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The first bytes of the SHA-256 of Stripe's id of the event.
    pub event: [u8; 16],
    /// When Stripe made the event, in whole seconds.
    pub at: Timestamp,
    /// Stripe's id of the customer.
    pub customer: String,
    /// Stripe's id of the subscription.
    pub subscription: String,
    /// The organization, where the event names one.
    pub organization: Option<OrganizationId>,
    /// What it says.
    pub says: Says,
    /// Up to when it says that the subscription is paid for.
    pub paid_until: Option<Timestamp>,
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
}

/// The subscription of an organization, made of every fact about the customers that name it. Of several subscriptions
/// the one that allows most counts, then the one that was heard of last. A customer belongs to the organization that
/// was named first.
#[must_use]
pub fn settle(organization: OrganizationId, facts: &[Fact]) -> Option<Subscription> {
    let mut facts: Vec<&Fact> = facts.iter().collect();
    facts.sort_unstable_by_key(|fact| fact.order());
    facts.dedup_by_key(|fact| fact.event);
    let mut owners = BTreeMap::new();
    for fact in &facts {
        if let Some(named) = fact.organization {
            owners.entry(fact.customer.as_str()).or_insert(named);
        }
    }
    facts.retain(|fact| owners.get(fact.customer.as_str()) == Some(&organization));
    let mut subscriptions = BTreeMap::<&str, (Subscription, &Fact)>::new();
    for fact in facts {
        subscriptions
            .entry(&fact.subscription)
            .and_modify(|(known, last)| {
                known.hear(fact);
                *last = fact;
            })
            .or_insert_with(|| {
                let mut new = Subscription::begin(fact);
                new.hear(fact);
                (new, fact)
            });
    }
    let best = subscriptions
        .into_values()
        .max_by_key(|(subscription, last)| (subscription.status, last.order()));
    best.map(|(subscription, _)| subscription)
}

impl Subscription {
    fn begin(fact: &Fact) -> Self {
        Self {
            id: fact.subscription.clone(),
            customer: fact.customer.clone(),
            status: Status::Incomplete,
            past_due_since: None,
            paid_until: None,
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
            (Says::Incomplete, _) => self.status = Status::Incomplete,
            (Says::Trialing | Says::Active | Says::Resumed, _) => self.status = Status::Active,
            (Says::PastDue, _) => self.status = Status::PastDue,
            (Says::Unpaid, _) => self.status = Status::Unpaid,
            (Says::Paused, _) => self.status = Status::Paused,
            (Says::Canceled, _) => self.status = Status::Canceled,
            // An invoice says nothing of a pause; and whoever has never paid is not late, but has not begun.
            (Says::Paid, Status::Incomplete | Status::PastDue | Status::Unpaid) => {
                self.status = Status::Active;
            }
            (Says::PaymentFailed, Status::Active) => self.status = Status::PastDue,
            (Says::Paid | Says::PaymentFailed, _) => {}
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
