//! What is overdue: events without a result, and delivered replays without theirs.
//!
//! Both are found by an index that holds only what still waits, so the cost is that of what is due. Whoever
//! looks passes over what another has locked, and leaves it to the next look.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::DatabaseTransaction;
use sendpromptly_core::id::{EventId, OrganizationId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::cases::{CaseKey, StoredCase, stored_event};
use super::rows::{self, Sql};
use super::{Store, StoreError};

/// A locked case with the organization that it belongs to.
pub type OwnedCase = (StoredCase, OrganizationId);

impl Store {
    /// Whether the time of an event is over. It locks nothing, so a look that finds nothing is in nobody's way.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn has_overdue_events(&self, now: Timestamp) -> Result<bool, StoreError> {
        let index = self.dialect.by_index("events_to_sweep");
        let query = Sql::new(format!(
            "SELECT 1 FROM events e{index} WHERE e.sweep_at <= {{}} LIMIT 1"
        ));
        Ok(query.bind(now).one(&self.reader).await?.is_some())
    }

    /// Whether a delivered replay's result has not come in time.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn has_overdue_answers(&self, now: Timestamp) -> Result<bool, StoreError> {
        let index = self.dialect.by_index("replays_to_answer");
        let query = Sql::new(format!(
            "SELECT 1 FROM replays q{index} WHERE q.answer_due_at <= {{}} LIMIT 1"
        ));
        Ok(query.bind(now).one(&self.reader).await?.is_some())
    }

    /// Locks the events whose time is over and gives their cases, those due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn lock_overdue_events(
        &self,
        tx: &DatabaseTransaction,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<OwnedCase>, StoreError> {
        let (index, lock) = (
            self.dialect.by_index("events_to_sweep"),
            self.dialect.for_update_skip_locked("e"),
        );
        // An event that is to be swept has no incident, so it is the whole case.
        let query = Sql::new(format!(
            "SELECT e.project_id, e.id, e.provider, e.provider_event_id, e.state, e.timeout_at, e.sweep_at,
                p.organization_id
             FROM events e{index} JOIN projects p ON p.id = e.project_id
             WHERE e.sweep_at <= {{}} ORDER BY e.sweep_at LIMIT {limit}{lock}"
        ));
        let found = query.bind(now).all(tx).await?;
        found
            .iter()
            .map(|row| {
                let organization = OrganizationId::from_bytes(rows::id(row, "organization_id")?);
                Ok((stored_event(row)?, organization))
            })
            .collect()
    }

    /// Locks the cases of the replays whose result has not come in time, those due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn lock_overdue_answers(
        &self,
        tx: &DatabaseTransaction,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<OwnedCase>, StoreError> {
        let (index, lock) = (
            self.dialect.by_index("replays_to_answer"),
            self.dialect.for_update_skip_locked("e"),
        );
        let query = Sql::new(format!(
            "SELECT q.project_id, q.event_id, p.organization_id
             FROM replays q{index}
             JOIN events e ON e.project_id = q.project_id AND e.id = q.event_id
             JOIN projects p ON p.id = q.project_id
             WHERE q.answer_due_at <= {{}} ORDER BY q.answer_due_at LIMIT {limit}{lock}"
        ));
        let mut owners: BTreeMap<CaseKey, OrganizationId> = BTreeMap::new();
        for row in query.bind(now).all(tx).await? {
            let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
            let event = EventId::from_bytes(rows::id(&row, "event_id")?);
            owners.insert(
                (project, event),
                OrganizationId::from_bytes(rows::id(&row, "organization_id")?),
            );
        }
        if owners.is_empty() {
            return Ok(Vec::new());
        }
        // What that query read may be older than its locks.
        let keys: BTreeSet<CaseKey> = owners.keys().copied().collect();
        let cases = self.lock_cases(tx, &keys).await?;
        Ok(cases
            .into_iter()
            .filter_map(|(key, stored)| Some((stored, *owners.get(&key)?)))
            .collect())
    }
}
