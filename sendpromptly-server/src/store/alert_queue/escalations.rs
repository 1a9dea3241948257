//! Incidents that stay open: when the second destinations are to be told of them.

use std::collections::BTreeMap;

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::alert::News;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;

use super::batch;
use super::hand_on::{Change, Door};
use crate::store::rows::{self, Column, Kind, Rows, Sql};
use crate::store::{Store, StoreError};

const TIMES: &[Column] = &[
    Column::new("project_id", Kind::Id),
    Column::new("subject_id", Kind::Id),
    Column::new("due_at", Kind::Int),
];

const KEYS: &[Column] = &[
    Column::new("project_id", Kind::Id),
    Column::new("subject_id", Kind::Id),
];

impl Store {
    /// The incidents that have been open for too long. Of those that are settled nothing is told, nor where the project
    /// no longer asks for it.
    pub(super) async fn take_escalations(
        &self,
        tx: &DatabaseTransaction,
        now: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        let (limit, skip) = (batch(self.dialect), self.dialect.for_update_skip_locked("s"));
        let take = Sql::new(format!(
            "DELETE FROM alert_escalations WHERE (project_id, subject_id) IN
                (SELECT s.project_id, s.subject_id FROM alert_escalations s WHERE s.due_at <= {{}}
                 ORDER BY s.due_at LIMIT {limit}{skip})
             RETURNING project_id, subject_id"
        ));
        let mut due = Rows::new(KEYS);
        for row in take.bind(now).all(tx).await? {
            due.push([
                rows::id(&row, "project_id")?.into(),
                rows::id(&row, "subject_id")?.into(),
            ]);
        }
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let open = Sql::over(
            "SELECT i.project_id, i.id AS subject_id FROM {rows}
             JOIN projects p ON p.id = r.project_id AND p.escalate_minutes IS NOT NULL
             JOIN incidents i ON i.project_id = r.project_id AND i.id = r.subject_id
             WHERE i.state IN ('open', 'reprocessing')",
            due,
        );
        let found = open.all(tx).await?;
        let escalated = |row: &QueryResult| {
            Ok(Change {
                project: ProjectId::from_bytes(rows::id(row, "project_id")?),
                subject: rows::id(row, "subject_id")?,
                news: News::Escalated,
                at: now,
            })
        };
        found.iter().map(escalated).collect()
    }
}

/// The statements that note when incidents are to be told of that stay open, and forget it of those that are resolved. One
/// that a repair has not settled is open for as long as before.
pub(super) fn note(changes: &[Change], doors: &[Door]) -> [Sql; 2] {
    let mut last = BTreeMap::new();
    for change in changes {
        let key = (change.project, change.subject);
        match change.news {
            News::Opened | News::Reopened => {
                if let Some(due_at) = due_at(change, doors) {
                    last.entry(key).or_insert(Some(due_at));
                }
            }
            News::Resolved => {
                last.insert(key, None);
            }
            News::Escalated | News::Silent | News::Heard => {}
        }
    }
    let (mut set, mut drop) = (Rows::new(TIMES), Rows::new(KEYS));
    for ((project, incident), due_at) in last {
        match due_at {
            Some(due_at) => set.push([project.as_bytes().into(), incident.into(), due_at.into()]),
            None => drop.push([project.as_bytes().into(), incident.into()]),
        }
    }
    let set = Sql::over(
        "INSERT INTO alert_escalations (project_id, subject_id, due_at)
         SELECT r.project_id, r.subject_id, r.due_at FROM {rows} WHERE true
         ON CONFLICT (project_id, subject_id) DO NOTHING",
        set,
    );
    let drop = Sql::over(
        "DELETE FROM alert_escalations WHERE (project_id, subject_id) IN
            (SELECT r.project_id, r.subject_id FROM {rows})",
        drop,
    );
    [set, drop]
}

fn due_at(change: &Change, doors: &[Door]) -> Option<Timestamp> {
    let mut seconds = doors
        .iter()
        .filter(|door| door.project == change.project && door.escalation);
    let minutes = seconds.next()?.escalate_minutes?;
    Some(change.at.plus_millis(minutes * 60_000))
}
