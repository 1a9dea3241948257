//! A store: a few maps behind a mutex, with transactions that happen whole or not at all.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sendpromptly_core::audit::{Entry, Head, chain};
use sendpromptly_core::case::{Case, Decision, OrderKey, PlacedOrder};
use sendpromptly_core::dedupe::Fingerprint;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::{EventId, OrganizationId, ReplayId};
use sendpromptly_core::request::{IdempotencyKey, Receipt};
use sendpromptly_core::time::Timestamp;

use crate::entropy;

/// The store.
#[derive(Debug, Default)]
pub struct Store(Mutex<Tables>);

/// What is stored.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Events with their incidents and replays.
    pub events: BTreeMap<EventId, StoredEvent>,
    /// Which event a provider's id names: one, however many receipts come.
    pub names: BTreeMap<(Provider, String), EventId>,
    /// Under each Idempotency-Key, the request that was accepted: its fingerprint, event and time.
    pub accepted: BTreeMap<IdempotencyKey, (Fingerprint, EventId, Timestamp)>,
    /// Orders by their keys.
    pub orders: BTreeMap<OrderKey, PlacedOrder>,
    /// The bodies of replays, the same bytes on every attempt.
    pub bodies: BTreeMap<ReplayId, String>,
    /// The audit log.
    pub audit: Vec<Entry>,
}

/// An event: what its receipt said, and what became of it.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// What the first receipt said.
    pub receipt: Receipt,
    /// What changes.
    pub case: Case,
    /// The replay whose call is under way: no other call is made meanwhile.
    pub calling: Option<ReplayId>,
}

impl Store {
    /// Runs a change on a draft of all tables and keeps the draft only where the change succeeds. A database
    /// would lock the rows that are decided on; here there is one lock for all.
    ///
    /// # Errors
    /// Those of the change; nothing is stored then.
    pub fn transaction<T, E>(&self, change: impl FnOnce(&mut Tables) -> Result<T, E>) -> Result<T, E> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut draft = tables.clone();
        let done = change(&mut draft)?;
        *tables = draft;
        Ok(done)
    }

    /// What is stored now.
    pub fn read(&self) -> Tables {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Tables {
    /// Stores a decision: the case, and the audit entries of its change. Neither is ever stored without the other.
    pub fn put(&mut self, organization: OrganizationId, decision: Decision, now: Timestamp) {
        let head = self.audit.last().map_or(Head::EMPTY, Entry::as_head);
        let (entries, _) = chain(organization, head, &decision.entries, now, entropy);
        self.audit.extend(entries);
        if let Some(stored) = self.events.get_mut(&decision.case.event.id) {
            stored.case = decision.case;
        }
    }
}
