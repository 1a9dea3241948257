//! Events and what becomes of them, for tests: receipts, results, incidents, orders, claims.

use std::collections::BTreeSet;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::case::EffectReport;
use sendpromptly_core::dedupe;
use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::id::{EventId, IncidentId, ProjectId, ReplayId};
use sendpromptly_core::replay::{Effect, RetrySchedule};
use sendpromptly_core::time::Timestamp;

use super::{NOW, TIMEOUT, World, operator, over_many};
use crate::operate::{Desk, OperateError, Reprocess};
use crate::platform::entropy;
use crate::store::Store;
use crate::store::cases::{CaseChanges, StoredCase};
use crate::store::claims::Claim;
use crate::store::incidents::IncidentRecord;
use crate::store::receipts::{self, FirstReceipt, NewEvent};
use crate::store::rows::{self, Sql};
use crate::workers;

/// What an event is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sale<'a> {
    pub(crate) provider: Provider,
    pub(crate) effect_type: EffectType,
    pub(crate) reference: &'a str,
}

const SALE: Sale<'static> = Sale {
    provider: Provider::Stripe,
    effect_type: EffectType::AccessUnlock,
    reference: "customer-7",
};

fn new_event<'a>(
    project: ProjectId,
    provider_event_id: &'a str,
    sale: &Sale<'_>,
    at: Timestamp,
) -> NewEvent<'a> {
    NewEvent {
        name: (project, dedupe::digest(provider_event_id), sale.provider),
        id: EventId::new(at, entropy::for_id()),
        timeout_at: at.plus(TIMEOUT),
        receipt: FirstReceipt {
            event_type: "invoice.paid".to_owned(),
            effect_type: sale.effect_type,
            internal_reference: sale.reference.to_owned(),
        },
        provider_event_id,
        shop_domain: None,
        occurred_at: at,
        received_at: at,
        differs: None,
    }
}

impl World {
    /// Stores a receipt of [`NOW`].
    pub(crate) async fn receive(&self, provider_event_id: &str) -> EventId {
        self.receive_for(self.project, provider_event_id).await
    }

    pub(crate) async fn receive_for(&self, project: ProjectId, provider_event_id: &str) -> EventId {
        self.receive_sale(project, provider_event_id, &SALE).await
    }

    /// Stores a receipt of [`NOW`] for such an event.
    pub(crate) async fn receive_sale(
        &self,
        project: ProjectId,
        provider_event_id: &str,
        sale: &Sale<'_>,
    ) -> EventId {
        self.receive_sale_at(project, provider_event_id, sale, NOW).await
    }

    async fn receive_sale_at(
        &self,
        project: ProjectId,
        provider_event_id: &str,
        sale: &Sale<'_>,
        at: Timestamp,
    ) -> EventId {
        let event = new_event(project, provider_event_id, sale, at);
        let (id, insert) = (event.id, receipts::insert(&[event]));
        self.store.commit_together(vec![insert]).await.unwrap();
        id
    }

    /// Stores so many receipts of [`NOW`] at once.
    pub(crate) async fn receive_many(&self, count: usize) {
        let names: Vec<_> = (0..count).map(|number| format!("evt_many_{number}")).collect();
        let events: Vec<_> = names
            .iter()
            .map(|name| new_event(self.project, name, &SALE, NOW))
            .collect();
        self.write(receipts::insert(&events)).await;
    }

