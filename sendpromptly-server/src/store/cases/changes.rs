//! What decisions change in cases, and how that is written: events, incidents and replays in one step, with
//! the audit entries of the change.

use std::collections::BTreeMap;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::Draft;
use sendpromptly_core::case::{Case, Decision};
use sendpromptly_core::id::{OrganizationId, ProjectId};
use sendpromptly_core::incident::Incident;
use sendpromptly_core::replay::Replay;
use sendpromptly_core::time::Timestamp;

use super::{CaseKey, StoredCase};
use crate::store::alert_queue;
use crate::store::audit::Drafts;
use crate::store::incident_facets;
use crate::store::rows::{self, Column, Kind, Rows, Sql};
use crate::store::{Store, StoreError};

/// A case's change, on its way into the store.
#[derive(Debug, Clone)]
pub struct CaseChange {
    /// The project of the event.
    pub project: ProjectId,
    /// The organization of the project, whose audit log takes the entries.
    pub organization: OrganizationId,
    /// As it is stored.
    pub before: Case,
    /// As it should be.
    pub after: Case,
    /// The audit entries of the change.
    pub entries: Vec<Draft>,
    /// What the callback says, where the change queues a replay.
    pub replay_body: Option<ReplayBody>,
    /// When the change happens.
    pub at: Timestamp,
}

/// What the callbacks of a replay say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayBody {
    /// The body.
    pub json: String,
    /// Whether the payload that is kept of the event goes along.
    pub with_payload: bool,
}

/// The changes of one transaction: each decision about a case goes on from the one before.
#[derive(Debug, Default)]
pub struct CaseChanges(BTreeMap<CaseKey, CaseChange>);

impl CaseChanges {
    /// The case as the decisions so far have left it.
    #[must_use]
    pub fn current(&self, stored: &StoredCase) -> Case {
        let change = self.0.get(&stored.key());
        change.map_or(&stored.case, |change| &change.after).clone()
    }

    /// Takes the next decision about this case.
    pub fn take(
        &mut self,
        stored: &StoredCase,
        organization: OrganizationId,
        decision: Decision,
        at: Timestamp,
    ) {
        let change = self.0.entry(stored.key()).or_insert_with(|| CaseChange {
            project: stored.project,
            organization,
            before: stored.case.clone(),
            after: stored.case.clone(),
            entries: Vec::new(),
            replay_body: None,
            at,
        });
        change.after = decision.case;
        change.entries.extend(decision.entries);
    }

    /// Gives the replay that a decision has queued its callback's body.
    pub fn set_replay_body(&mut self, stored: &StoredCase, body: ReplayBody) {
        if let Some(change) = self.0.get_mut(&stored.key()) {
            change.replay_body = Some(body);
        }
    }

    /// The changes, in the order of their cases.
    #[must_use]
    pub fn into_vec(self) -> Vec<CaseChange> {
        self.0.into_values().collect()
    }
}

/// The statements that store these changes, except for their audit entries.
fn writes(changes: &[CaseChange]) -> Vec<Sql> {
    vec![
        event_updates(changes),
        new_incidents(changes),
        incident_updates(changes),
        new_replays(changes),
        replay_updates(changes),
        alert_queue::news(changes),
    ]
}

fn event_updates(changes: &[CaseChange]) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("id", Kind::Id),
        Column::new("state", Kind::Text),
        Column::optional("sweep_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for change in changes
        .iter()
        .filter(|change| change.before.event != change.after.event)
    {
        let event = &change.after.event;
        rows.push([
            change.project.as_bytes().into(),
            event.id.as_bytes().into(),
            event.state.as_str().into(),
            event.sweep_at.into(),
        ]);
    }
    Sql::over(
        "UPDATE events SET state = r.state, sweep_at = r.sweep_at FROM {rows}
         WHERE events.project_id = r.project_id AND events.id = r.id",
        rows,
    )
}

const INCIDENT_COLUMNS: &[Column] = &[
    Column::new("project_id", Kind::Id),
    Column::new("id", Kind::Id),
    Column::new("event_id", Kind::Id),
    Column::new("state", Kind::Text),
    Column::new("reason", Kind::Text),
    Column::new("opened_at", Kind::Int),
    Column::optional("resolved_at", Kind::Int),
    Column::new("organization_id", Kind::Id),
    Column::new("state_facet", Kind::Int),
    Column::optional("settled_at", Kind::Int),
];

fn incident_rows<'a>(changes: impl Iterator<Item = (&'a CaseChange, &'a Incident)>) -> Rows {
    let mut rows = Rows::new(INCIDENT_COLUMNS);
    for (change, incident) in changes {
        rows.push([
            change.project.as_bytes().into(),
            incident.id.as_bytes().into(),
            change.after.event.id.as_bytes().into(),
            incident.state.as_str().into(),
            incident.reason.as_str().into(),
            incident.opened_at.into(),
            incident.resolved_at.into(),
            change.organization.as_bytes().into(),
            incident_facets::of_state(incident.state).into(),
            incident.state.is_settled().then_some(change.at).into(),
        ]);
    }
    rows
}

