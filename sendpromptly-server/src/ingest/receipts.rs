//! Receipts of one batch: look, decide, and write all or nothing.

use std::collections::{BTreeMap, HashMap};

use sendpromptly_core::case::EventStatus;
use sendpromptly_core::dedupe::{self, ReceiptFacts};
use sendpromptly_core::request::Receipt;
use sendpromptly_core::time::Timestamp;

use super::payload::Kept;
use super::request::{IngestError, IngestRequest, NewReceipt};
use super::results::Fates;
use super::{answer, names};
use crate::store::cases::CaseKey;
use crate::store::idempotency::{self, NewAnswer};
use crate::store::receipts::{self, Filling, FirstReceipt, KnownEvent, NewEvent, ProviderEventName};
use crate::store::rows::{self, Sql};
use crate::store::shopify_names::{self, NamedEvents};
use crate::store::snapshots::{self, NewSnapshot};
use crate::store::{Dialect, Store, StoreError};

/// What a batch of receipts writes, and what becomes of each, in order.
#[derive(Debug)]
pub(super) struct ReceiptPlan {
    pub(super) writes: Vec<Sql>,
    pub(super) fates: Fates,
}

/// The name under which an event is unique.
pub(super) fn event_name(request: &IngestRequest, receipt: &Receipt) -> ProviderEventName {
    let digest = dedupe::digest(&receipt.provider_event_id);
    (request.project.project, digest, receipt.provider)
}

/// Decides on receipts whose keys are free, given the events that are known. Where one of these was announced by its
/// provider and waits for its receipt, what is known must be locked.
pub(super) fn plan(
    dialect: Dialect,
    requests: &[(&IngestRequest, &NewReceipt)],
    known: &HashMap<ProviderEventName, KnownEvent>,
) -> ReceiptPlan {
    let mut desk = Desk::with_capacity(known, requests.len());
    let mut fates = Fates::with_capacity(requests.len());
    let (mut taken, mut answers) = (
        Vec::with_capacity(requests.len()),
        Vec::with_capacity(requests.len()),
    );
    for &(request, receipt) in requests {
        let fate = desk.take(request, receipt);
        if let Ok(answer) = &fate {
            taken.push(request);
            answers.push(answer.clone());
        }
        fates.push(fate);
    }
    let mut writes = desk.writes(dialect);
    writes.insert(2, remember(taken.into_iter(), &answers));
    ReceiptPlan { writes, fates }
}

/// Commits receipts whose keys are free, some of which fill an event that its provider has announced, under their own name
/// or another: it must not change in between.
pub(super) async fn commit_locked(
    store: &Store,
    requests: &[(&IngestRequest, &NewReceipt)],
    named: &NamedEvents,
) -> Result<Fates, StoreError> {
    let tx = store.begin().await?;
    let names = requests
        .iter()
        .map(|(request, new)| event_name(request, &new.receipt));
    let names = names.chain(named.names.values().copied());
    let mut known = store.lock_known_events(&tx, names).await?;
    let names = names::of_receipts(requests, named, &mut known)?;
    let ReceiptPlan { mut writes, fates } = plan(store.dialect(), requests, &known);
    let taken = names.into_iter().zip(&fates).filter(|(_, fate)| fate.is_ok());
    writes.push(shopify_names::insert(
        &taken.filter_map(|(name, _)| name).collect::<Vec<_>>(),
    ));
    rows::write_together(&tx, writes).await?;
    tx.commit().await?;
    Ok(fates)
}

/// Where receipts are decided one after another, each on what those before have left.
struct Desk<'a> {
    known: &'a HashMap<ProviderEventName, KnownEvent>,
    new: Vec<NewEvent<'a>>,
    filled: Vec<Filling<'a>>,
    /// The events that receipts of this batch have made or filled.
    here: HashMap<ProviderEventName, Here>,
    differences: BTreeMap<CaseKey, String>,
    payloads: Vec<NewSnapshot<'a>>,
}

/// Where an event of this batch lies on the desk.
#[derive(Clone, Copy)]
enum Here {
    New(usize),
    Filled(usize),
}

impl<'a> Desk<'a> {
    fn with_capacity(known: &'a HashMap<ProviderEventName, KnownEvent>, capacity: usize) -> Self {
        Self {
            known,
            new: Vec::with_capacity(capacity),
            filled: Vec::new(),
            here: HashMap::with_capacity(capacity),
            differences: BTreeMap::new(),
            payloads: Vec::new(),
        }
    }

    fn take(&mut self, request: &IngestRequest, new: &'a NewReceipt) -> Result<String, IngestError> {
        let name = event_name(request, &new.receipt);
        if let Some(here) = self.here.get(&name).copied() {
            return Ok(self.repeat_here(here, &new.receipt));
        }
        match self.known.get(&name) {
            None => self.make(request, new, name),
            Some(KnownEvent {
                status,
                receipt: Some(first),
            }) => Ok(self.repeat(request, status, first, &new.receipt)),
            Some(KnownEvent {
                status,
                receipt: None,
            }) => self.fill(request, new, name, status.clone()),
        }
    }

