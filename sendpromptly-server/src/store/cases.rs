//! Cases: an event with its incident and replays, locked, read and written as one.
//!
//! Whoever changes an incident or a replay locks its event first. So the event's row is the one lock of a
//! case; what is read after it is current until the transaction ends. Locks are taken in the order events
//! (by project and id), audit heads (by organization), then the rows that the writes touch.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::Draft;
use sendpromptly_core::case::{Case, Decision, EventStatus};
use sendpromptly_core::event::{EventState, Provider};
use sendpromptly_core::id::{EventId, IncidentId, OrganizationId, ProjectId, ReplayId};
use sendpromptly_core::incident::Incident;
use sendpromptly_core::replay::Replay;
use sendpromptly_core::time::Timestamp;

use super::audit::Drafts;
use super::receipts::EVENTS_BY_NAME;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

/// Names an event inside its project.
pub type CaseKey = (ProjectId, EventId);

/// A case and where it belongs.
#[derive(Debug, Clone)]
pub struct StoredCase {
    /// The project of the event.
    pub project: ProjectId,
    /// Whose event it is.
    pub provider: Provider,
    /// The provider's own id of the event.
    pub provider_event_id: String,
    /// The case as it is stored.
    pub case: Case,
}

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
    /// The body of the callback, where the change queues a replay.
    pub replay_body: Option<String>,
    /// When the change happens.
    pub at: Timestamp,
}

impl CaseChange {
    /// What a decision makes of a case.
    #[must_use]
    pub fn new(stored: &StoredCase, organization: OrganizationId, decision: Decision, at: Timestamp) -> Self {
        Self {
            project: stored.project,
            organization,
            before: stored.case.clone(),
            after: decision.case,
            entries: decision.entries,
            replay_body: None,
            at,
        }
    }

    /// Goes on from this change to the next decision about the same case.
    pub fn follow(&mut self, decision: Decision) {
        self.after = decision.case;
        self.entries.extend(decision.entries);
    }
}

const KEYS: &[Column] = &[Column::new("project_id", Kind::Id), Column::new("id", Kind::Id)];

fn key_rows(keys: impl IntoIterator<Item = CaseKey>) -> Rows {
    let mut rows = Rows::new(KEYS);
    for (project, event) in keys {
        rows.push([project.as_bytes().into(), event.as_bytes().into()]);
    }
    rows
}

impl Store {
    /// Locks these events until the transaction ends and gives their cases, by key. A key that names nothing
    /// is left out.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn lock_cases(
        &self,
        tx: &DatabaseTransaction,
        keys: &BTreeSet<CaseKey>,
    ) -> Result<BTreeMap<CaseKey, StoredCase>, StoreError> {
        let by_id = "ON e.project_id = r.project_id AND e.id = r.id";
        self.lock_joined(tx, by_id, key_rows(keys.iter().copied())).await
    }

    /// The same for the events that these digests of provider event ids name, of any provider.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn lock_cases_by_digest(
        &self,
        tx: &DatabaseTransaction,
        digests: &BTreeSet<(ProjectId, [u8; 16])>,
    ) -> Result<BTreeMap<CaseKey, StoredCase>, StoreError> {
        let mut wanted = Rows::new(KEYS);
        for (project, digest) in digests {
            wanted.push([project.as_bytes().into(), digest.into()]);
        }
        let by_digest = format!(
            "{} ON e.project_id = r.project_id AND e.provider_event_digest = r.id",
            self.dialect.by_index(EVENTS_BY_NAME)
        );
        self.lock_joined(tx, &by_digest, wanted).await
    }

    async fn lock_joined(
        &self,
        tx: &DatabaseTransaction,
        condition: &str,
        wanted: Rows,
    ) -> Result<BTreeMap<CaseKey, StoredCase>, StoreError> {
        let lock = self.dialect.for_update_of("e");
        let events = Sql::over(
            format!(
                "SELECT e.project_id, e.id, e.provider, e.provider_event_id, e.state, e.timeout_at, e.sweep_at
                 FROM {{rows}} JOIN events e {condition} ORDER BY e.project_id, e.id{lock}"
            ),
            wanted,
        );
        let mut cases = BTreeMap::new();
        for row in events.all(tx).await? {
            let stored = stored_event(&row)?;
            cases.insert((stored.project, stored.case.event.id), stored);
        }
        // An event that the sweep still has to look at cannot have an incident.
        let known = cases
            .iter()
            .filter(|(_, stored)| may_have_incident(&stored.case.event));
        let keys = key_rows(known.map(|(key, _)| *key));
        if keys.is_empty() {
            return Ok(cases);
        }
        for row in Sql::over(INCIDENTS, keys).all(tx).await? {
            let key = (
                ProjectId::from_bytes(rows::id(&row, "project_id")?),
                EventId::from_bytes(rows::id(&row, "event_id")?),
            );
            if let Some(stored) = cases.get_mut(&key) {
                stored.case.incident = Some(incident(&row)?);
                stored.case.replays.extend(replay(&row)?);
            }
        }
        Ok(cases)
    }
}

