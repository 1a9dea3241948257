//! What is overdue: events without a result, and delivered replays without theirs.
//!
//! Both are found by an index that holds only what still waits, so the cost is that of what is due. The projects are
//! joined from the left, though each event has one: PostgreSQL may turn an inner join round, and look at every event
//! of every project, where it knows little of the tables yet.

use sendpromptly_core::id::{EventId, OrganizationId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::cases::CaseKey;
use super::rows::{self, Sql};
use super::{Dialect, Store, StoreError};

/// A case that waits for a decision, with the organization that it belongs to.
pub type DueCase = (CaseKey, OrganizationId);

impl Store {
    /// The events whose time is over, those due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn overdue_events(&self, now: Timestamp, limit: u32) -> Result<Vec<DueCase>, StoreError> {
        self.due_cases(overdue_events(self.dialect, now, limit)).await
    }

    /// The events of the replays whose result has not come in time, those due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn overdue_answers(&self, now: Timestamp, limit: u32) -> Result<Vec<DueCase>, StoreError> {
        self.due_cases(overdue_answers(self.dialect, now, limit)).await
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

fn overdue_events(dialect: Dialect, now: Timestamp, limit: u32) -> Sql {
    let index = dialect.by_index("events_to_sweep");
    let query = Sql::new(format!(
        "SELECT e.project_id, e.id AS event_id, p.organization_id
         FROM events e{index} LEFT JOIN projects p ON p.id = e.project_id
         WHERE e.sweep_at <= {{}} AND p.deleted_at IS NULL ORDER BY e.sweep_at LIMIT {limit}"
    ));
    query.bind(now)
}

fn overdue_answers(dialect: Dialect, now: Timestamp, limit: u32) -> Sql {
    let index = dialect.by_index("replays_to_answer");
    let query = Sql::new(format!(
        "SELECT q.project_id, q.event_id, p.organization_id
         FROM replays q{index} LEFT JOIN projects p ON p.id = q.project_id
         WHERE q.answer_due_at <= {{}} AND p.deleted_at IS NULL ORDER BY q.answer_due_at LIMIT {limit}"
    ));
    query.bind(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, World};

    /// Enough that PostgreSQL weighs what it would read, and none of it due.
    const EVENTS: usize = 3_000;

    #[tokio::test]
    async fn what_is_overdue_is_found_by_what_still_waits_also_in_tables_never_analyzed() {
        let world = World::set_up().await;
        world.receive_many(EVENTS).await;
        let (dialect, reader) = (world.store.dialect, &world.store.reader);
        for (query, index) in [
            (overdue_events(dialect, NOW, 500), "events_to_sweep"),
            (overdue_answers(dialect, NOW, 500), "replays_to_answer"),
        ] {
            let plan = query.plan(reader).await;
            assert!(plan.contains(index), "{plan}");
            assert!(
                !plan.contains("events_p"),
                "it reads every event of a project: {plan}"
            );
        }
    }
}
