//! Two names of one event: where Shopify gives an event another id in each of two subscriptions, what it is about tells
//! that the app's receipt and the announcement are of one. See `docs/intake.md`.
//!
//! An event is told of by the app once and by Shopify once, whatever is repeated. So a receipt and an announcement of one
//! resource, at about one time, are held together in pairs, and never two of one side: two events stay two.

use crate::dedupe;
use crate::event::words;
use crate::id::EventId;
use crate::time::{MINUTE_MS, Timestamp};

#[cfg(test)]
mod tests;

/// Topics of which a resource has one event, or has the next only long after: an order that is paid, and after an edit once
/// more.
const ONCE: [&str; 7] = [
    "orders/create",
    "orders/paid",
    "orders/cancelled",
    "refunds/create",
    "subscription_contracts/create",
    "subscription_billing_attempts/success",
    "subscription_billing_attempts/failure",
];

/// How far apart two subscriptions may say that one event has happened.
const APART_MS: u64 = 5 * MINUTE_MS.unsigned_abs();

/// The most digits of a resource's id.
const MAX_DIGITS: usize = 20;

/// What an event of Shopify is about: shop, topic and the resource's id, as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource([u8; 16]);

words! {
    /// Who tells of an event.
    Teller {
        /// The app, by a receipt.
        App = "app",
        /// The provider, by an announcement.
        Provider = "provider",
    }
}

/// What is told of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Who tells of it.
    pub teller: Teller,
    /// The digest of the id that it has there.
    pub name: [u8; 16],
    /// When it has happened.
    pub at: Timestamp,
}

/// An event of a resource, by what was told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Which of the resource's it is.
    pub number: u32,
    /// Its id.
    pub event: EventId,
    /// When it has happened, as it was told first.
    pub at: Timestamp,
    /// Its name in the app's receipt.
    pub app: Option<[u8; 16]>,
    /// Its name in the provider's announcement.
    pub provider: Option<[u8; 16]>,
    /// Whether its receipt has come, under whichever name.
    pub has_receipt: bool,
}

/// Which event something is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// One of which the same was told before.
    Repeat,
    /// One of which the other side has told, under another name.
    Joins {
        /// Which of the resource's it is.
        number: u32,
        /// Its id.
        event: EventId,
    },
    /// One that nobody has told of.
    New {
        /// Which of the resource's it becomes.
        number: u32,
    },
}

/// The events of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairs(Vec<Pair>);

impl Resource {
    /// What an event is about; `None` where its topic comes more than once for a resource, or the id is no whole number.
    #[must_use]
    pub fn of(shop: &str, topic: &str, id: &str) -> Option<Self> {
        let shop = shop.to_ascii_lowercase();
        let is_named = ONCE.contains(&topic) && is_resource_id(id);
        is_named.then(|| Self(dedupe::digest(&format!("{shop}\n{topic}\n{id}"))))
    }

    /// The bytes that a store holds.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// What a store holds as these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// Whether a text is a resource's id: 1 to 20 digits.
pub(crate) fn is_resource_id(text: &str) -> bool {
    (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Pairs {
    /// A resource's events as they are stored.
    #[must_use]
    pub const fn new(pairs: Vec<Pair>) -> Self {
        Self(pairs)
    }

    /// The events, as far as they go.
    #[must_use]
    pub fn as_slice(&self) -> &[Pair] {
        &self.0
    }

    /// Takes what is told of an event whose name is not known. One that nobody has told of gets this id.
    pub fn tell(&mut self, told: Told, new: EventId) -> Fit {
        if self
            .0
            .iter()
            .any(|pair| pair.name(told.teller) == Some(told.name))
        {
            return Fit::Repeat;
        }
        let open = self.0.iter_mut().filter(|pair| pair.waits_for(&told));
        if let Some(pair) = open.min_by_key(|pair| (pair.apart(&told), pair.number)) {
            pair.take(&told);
            return Fit::Joins {
                number: pair.number,
                event: pair.event,
            };
        }
        let number = self.0.iter().map(|pair| pair.number + 1).max().unwrap_or(0);
        let mut pair = Pair {
            number,
            event: new,
            at: told.at,
            app: None,
            provider: None,
            has_receipt: false,
        };
        pair.take(&told);
        self.0.push(pair);
        Fit::New { number }
    }

    /// Takes what is told of an event that is known by its name: nobody else's name may then join it. Gives which of the
    /// resource's it is, where that is new.
    pub fn tell_of(&mut self, event: EventId, told: Told) -> Option<u32> {
        let of = |pair: &&mut Pair| pair.event == event && pair.name(told.teller).is_none();
        let pair = self.0.iter_mut().find(of)?;
        pair.take(&told);
        Some(pair.number)
    }
}

impl Pair {
    const fn name(&self, teller: Teller) -> Option<[u8; 16]> {
        match teller {
            Teller::App => self.app,
            Teller::Provider => self.provider,
        }
    }

    /// Whether only the other side has told of it so far, of about this time.
    const fn waits_for(&self, told: &Told) -> bool {
        let open = match told.teller {
            Teller::App => self.app.is_none() && !self.has_receipt,
            Teller::Provider => self.provider.is_none(),
        };
        open && self.apart(told) <= APART_MS
    }

    const fn apart(&self, told: &Told) -> u64 {
        self.at.as_millis().abs_diff(told.at.as_millis())
    }

    const fn take(&mut self, told: &Told) {
        match told.teller {
            Teller::App => {
                self.app = Some(told.name);
                self.has_receipt = true;
            }
            Teller::Provider => self.provider = Some(told.name),
        }
    }
}
