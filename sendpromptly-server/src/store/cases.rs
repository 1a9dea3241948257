//! Cases: an event with its incident and replays, locked, read and written as one.
//!
//! Whoever changes an incident or a replay locks its event first. So the event's row is the one lock of a
//! case; what is read after it is current until the transaction ends. Locks are taken in the order events
//! (by project and id), audit heads (by organization), then the rows that the writes touch.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::case::{Case, EventStatus};
use sendpromptly_core::event::{EventState, Provider};
use sendpromptly_core::id::{EventId, IncidentId, ProjectId, ReplayId};
use sendpromptly_core::incident::Incident;
use sendpromptly_core::replay::Replay;

use super::attempts::LeaseToken;
use super::dialect::LockClause;
use super::receipts::EVENTS_BY_NAME;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Dialect, Store, StoreError};

mod changes;

pub use changes::{CaseChange, CaseChanges, ReplayBody};

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
    /// The lease under which an attempt of its replay under way runs.
    pub lease: Option<LeaseToken>,
}

impl StoredCase {
    /// Names it.
    #[must_use]
    pub const fn key(&self) -> CaseKey {
        (self.project, self.case.event.id)
    }
}

const BY_ID: &str = "ON e.project_id = r.project_id AND e.id = r.id";

const KEYS: &[Column] = &[Column::new("project_id", Kind::Id), Column::new("id", Kind::Id)];

/// A row for each of these keys, of the columns `project_id` and `id`.
pub(super) fn key_rows(keys: impl IntoIterator<Item = CaseKey>) -> Rows {
    id_rows(
        keys.into_iter()
            .map(|(project, event)| (project, *event.as_bytes())),
    )
}

/// The same for ids of whatever kind.
pub(super) fn id_rows(ids: impl IntoIterator<Item = (ProjectId, [u8; 16])>) -> Rows {
    let mut rows = Rows::new(KEYS);
    for (project, id) in ids {
        rows.push([project.as_bytes().into(), id.into()]);
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
        let lock = self.dialect.for_update_of("e");
        self.lock_joined(tx, BY_ID, key_rows(keys.iter().copied()), lock)
            .await
    }

    /// The same without waiting: a case that another transaction has locked is left out as well.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn lock_free_cases(
        &self,
        tx: &DatabaseTransaction,
        keys: &BTreeSet<CaseKey>,
    ) -> Result<BTreeMap<CaseKey, StoredCase>, StoreError> {
        let lock = self.dialect.for_update_skip_locked("e");
        self.lock_joined(tx, BY_ID, key_rows(keys.iter().copied()), lock)
            .await
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
        let lock = self.dialect.for_update_of("e");
        self.lock_joined(tx, &by_digest, wanted, lock).await
    }

    async fn lock_joined(
        &self,
        tx: &DatabaseTransaction,
        condition: &str,
        wanted: Rows,
        lock: LockClause,
    ) -> Result<BTreeMap<CaseKey, StoredCase>, StoreError> {
        let events = Sql::over(
            format!(
                "SELECT e.project_id, e.id, e.provider, e.provider_event_id, e.state, e.timeout_at, e.sweep_at,
                    e.received_at
                 FROM {{rows}} JOIN events e {condition} ORDER BY e.project_id, e.id{lock}"
            ),
            wanted,
        );
        let mut cases = BTreeMap::new();
        for row in events.all(tx).await? {
            let stored = stored_event(&row)?;
            cases.insert(stored.key(), stored);
        }
        // An event that the sweep still has to look at cannot have an incident; that its receipt came late changes
        // nothing of it, see EventStatus::receive_receipt.
        let known = cases
            .iter()
            .filter(|(_, stored)| may_have_incident(&stored.case.event));
        let keys = key_rows(known.map(|(key, _)| *key));
        if keys.is_empty() {
            return Ok(cases);
        }
        for row in incidents_with_replays(self.dialect, keys).all(tx).await? {
            let key = (
                ProjectId::from_bytes(rows::id(&row, "project_id")?),
                EventId::from_bytes(rows::id(&row, "event_id")?),
            );
            if let Some(stored) = cases.get_mut(&key) {
                stored.case.incident = Some(incident(&row)?);
                if let Some(replay) = replay(&row)? {
                    if replay.state.is_under_way() {
                        stored.lease = rows::optional_id(&row, "lease_token")?.map(LeaseToken::from_bytes);
                    }
                    stored.case.replays.push(replay);
                }
            }
        }
        Ok(cases)
    }
}

