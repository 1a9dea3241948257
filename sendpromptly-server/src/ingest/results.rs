//! Results of one batch: lock their events, decide in order of arrival, and write all or nothing.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashMap};

use sendpromptly_core::case::EffectReport;
use sendpromptly_core::dedupe;
use sendpromptly_core::id::{EventId, IncidentId, ProjectId};
use sendpromptly_core::request::{Candidate, FieldErrors, ResultReport, SelectError};

use super::answer;
use super::receipts::remember;
use super::request::{IngestError, IngestRequest};
use crate::platform::entropy;
use crate::store::cases::{CaseChange, CaseKey, StoredCase};
use crate::store::results::{self, NewResult};
use crate::store::{Store, StoreError};

/// What becomes of each result, in order: the body of its 202, or why it is refused.
pub(super) type Fates = Vec<Result<String, IngestError>>;

/// A result whose key is free.
pub(super) type FreshResult<'a> = (&'a IngestRequest, &'a ResultReport);

/// Commits results whose keys are free.
pub(super) async fn commit(store: &Store, requests: &[FreshResult<'_>]) -> Result<Fates, StoreError> {
    let named = named_events(store, requests).await?;
    let tx = store.begin().await?;
    let cases = store
        .lock_cases(&tx, &named.iter().flatten().copied().collect::<BTreeSet<_>>())
        .await?;

    let mut desk = Desk {
        cases: &cases,
        changes: BTreeMap::new(),
    };
    let mut fates = Fates::with_capacity(requests.len());
    let (mut taken, mut answers, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for (&(request, report), named) in requests.iter().zip(&named) {
        let fate = desk.take(request, report, named).map(|(event, answer)| {
            taken.push(request);
            answers.push(answer.clone());
            rows.push(new_result(request, report, event));
            answer
        });
        fates.push(fate);
    }
    if taken.is_empty() {
        tx.rollback().await?;
        return Ok(fates);
    }
    let more = vec![results::insert(rows), remember(taken.into_iter(), &answers)];
    let changes: Vec<CaseChange> = desk.changes.into_values().collect();
    store.write_cases(&tx, &changes, more).await?;
    tx.commit().await?;
    Ok(fates)
}

/// The events that each result may mean, by the ids in it.
async fn named_events(store: &Store, requests: &[FreshResult<'_>]) -> Result<Vec<Vec<CaseKey>>, StoreError> {
    let digests: Vec<Vec<[u8; 16]>> = requests.iter().map(|(_, report)| digests(report)).collect();
    let wanted: BTreeSet<(ProjectId, [u8; 16])> = requests
        .iter()
        .zip(&digests)
        .flat_map(|((request, _), digests)| digests.iter().map(|digest| (request.project.project, *digest)))
        .collect();
    let mut known: HashMap<(ProjectId, [u8; 16]), Vec<CaseKey>> = HashMap::new();
    for (project, digest, event) in store.events_by_digest(wanted).await? {
        known.entry((project, digest)).or_default().push((project, event));
    }
    let events = requests.iter().zip(&digests).map(|((request, report), digests)| {
        let project = request.project.project;
        let by_digest = digests
            .iter()
            .filter_map(|digest| known.get(&(project, *digest)))
            .flatten()
            .copied();
        report
            .event_id
            .map(|event| (project, event))
            .into_iter()
            .chain(by_digest)
            .collect()
    });
    Ok(events.collect())
}

fn digests(report: &ResultReport) -> Vec<[u8; 16]> {
    let ids = [&report.provider_event_id, &report.stripe_event_id];
    ids.into_iter().flatten().map(|id| dedupe::digest(id)).collect()
}

/// Where results are decided one after another, each on the case as the one before has left it.
struct Desk<'a> {
    cases: &'a BTreeMap<CaseKey, StoredCase>,
    changes: BTreeMap<CaseKey, CaseChange>,
}

impl<'a> Desk<'a> {
    fn take(
        &mut self,
        request: &IngestRequest,
        report: &ResultReport,
        named: &[CaseKey],
    ) -> Result<(EventId, String), IngestError> {
        let stored = self.select(report, named)?;
        let key = (stored.project, stored.case.event.id);
        let change = self.changes.entry(key);
        let case = match &change {
            Entry::Occupied(change) => change.get().after.clone(),
            Entry::Vacant(_) => stored.case.clone(),
        };
        let effect = EffectReport {
            effect: report.effect,
            replay_id: report.replay_id,
        };
        let new_incident = IncidentId::new(request.received_at, entropy::bytes());
        let decision = case
            .receive_result(effect, new_incident, &request.origin(), request.received_at)
            .map_err(|foreign| IngestError::Invalid(FieldErrors::one("replay_id", foreign.to_string())))?;
        let incident = decision.case.incident.as_ref().map(|incident| incident.id);
        let answer = answer::result(key.1, decision.case.event.state, incident);
        match change {
            Entry::Occupied(mut change) => change.get_mut().follow(decision),
            Entry::Vacant(place) => {
                let organization = request.project.organization;
                place.insert(CaseChange::new(
                    stored,
                    organization,
                    decision,
                    request.received_at,
                ));
            }
        }
        Ok((key.1, answer))
    }

    fn select(&self, report: &ResultReport, named: &[CaseKey]) -> Result<&'a StoredCase, IngestError> {
        let stored: Vec<&'a StoredCase> = named.iter().filter_map(|key| self.cases.get(key)).collect();
        let candidates: Vec<Candidate<'_>> = stored
            .iter()
            .map(|stored| Candidate {
                id: stored.case.event.id,
                provider: stored.provider,
                provider_event_id: &stored.provider_event_id,
            })
            .collect();
        match report.select(&candidates) {
            Ok(index) => Ok(stored[index]),
            Err(SelectError::NotFound) => Err(IngestError::EventNotFound),
            Err(SelectError::Invalid(fields)) => Err(IngestError::Invalid(fields)),
        }
    }
}

fn new_result<'a>(request: &IngestRequest, report: &'a ResultReport, event: EventId) -> NewResult<'a> {
    NewResult {
        project: request.project.project,
        event,
        effect: report.effect,
        error_code: report.error_code.as_deref(),
        error_message: report.error_message.as_deref(),
        replay: report.replay_id,
        received_at: request.received_at,
    }
}
