//! What is overdue: events without a result, and delivered replays without theirs.
//!
//! Both are found by an index that holds only what still waits, so the cost is that of what is due. The projects are
//! joined from the left, though each event has one: PostgreSQL may turn an inner join round, and look at every event
//! of every project, where it knows little of the tables yet.

use sea_orm::QueryResult;
use sendpromptly_core::id::{EventId, OrganizationId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::cases::CaseKey;
use super::rows::{self, Sql};
use super::{Dialect, Store, StoreError};

/// A case that waits for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueCase {
    /// Which one.
    pub key: CaseKey,
    /// The organization that it belongs to.
    pub organization: OrganizationId,
    /// Its place among those that wait.
    pub place: DuePlace,
}

/// A place in the order in which cases are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuePlace {
    due_at: Timestamp,
    project: ProjectId,
    id: [u8; 16],
}

impl DuePlace {
    /// The place before all cases.
    #[must_use]
    pub const fn first() -> Self {
        Self {
            due_at: Timestamp::from_millis(i64::MIN),
            project: ProjectId::from_bytes([0; 16]),
            id: [0; 16],
        }
    }
}

impl Store {
    /// The events behind this place whose time is over, those due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn overdue_events(
        &self,
        now: Timestamp,
        after: DuePlace,
        limit: u32,
    ) -> Result<Vec<DueCase>, StoreError> {
        self.due_cases(overdue_events(self.dialect, now, after, limit))
            .await
    }

    /// The events of the replays behind this place whose result has not come in time, those due first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn overdue_answers(
        &self,
        now: Timestamp,
        after: DuePlace,
        limit: u32,
    ) -> Result<Vec<DueCase>, StoreError> {
        self.due_cases(overdue_answers(self.dialect, now, after, limit))
            .await
    }

    async fn due_cases(&self, query: Sql) -> Result<Vec<DueCase>, StoreError> {
        let found = query.all(&self.reader).await?;
        found.iter().map(due_case).collect()
    }
}

fn due_case(row: &QueryResult) -> Result<DueCase, StoreError> {
    let project = ProjectId::from_bytes(rows::id(row, "project_id")?);
    Ok(DueCase {
        key: (project, EventId::from_bytes(rows::id(row, "event_id")?)),
        organization: OrganizationId::from_bytes(rows::id(row, "organization_id")?),
        place: DuePlace {
            due_at: rows::time(row, "due_at")?,
            project,
            id: rows::id(row, "id")?,
        },
    })
}

fn overdue_events(dialect: Dialect, now: Timestamp, after: DuePlace, limit: u32) -> Sql {
    let waiting = format!("events w{}", dialect.by_index("events_to_sweep"));
    overdue(&waiting, ("sweep_at", "id"), now, after, limit)
}

fn overdue_answers(dialect: Dialect, now: Timestamp, after: DuePlace, limit: u32) -> Sql {
    let waiting = format!("replays w{}", dialect.by_index("replays_to_answer"));
    overdue(&waiting, ("answer_due_at", "event_id"), now, after, limit)
}

/// What waits in `w` until the time in one of its columns, another of which names the event.
fn overdue(
    waiting: &str,
    (due_at, event_id): (&str, &str),
    now: Timestamp,
    after: DuePlace,
    limit: u32,
) -> Sql {
    // That the time is at least that of the place follows from the rest, and lets a database begin there.
    let query = Sql::new(format!(
        "SELECT w.project_id, w.id, w.{event_id} AS event_id, w.{due_at} AS due_at, p.organization_id
         FROM {waiting} LEFT JOIN projects p ON p.id = w.project_id
         WHERE w.{due_at} <= {{}} AND w.{due_at} >= {{}} AND (w.{due_at}, w.project_id, w.id) > ({{}}, {{}}, {{}})
            AND p.deleted_at IS NULL
         ORDER BY w.{due_at}, w.project_id, w.id LIMIT {limit}"
    ));
    query
        .bind(now)
        .bind(after.due_at)
        .bind(after.due_at)
        .bind(after.project.as_bytes())
        .bind(after.id)
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
            (
                overdue_events(dialect, NOW, DuePlace::first(), 500),
                "events_to_sweep",
            ),
            (
                overdue_answers(dialect, NOW, DuePlace::first(), 500),
                "replays_to_answer",
            ),
        ] {
            let plan = query.plan(reader).await;
            assert!(plan.contains(index), "{plan}");
            assert!(
                !plan.contains("TEMP B-TREE"),
                "it sorts what lies in order: {plan}"
            );
            assert!(
                !plan.contains("events_p"),
                "it reads every event of a project: {plan}"
            );
        }
    }
}