/// What [`replay`] reads of a replay `p`. The attempts tell whether an answer was unclear, for replays of earlier versions
/// as well.
pub(super) const REPLAY_COLUMNS: &str =
    "p.id AS replay_id, p.state AS replay_state, p.attempts, p.steps, p.cut_offs, p.doubtful, p.unasked,
        p.last_status, p.next_attempt_at, p.answer_due_at,
        CAST(CASE WHEN EXISTS (SELECT 1 FROM attempts a WHERE a.project_id = p.project_id AND a.replay_id = p.id
            AND a.status BETWEEN 502 AND 504) THEN 1 ELSE 0 END AS bigint) AS unclear";

fn incidents_with_replays(dialect: Dialect, keys: Rows) -> Sql {
    let by_event = dialect.by_index("replays_by_event");
    Sql::over(
        format!(
            "SELECT i.project_id, i.event_id, i.id AS incident_id, i.state AS incident_state, i.reason,
                i.opened_at, i.resolved_at, p.lease_token, {REPLAY_COLUMNS}
             FROM {{rows}} JOIN incidents i ON i.project_id = r.project_id AND i.event_id = r.id
             LEFT JOIN replays p{by_event} ON p.project_id = i.project_id AND p.event_id = i.event_id
             ORDER BY p.id"
        ),
        keys,
    )
}

const fn may_have_incident(event: &EventStatus) -> bool {
    !matches!((event.state, event.sweep_at), (EventState::Pending, Some(_)))
}

fn stored_event(row: &QueryResult) -> Result<StoredCase, StoreError> {
    let event = EventStatus {
        id: EventId::from_bytes(rows::id(row, "id")?),
        state: rows::word(row, "state")?,
        timeout_at: rows::time(row, "timeout_at")?,
        sweep_at: rows::optional_time(row, "sweep_at")?,
        has_receipt: rows::optional_time(row, "received_at")?.is_some(),
    };
    Ok(StoredCase {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        provider: rows::word(row, "provider")?,
        provider_event_id: rows::get(row, "provider_event_id")?,
        case: Case::new(event),
        lease: None,
    })
}

pub(super) fn incident(row: &QueryResult) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: IncidentId::from_bytes(rows::id(row, "incident_id")?),
        state: rows::word(row, "incident_state")?,
        reason: rows::word(row, "reason")?,
        opened_at: rows::time(row, "opened_at")?,
        resolved_at: rows::optional_time(row, "resolved_at")?,
    })
}

/// Reads the replay of a joined row by [`REPLAY_COLUMNS`], if it has one.
pub(super) fn replay(row: &QueryResult) -> Result<Option<Replay>, StoreError> {
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
        doubtful: rows::flag(row, "doubtful")?,
        unclear: rows::flag(row, "unclear")?,
        unasked: rows::flag(row, "unasked")?,
        last_status: last_status.and_then(|status| u16::try_from(status).ok()),
        next_attempt_at: rows::optional_time(row, "next_attempt_at")?,
        answer_due_at: rows::optional_time(row, "answer_due_at")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, over_many};

    #[tokio::test]
    async fn the_replays_of_a_case_are_found_by_its_event_also_in_tables_never_analyzed() {
        let world = World::set_up().await;
        world.settle_many().await;
        let replays = over_many(
            "INSERT INTO replays (project_id, id, incident_id, event_id, state, attempts, steps, cut_offs, doubtful, body,
                created_at) SELECT {}, r.id, r.id, r.id, 'succeeded', 1, 0, 0, 0, '', r.number FROM {rows}",
        );
        world.write(replays.bind(world.project.as_bytes())).await;
        let (event, _) = world.failed_event("evt_1").await;
        let keys = key_rows([(world.project, event)]);
        let query = incidents_with_replays(world.store.dialect, keys);
        let plan = query.plan(world.store.reader()).await;
        assert!(plan.contains("replays_by_event"), "{plan}");
    }
}