    /// The first receipt of an event that nobody has told of.
    fn make(
        &mut self,
        request: &IngestRequest,
        new: &'a NewReceipt,
        name: ProviderEventName,
    ) -> Result<String, IngestError> {
        let timeout_at = timeout_at(request, &new.receipt);
        self.payloads.extend(snapshot(request, new)?);
        self.here.insert(name, Here::New(self.new.len()));
        self.new.push(NewEvent {
            name,
            id: new.event,
            timeout_at,
            receipt: first_receipt(&new.receipt),
            provider_event_id: &new.receipt.provider_event_id,
            shop_domain: new.receipt.shop_domain.as_deref(),
            occurred_at: new.receipt.occurred_at,
            received_at: request.received_at,
            differs: None,
        });
        Ok(answer::receipt(new.event, timeout_at, None))
    }

    /// The first receipt of an event of which its provider has told. A payload must be sealed for that event.
    fn fill(
        &mut self,
        request: &IngestRequest,
        new: &'a NewReceipt,
        name: ProviderEventName,
        status: EventStatus,
    ) -> Result<String, IngestError> {
        if matches!(new.payload, Kept::Sealed(_)) && new.event != status.id {
            return Err(IngestError::Announced(status.id));
        }
        self.payloads.extend(snapshot(request, new)?);
        let status = status.receive_receipt(timeout_at(request, &new.receipt));
        let answer = answer::receipt(status.id, status.timeout_at, None);
        self.here.insert(name, Here::Filled(self.filled.len()));
        self.filled.push(Filling {
            project: request.project.project,
            provider_event_id: &new.receipt.provider_event_id,
            status,
            provider: new.receipt.provider,
            receipt: first_receipt(&new.receipt),
            shop_domain: new.receipt.shop_domain.as_deref(),
            occurred_at: new.receipt.occurred_at,
            received_at: request.received_at,
            differs: None,
        });
        Ok(answer)
    }

    fn repeat(
        &mut self,
        request: &IngestRequest,
        status: &EventStatus,
        first: &FirstReceipt,
        again: &Receipt,
    ) -> String {
        let differs = differs(first, again);
        if !differs.is_empty() {
            let key = (request.project.project, status.id);
            self.differences.insert(key, differs.join(","));
        }
        answer::receipt(status.id, status.timeout_at, Some(&differs))
    }

    fn repeat_here(&mut self, here: Here, again: &Receipt) -> String {
        let (id, timeout_at, first, noted) = match here {
            Here::New(index) => {
                let event = &mut self.new[index];
                (event.id, event.timeout_at, &event.receipt, &mut event.differs)
            }
            Here::Filled(index) => {
                let event = &mut self.filled[index];
                (
                    event.status.id,
                    event.status.timeout_at,
                    &event.receipt,
                    &mut event.differs,
                )
            }
        };
        let differs = differs(first, again);
        if !differs.is_empty() {
            *noted = Some(differs.join(","));
        }
        answer::receipt(id, timeout_at, Some(&differs))
    }

    /// In the order of their keys, so that two batches wait for each other in one direction only.
    fn writes(mut self, dialect: Dialect) -> Vec<Sql> {
        self.new.sort_unstable_by_key(|event| event.name);
        self.payloads
            .sort_unstable_by_key(|payload| (payload.project, payload.event));
        let differences = self.differences.iter();
        let differences = differences.map(|((project, event), differs)| (*project, *event, differs.as_str()));
        let differences = receipts::note_differences(differences);
        let [filled_events, filled_incidents] = receipts::fill(&self.filled);
        vec![
            receipts::insert(&self.new),
            snapshots::insert(dialect, self.payloads),
            differences,
            filled_events,
            filled_incidents,
        ]
    }
}

/// Remembers the answers to these requests, in the order of their keys.
pub(super) fn remember<'a>(requests: impl Iterator<Item = &'a IngestRequest>, answers: &'a [String]) -> Sql {
    let mut rows: Vec<_> = requests
        .zip(answers)
        .map(|(request, answer)| NewAnswer {
            key: request.key_name(),
            fingerprint: &request.fingerprint,
            answer,
            created_at: request.received_at,
        })
        .collect();
    rows.sort_unstable_by_key(|row| row.key);
    idempotency::remember(rows)
}

/// What is kept of the payload of an event's first receipt. Later ones make no event, and their payloads, sealed for
/// an id that nothing has, are dropped. Where it could not be sealed there is no such receipt.
fn snapshot<'a>(
    request: &IngestRequest,
    receipt: &'a NewReceipt,
) -> Result<Option<NewSnapshot<'a>>, IngestError> {
    match &receipt.payload {
        Kept::Nothing => Ok(None),
        Kept::Unsealed => Err(IngestError::Unavailable),
        Kept::Sealed(payload) => Ok(Some(NewSnapshot {
            project: request.project.project,
            event: receipt.event,
            era: payload.era,
            received_at: request.received_at,
            sealed: &payload.sealed,
        })),
    }
}

fn timeout_at(request: &IngestRequest, receipt: &Receipt) -> Timestamp {
    let minutes = receipt.timeout_minutes.unwrap_or(request.project.timeout_minutes);
    request.received_at.plus_minutes(minutes)
}

fn first_receipt(receipt: &Receipt) -> FirstReceipt {
    FirstReceipt {
        event_type: receipt.event_type.clone(),
        effect_type: receipt.effect_type,
        internal_reference: receipt.internal_reference.clone(),
    }
}

fn differs(first: &FirstReceipt, again: &Receipt) -> Vec<&'static str> {
    dedupe::differs(
        &ReceiptFacts {
            event_type: &first.event_type,
            effect_type: first.effect_type,
            internal_reference: &first.internal_reference,
        },
        &ReceiptFacts {
            event_type: &again.event_type,
            effect_type: again.effect_type,
            internal_reference: &again.internal_reference,
        },
    )
}
