//! What is overdue: events without a result, and delivered replays without theirs.
//!
//! Both are found by an index that holds only what still waits, so the cost is that of what is due.

use sendpromptly_core::id::{EventId, OrganizationId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::cases::CaseKey;
use super::rows::{self, Sql};
use super::{Store, StoreError};

/// A case that waits for a decision, with the organization that it belongs to.
pub type DueCase = (CaseKey, OrganizationId);

impl Store {
    /// The events whose time is over, those due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn overdue_events(&self, now: Timestamp, limit: u32) -> Result<Vec<DueCase>, StoreError> {
        let index = self.dialect.by_index("events_to_sweep");
        let query = Sql::new(format!(
            "SELECT e.project_id, e.id AS event_id, p.organization_id
             FROM events e{index} JOIN projects p ON p.id = e.project_id
             WHERE e.sweep_at <= {{}} AND p.deleted_at IS NULL ORDER BY e.sweep_at LIMIT {limit}"
        ));
        self.due_cases(query.bind(now)).await
    }

    /// The events of the replays whose result has not come in time, those due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn overdue_answers(&self, now: Timestamp, limit: u32) -> Result<Vec<DueCase>, StoreError> {
        let index = self.dialect.by_index("replays_to_answer");
        let query = Sql::new(format!(
            "SELECT q.project_id, q.event_id, p.organization_id
             FROM replays q{index} JOIN projects p ON p.id = q.project_id
             WHERE q.answer_due_at <= {{}} AND p.deleted_at IS NULL ORDER BY q.answer_due_at LIMIT {limit}"
        ));
        self.due_cases(query.bind(now)).await
    }

    async fn due_cases(&self, query: Sql) -> Result<Vec<DueCase>, StoreError> {
        let found = query.all(&self.reader).await?;
        found
            .iter()
            .map(|row| {
                let project = ProjectId::from_bytes(rows::id(row, "project_id")?);
                let event = EventId::from_bytes(rows::id(row, "event_id")?);
                let organization = OrganizationId::from_bytes(rows::id(row, "organization_id")?);
                Ok(((project, event), organization))
            })
            .collect()
    }
}
