//! Results of one batch: lock their events, decide in order of arrival, and write all or nothing.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::DatabaseTransaction;
use sendpromptly_core::case::EffectReport;
use sendpromptly_core::dedupe;
use sendpromptly_core::id::{EventId, IncidentId, ProjectId};
use sendpromptly_core::request::{Candidate, FieldErrors, ResultReport, SelectError};

use super::answer;
use super::receipts::remember;
use super::request::{IngestError, IngestRequest};
use crate::platform::entropy;
use crate::store::cases::{CaseChanges, CaseKey, StoredCase};
use crate::store::results::{self, NewResult};
use crate::store::{Store, StoreError};

/// What becomes of each result, in order: the body of its 202, or why it is refused.
pub(super) type Fates = Vec<Result<String, IngestError>>;

/// A result whose key is free.
pub(super) type FreshResult<'a> = (&'a IngestRequest, &'a ResultReport);

/// Commits results whose keys are free.
pub(super) async fn commit(store: &Store, requests: &[FreshResult<'_>]) -> Result<Fates, StoreError> {
    let named = Named::by(store, requests).await?;
    let tx = store.begin().await?;
    let cases = named.lock(store, &tx).await?;

    let mut desk = Desk {
        cases: &cases,
        changes: CaseChanges::default(),
    };
    let mut fates = Fates::with_capacity(requests.len());
    let (mut taken, mut answers, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for &(request, report) in requests {
        let fate = desk.take(request, report).map(|(event, answer)| {
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
    store.write_cases(&tx, &desk.changes.into_vec(), more).await?;
    tx.commit().await?;
    Ok(fates)
}

/// The events that results may mean, named in one way, so that all locks are taken in one order.
enum Named {
    ByDigest(BTreeSet<(ProjectId, [u8; 16])>),
    ById(BTreeSet<CaseKey>),
}

impl Named {
    /// Where some are named by our id and some by the provider's, the latter are looked up. This is done before
    /// there is a transaction, for nobody may wait for a second connection while holding one. Nothing is decided
    /// on what is found: an event keeps its ids, and its case is read under its lock.
    async fn by(store: &Store, requests: &[FreshResult<'_>]) -> Result<Self, StoreError> {
        let mut keys = BTreeSet::new();
        let mut digests = BTreeSet::new();
        for (request, report) in requests {
            let project = request.project.project;
            keys.extend(report.event_id.map(|event| (project, event)));
            let ids = [&report.provider_event_id, &report.stripe_event_id];
            digests.extend(ids.into_iter().flatten().map(|id| (project, dedupe::digest(id))));
        }
        if keys.is_empty() {
            return Ok(Self::ByDigest(digests));
        }
        keys.extend(store.events_by_digest(digests).await?);
        Ok(Self::ById(keys))
    }

    async fn lock(
        self,
        store: &Store,
        tx: &DatabaseTransaction,
    ) -> Result<BTreeMap<CaseKey, StoredCase>, StoreError> {
        match self {
            Self::ByDigest(digests) => store.lock_cases_by_digest(tx, &digests).await,
            Self::ById(keys) => store.lock_cases(tx, &keys).await,
        }
    }
}

/// Where results are decided one after another, each on the case as the one before has left it.
struct Desk<'a> {
    cases: &'a BTreeMap<CaseKey, StoredCase>,
    changes: CaseChanges,
}

impl<'a> Desk<'a> {
    fn take(
        &mut self,
        request: &IngestRequest,
        report: &ResultReport,
    ) -> Result<(EventId, String), IngestError> {
        let stored = self.select(request.project.project, report)?;
        let case = self.changes.current(stored);
        let effect = EffectReport {
            effect: report.effect,
            replay_id: report.replay_id,
        };
        let new_incident = IncidentId::new(request.received_at, entropy::for_id());
        let decision = case
            .receive_result(effect, new_incident, &request.origin(), request.received_at)
            .map_err(|foreign| IngestError::Invalid(FieldErrors::one("replay_id", foreign.to_string())))?;
        let incident = decision.case.incident.as_ref().map(|incident| incident.id);
        let event = decision.case.event.id;
        let answer = answer::result(event, decision.case.event.state, incident);
        let organization = request.project.organization;
        self.changes
            .take(stored, organization, decision, request.received_at);
        Ok((event, answer))
    }

    fn select(&self, project: ProjectId, report: &ResultReport) -> Result<&'a StoredCase, IngestError> {
        let named = |stored: &&StoredCase| {
            let id = Some(stored.provider_event_id.as_str());
            stored.project == project
                && (report.event_id == Some(stored.case.event.id)
                    || report.provider_event_id.as_deref() == id
                    || report.stripe_event_id.as_deref() == id)
        };
        let stored: Vec<&'a StoredCase> = self.cases.values().filter(named).collect();
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