    /// Stores many incidents that are settled, without their events.
    pub(crate) async fn settle_many(&self) {
        let incidents = over_many(
            "INSERT INTO incidents (project_id, id, event_id, state, reason, opened_at, resolved_at, settled_at,
                organization_id, facet, provider_event_digest)
             SELECT {}, r.id, r.id, 'resolved', 'failed', 0, r.number, r.number, {}, 3101, r.id FROM {rows}",
        );
        let incidents = incidents.bind(self.project.as_bytes());
        self.write(incidents.bind(self.organization.as_bytes())).await;
    }

    /// Takes a result, as the app sends it.
    pub(crate) async fn report(
        &self,
        event: EventId,
        effect: Effect,
        replay: Option<ReplayId>,
        at: Timestamp,
    ) {
        self.report_for(self.project, event, effect, replay, at).await;
    }

    pub(crate) async fn report_for(
        &self,
        project: ProjectId,
        event: EventId,
        effect: Effect,
        replay_id: Option<ReplayId>,
        at: Timestamp,
    ) {
        let tx = self.store.begin().await.unwrap();
        let keys = BTreeSet::from([(project, event)]);
        let stored = self
            .store
            .lock_cases(&tx, &keys)
            .await
            .unwrap()
            .remove(&(project, event));
        let stored = stored.unwrap();
        let report = EffectReport { effect, replay_id };
        let incident = IncidentId::new(at, entropy::for_id());
        let origin = Origin::system("test");
        let decision = stored
            .case
            .clone()
            .receive_result(report, incident, &origin, at)
            .unwrap();
        let mut changes = CaseChanges::default();
        changes.take(&stored, self.organization, decision, at);
        self.store
            .write_cases(&tx, &changes.into_vec(), Vec::new())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// An event whose effect failed, with its incident.
    pub(crate) async fn failed_event(&self, provider_event_id: &str) -> (EventId, IncidentId) {
        self.failed_event_of(self.project, provider_event_id).await
    }

    pub(crate) async fn failed_event_of(
        &self,
        project: ProjectId,
        provider_event_id: &str,
    ) -> (EventId, IncidentId) {
        self.failed_event_at(project, provider_event_id, NOW).await
    }

    pub(crate) async fn failed_event_at(
        &self,
        project: ProjectId,
        provider_event_id: &str,
        at: Timestamp,
    ) -> (EventId, IncidentId) {
        let event = self.receive_sale_at(project, provider_event_id, &SALE, at).await;
        self.report_for(project, event, Effect::Failed, None, at).await;
        let incident = self.store.incident_of_event(project, event).await.unwrap();
        (event, incident.unwrap().incident.id)
    }

    /// Orders so many replays, of an event each, due at once.
    pub(crate) async fn queue(&self, project: ProjectId, count: usize) -> Vec<(EventId, ReplayId)> {
        let mut queued = Vec::new();
        for number in 0..count {
            let (event, incident) = self.failed_event_of(project, &format!("evt_{number}")).await;
            let replay = self.reprocess_of(project, incident, None, false, NOW).await;
            queued.push((event, replay.unwrap()));
        }
        queued
    }

    /// Orders a reprocess.
    pub(crate) async fn reprocess(
        &self,
        incident: IncidentId,
        key: Option<&str>,
    ) -> Result<ReplayId, OperateError> {
        self.reprocess_of(self.project, incident, key, false, NOW).await
    }

    pub(crate) async fn reprocess_of(
        &self,
        project: ProjectId,
        incident: IncidentId,
        key: Option<&str>,
        again: bool,
        now: Timestamp,
    ) -> Result<ReplayId, OperateError> {
        let (origin, schedule) = (operator(), RetrySchedule::default());
        let desk = Desk {
            store: &self.store,
            project,
            incident,
            origin: &origin,
            now,
        };
        let order = Reprocess {
            key,
            again,
            schedule: &schedule,
        };
        desk.reprocess(&order).await
    }

    /// Claims what is due in the project.
    pub(crate) async fn claim(&self, now: Timestamp) -> Vec<Claim> {
        claim_on(&self.store, now).await
    }

    /// An event's case.
    pub(crate) async fn case(&self, event: EventId) -> StoredCase {
        self.case_of(self.project, event).await
    }

    pub(crate) async fn case_of(&self, project: ProjectId, event: EventId) -> StoredCase {
        let tx = self.store.begin().await.unwrap();
        let key = (project, event);
        let found = self.store.lock_cases(&tx, &BTreeSet::from([key])).await;
        tx.rollback().await.unwrap();
        found.unwrap().remove(&key).unwrap()
    }

    pub(crate) async fn incident(&self, id: IncidentId) -> IncidentRecord {
        self.store.incident(self.project, id).await.unwrap().unwrap()
    }

    /// How an attempt is recorded: its outcome, and whether it has ended.
    pub(crate) async fn attempt_outcome(&self, claim: &Claim) -> Option<String> {
        let query =
            Sql::new("SELECT outcome FROM attempts WHERE project_id = {} AND replay_id = {} AND number = {}");
        let row = query
            .bind(claim.attempt.project.as_bytes())
            .bind(claim.attempt.replay.as_bytes())
            .bind(i64::from(claim.attempt.number))
            .one(self.store.reader())
            .await
            .unwrap();
        rows::get(&row.unwrap(), "outcome").unwrap()
    }
}

/// Claims what is due, in every project, on this node.
pub(crate) async fn claim_on(store: &Store, now: Timestamp) -> Vec<Claim> {
    let first = ProjectId::from_bytes([0; 16]);
    let projects = store.projects_to_call(first, now, 64).await.unwrap();
    store.claim_calls(&projects, workers::SLOTS, now).await.unwrap()
}
