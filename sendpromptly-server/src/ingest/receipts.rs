//! Receipts of one batch: look, decide, and write all or nothing.

use std::collections::{BTreeMap, HashMap};

use sendpromptly_core::dedupe::{self, ReceiptFacts};
use sendpromptly_core::request::Receipt;

use super::answer;
use super::request::{IngestRequest, NewReceipt};
use crate::store::cases::CaseKey;
use crate::store::idempotency::{self, NewAnswer};
use crate::store::receipts::{self, KnownEvent, NewEvent, ProviderEventName};
use crate::store::rows::Sql;
use crate::store::snapshots::{self, NewSnapshot};

/// What a batch of receipts writes, and the answer to each, in order.
#[derive(Debug)]
pub(super) struct ReceiptPlan {
    pub(super) writes: Vec<Sql>,
    pub(super) answers: Vec<String>,
}

/// The name under which an event is unique.
pub(super) fn event_name(request: &IngestRequest, receipt: &Receipt) -> ProviderEventName {
    let digest = dedupe::digest(&receipt.provider_event_id);
    (request.project.project, digest, receipt.provider)
}

/// Decides on receipts whose keys are free, given the events that are known.
pub(super) fn plan(
    requests: &[(&IngestRequest, &NewReceipt)],
    known: &HashMap<ProviderEventName, KnownEvent>,
) -> ReceiptPlan {
    let mut new: Vec<NewEvent<'_>> = Vec::with_capacity(requests.len());
    let mut made_here: HashMap<ProviderEventName, usize> = HashMap::with_capacity(requests.len());
    let mut differences: BTreeMap<CaseKey, String> = BTreeMap::new();
    let mut answers = Vec::with_capacity(requests.len());
    let mut payloads: Vec<NewSnapshot<'_>> = Vec::new();

    for &(request, new_receipt) in requests {
        let receipt = &new_receipt.receipt;
        let name = event_name(request, receipt);
        if let Some(first) = known.get(&name) {
            let differs = differs(first, receipt);
            if !differs.is_empty() {
                differences.insert((request.project.project, first.id), differs.join(","));
            }
            answers.push(answer::receipt(first.id, first.timeout_at, Some(&differs)));
        } else if let Some(&index) = made_here.get(&name) {
            let first = &mut new[index];
            let differs = differs(&first.known, receipt);
            if !differs.is_empty() {
                first.differs = Some(differs.join(","));
            }
            answers.push(answer::receipt(
                first.known.id,
                first.known.timeout_at,
                Some(&differs),
            ));
        } else {
            let event = new_event(request, new_receipt, name);
            payloads.extend(snapshot(request, new_receipt));
            answers.push(answer::receipt(event.known.id, event.known.timeout_at, None));
            made_here.insert(name, new.len());
            new.push(event);
        }
    }
    // In the order of their keys, so that two batches wait for each other in one direction only; so are the
    // differences.
    new.sort_unstable_by_key(|event| event.name);
    payloads.sort_unstable_by_key(|payload| (payload.project, payload.event));

    let differences = differences
        .iter()
        .map(|((project, event), differs)| (*project, *event, differs.as_str()));
    let writes = vec![
        receipts::insert(&new),
        snapshots::insert(payloads),
        remember(requests.iter().map(|(request, _)| *request), &answers),
        receipts::note_differences(differences),
    ];
    ReceiptPlan { writes, answers }
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
/// an id that nothing has, are dropped.
fn snapshot<'a>(request: &IngestRequest, receipt: &'a NewReceipt) -> Option<NewSnapshot<'a>> {
    let payload = receipt.payload.as_ref()?;
    Some(NewSnapshot {
        project: request.project.project,
        event: receipt.event,
        era: payload.era,
        sealed: &payload.sealed,
    })
}

fn new_event<'a>(
    request: &IngestRequest,
    NewReceipt { event, receipt, .. }: &'a NewReceipt,
    name: ProviderEventName,
) -> NewEvent<'a> {
    let minutes = receipt.timeout_minutes.unwrap_or(request.project.timeout_minutes);
    NewEvent {
        name,
        known: KnownEvent {
            id: *event,
            timeout_at: request.received_at.plus_minutes(minutes),
            event_type: receipt.event_type.clone(),
            effect_type: receipt.effect_type,
            internal_reference: receipt.internal_reference.clone(),
        },
        provider_event_id: &receipt.provider_event_id,
        shop_domain: receipt.shop_domain.as_deref(),
        occurred_at: receipt.occurred_at,
        received_at: request.received_at,
        differs: None,
    }
}

fn differs(first: &KnownEvent, again: &Receipt) -> Vec<&'static str> {
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