const INCIDENTS: &str =
    "SELECT i.project_id, i.event_id, i.id AS incident_id, i.state AS incident_state, i.reason,
        i.opened_at, i.resolved_at, p.id AS replay_id, p.state AS replay_state, p.attempts, p.steps,
        p.cut_offs, p.doubtful, p.last_status, p.next_attempt_at, p.answer_due_at
    FROM {rows} JOIN incidents i ON i.project_id = r.project_id AND i.event_id = r.id
    LEFT JOIN replays p ON p.project_id = i.project_id AND p.event_id = i.event_id
    ORDER BY p.id";

const fn may_have_incident(event: &EventStatus) -> bool {
    !matches!((event.state, event.sweep_at), (EventState::Pending, Some(_)))
}

fn stored_event(row: &QueryResult) -> Result<StoredCase, StoreError> {
    let event = EventStatus {
        id: EventId::from_bytes(rows::id(row, "id")?),
        state: rows::word(row, "state")?,
        timeout_at: rows::time(row, "timeout_at")?,
        sweep_at: rows::optional_time(row, "sweep_at")?,
    };
    Ok(StoredCase {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        provider: rows::word(row, "provider")?,
        provider_event_id: rows::get(row, "provider_event_id")?,
        case: Case::new(event),
    })
}

fn incident(row: &QueryResult) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: IncidentId::from_bytes(rows::id(row, "incident_id")?),
        state: rows::word(row, "incident_state")?,
        reason: rows::word(row, "reason")?,
        opened_at: rows::time(row, "opened_at")?,
        resolved_at: rows::optional_time(row, "resolved_at")?,
    })
}

/// Reads the replay of a joined row, if it has one.
///
/// # Errors
/// [`StoreError::Corrupt`] where a column holds something else.
pub fn replay(row: &QueryResult) -> Result<Option<Replay>, StoreError> {
    let Some(id) = rows::optional_id(row, "replay_id")? else {
        return Ok(None);
    };
    let last_status: Option<i64> = rows::get(row, "last_status")?;
    Ok(Some(Replay {
        id: ReplayId::from_bytes(id),
        state: rows::word(row, "replay_state")?,
        attempts: rows::count(row, "attempts")?,
        steps: rows::count(row, "steps")?,
        cut_offs: rows::count(row, "cut_offs")?,
        doubtful: rows::count(row, "doubtful")? != 0,
        last_status: last_status.and_then(|status| u16::try_from(status).ok()),
        next_attempt_at: rows::optional_time(row, "next_attempt_at")?,
        answer_due_at: rows::optional_time(row, "answer_due_at")?,
    }))
}

/// The statements that store these changes, except for their audit entries.
fn writes(changes: &[CaseChange]) -> Vec<Sql> {
    vec![
        event_updates(changes),
        new_incidents(changes),
        incident_updates(changes),
        new_replays(changes),
        replay_updates(changes),
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
        ]);
    }
    rows
}

fn new_incidents(changes: &[CaseChange]) -> Sql {
    let new = changes.iter().filter(|change| change.before.incident.is_none());
    Sql::over(
        "INSERT INTO incidents (project_id, id, event_id, state, reason, opened_at, resolved_at)
         SELECT r.project_id, r.id, r.event_id, r.state, r.reason, r.opened_at, r.resolved_at FROM {rows}",
        incident_rows(new.filter_map(|change| Some((change, change.after.incident.as_ref()?)))),
    )
}

fn incident_updates(changes: &[CaseChange]) -> Sql {
    let changed = changes
        .iter()
        .filter(|change| change.before.incident.is_some() && change.before.incident != change.after.incident);
    Sql::over(
        "UPDATE incidents SET state = r.state, resolved_at = r.resolved_at FROM {rows}
         WHERE incidents.project_id = r.project_id AND incidents.id = r.id",
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
    Column::optional("last_status", Kind::Int),
    Column::optional("next_attempt_at", Kind::Int),
    Column::optional("answer_due_at", Kind::Int),
    Column::new("body", Kind::Text),
    Column::new("created_at", Kind::Int),
];

fn replay_rows<'a>(changes: impl Iterator<Item = (&'a CaseChange, &'a Replay)>) -> Rows {
    let mut rows = Rows::new(REPLAY_COLUMNS);
    for (change, replay) in changes {
        let Some(incident) = &change.after.incident else {
            continue;
        };
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
            replay.last_status.map(u32::from).into(),
            replay.next_attempt_at.into(),
            replay.answer_due_at.into(),
            change.replay_body.as_deref().unwrap_or_default().into(),
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
            last_status, next_attempt_at, answer_due_at, body, created_at)
         SELECT r.project_id, r.id, r.incident_id, r.event_id, r.state, r.attempts, r.steps, r.cut_offs,
            r.doubtful, r.last_status, r.next_attempt_at, r.answer_due_at, r.body, r.created_at FROM {rows}",
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