/// An incident takes from its event what the list is searched and filtered by.
fn new_incidents(changes: &[CaseChange]) -> Sql {
    let new = changes.iter().filter(|change| change.before.incident.is_none());
    Sql::over(
        format!(
            "INSERT INTO incidents (project_id, id, event_id, state, reason, opened_at, resolved_at,
                organization_id, facet, internal_reference, provider_event_digest)
             SELECT r.project_id, r.id, r.event_id, r.state, r.reason, r.opened_at, r.resolved_at,
                r.organization_id, r.state_facet + {}, e.internal_reference, e.provider_event_digest
             FROM {{rows}} JOIN events e ON e.project_id = r.project_id AND e.id = r.event_id",
            incident_facets::of_event("e")
        ),
        incident_rows(new.filter_map(|change| Some((change, change.after.incident.as_ref()?)))),
    )
}

fn incident_updates(changes: &[CaseChange]) -> Sql {
    let changed = changes
        .iter()
        .filter(|change| change.before.incident.is_some() && change.before.incident != change.after.incident);
    Sql::over(
        format!(
            "UPDATE incidents SET state = r.state, resolved_at = r.resolved_at, settled_at = r.settled_at, facet = {} FROM {{rows}}
             WHERE incidents.project_id = r.project_id AND incidents.id = r.id",
            incident_facets::with_state("incidents.facet", "r.state_facet")
        ),
        incident_rows(changed.filter_map(|change| Some((change, change.after.incident.as_ref()?)))),
    )
}

const REPLAY_COLUMNS: &[Column] = &[
    Column::new("project_id", Kind::Id),
    Column::new("id", Kind::Id),
    Column::new("incident_id", Kind::Id),
    Column::new("event_id", Kind::Id),
    Column::new("state", Kind::Text),
    Column::new("attempts", Kind::Int),
    Column::new("steps", Kind::Int),
    Column::new("cut_offs", Kind::Int),
    Column::new("doubtful", Kind::Int),
    Column::new("unasked", Kind::Int),
    Column::optional("last_status", Kind::Int),
    Column::optional("next_attempt_at", Kind::Int),
    Column::optional("answer_due_at", Kind::Int),
    Column::new("body", Kind::Text),
    Column::new("with_payload", Kind::Int),
    Column::new("created_at", Kind::Int),
];

fn replay_rows<'a>(changes: impl Iterator<Item = (&'a CaseChange, &'a Replay)>) -> Rows {
    let mut rows = Rows::new(REPLAY_COLUMNS);
    for (change, replay) in changes {
        let Some(incident) = &change.after.incident else {
            continue;
        };
        let body = change.replay_body.as_ref();
        rows.push([
            change.project.as_bytes().into(),
            replay.id.as_bytes().into(),
            incident.id.as_bytes().into(),
            change.after.event.id.as_bytes().into(),
            replay.state.as_str().into(),
            replay.attempts.into(),
            replay.steps.into(),
            replay.cut_offs.into(),
            replay.doubtful.into(),
            replay.unasked.into(),
            replay.last_status.map(u32::from).into(),
            replay.next_attempt_at.into(),
            replay.answer_due_at.into(),
            body.map_or("", |body| body.json.as_str()).into(),
            body.is_some_and(|body| body.with_payload).into(),
            change.at.into(),
        ]);
    }
    rows
}

fn new_replays(changes: &[CaseChange]) -> Sql {
    let new = changes.iter().flat_map(|change| {
        change
            .after
            .replays
            .iter()
            .skip(change.before.replays.len())
            .map(move |replay| (change, replay))
    });
    Sql::over(
        "INSERT INTO replays (project_id, id, incident_id, event_id, state, attempts, steps, cut_offs, doubtful,
            unasked, last_status, next_attempt_at, answer_due_at, body, with_payload, created_at)
         SELECT r.project_id, r.id, r.incident_id, r.event_id, r.state, r.attempts, r.steps, r.cut_offs,
            r.doubtful, r.unasked, r.last_status, r.next_attempt_at, r.answer_due_at, r.body, r.with_payload,
            r.created_at FROM {rows}",
        replay_rows(new),
    )
}

/// A change of a replay ends the lease under which an attempt runs, if there is one.
fn replay_updates(changes: &[CaseChange]) -> Sql {
    let changed = changes.iter().flat_map(|change| {
        let pairs = change.before.replays.iter().zip(&change.after.replays);
        pairs
            .filter(|(before, after)| before != after)
            .map(move |(_, after)| (change, after))
    });
    Sql::over(
        "UPDATE replays SET state = r.state, attempts = r.attempts, steps = r.steps, cut_offs = r.cut_offs,
            doubtful = r.doubtful, last_status = r.last_status, next_attempt_at = r.next_attempt_at,
            answer_due_at = r.answer_due_at, lease_token = NULL FROM {rows}
         WHERE replays.project_id = r.project_id AND replays.id = r.id",
        replay_rows(changed),
    )
}

impl Store {
    /// Stores these changes and whatever else belongs to them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause; the transaction is then undone.
    pub async fn write_cases(
        &self,
        tx: &DatabaseTransaction,
        changes: &[CaseChange],
        more: Vec<Sql>,
    ) -> Result<(), StoreError> {
        let mut drafts = Drafts::new();
        for change in changes.iter().filter(|change| !change.entries.is_empty()) {
            let entries = change.entries.iter().map(|draft| (change.at, draft.clone()));
            drafts.entry(change.organization).or_default().extend(entries);
        }
        let audit = self.chain_drafts(tx, &drafts).await?;
        rows::write_together(tx, writes(changes).into_iter().chain(more).chain(audit)).await
    }
}
