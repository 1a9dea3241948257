//! Handing news on: written with the change that they tell of, then put into the queue of each destination.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::alert::{self, News};
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;

use crate::platform::entropy;
use crate::store::cases::CaseChange;
use crate::store::retry::retried;
use crate::store::rows::{self, Column, Kind, Rows, Sql, write_together};
use crate::store::{Store, StoreError};

/// News that are handed on together.
const BATCH: usize = 200;

/// News to hand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    project: ProjectId,
    subject: [u8; 16],
    news: News,
    at: Timestamp,
}

/// A destination that news are handed on to.
#[derive(Debug)]
struct Door {
    project: ProjectId,
    id: [u8; 16],
    escalation: bool,
    due_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    escalate_minutes: Option<i64>,
}

/// What is news in these changes of cases, for those of projects that have destinations.
pub(in crate::store) fn news(changes: &[CaseChange]) -> Sql {
    let mut news = Rows::new(CHANGES);
    for change in changes {
        let after = change.after.incident.as_ref();
        let told = alert::news_of(change.before.incident.as_ref(), after);
        if let (Some(told), Some(incident)) = (told, after) {
            let id = entropy::ordered_id(change.at);
            news.push([
                change.project.as_bytes().into(),
                id.into(),
                incident.id.as_bytes().into(),
                told.as_str().into(),
                change.at.into(),
            ]);
        }
    }
    Sql::over(
        "INSERT INTO alert_changes (project_id, id, subject_id, news, at)
         SELECT r.project_id, r.id, r.subject_id, r.news, r.at FROM {rows}
         WHERE EXISTS (SELECT 1 FROM alert_destinations d WHERE d.project_id = r.project_id)",
        news,
    )
}

const CHANGES: &[Column] = &[
    Column::new("project_id", Kind::Id),
    Column::new("id", Kind::Id),
    Column::new("subject_id", Kind::Id),
    Column::new("news", Kind::Text),
    Column::new("at", Kind::Int),
];

impl Store {
    /// Hands news on to their destinations, a batch at most; gives whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn hand_on_alerts(&self, now: Timestamp) -> Result<bool, StoreError> {
        // On SQLite a look spares the one writer a transaction, when there is nothing.
        let waits = Sql::new(
            "SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM alert_changes)
                OR EXISTS (SELECT 1 FROM alert_escalations WHERE due_at <= {})",
        );
        if waits.bind(now).one(&self.reader).await?.is_none() {
            return Ok(false);
        }
        retried(|| self.try_hand_on(now)).await
    }

    async fn try_hand_on(&self, now: Timestamp) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        let mut changes = self.take_changes(&tx).await?;
        changes.extend(self.take_escalations(&tx, now).await?);
        if !changes.is_empty() {
            let doors = self.lock_doors(&tx, &changes).await?;
            write_together(&tx, hand_on(&changes, &doors, now)).await?;
        }
        tx.commit().await?;
        Ok(changes.len() >= BATCH)
    }

    async fn take_changes(&self, tx: &DatabaseTransaction) -> Result<Vec<Change>, StoreError> {
        let skip = self.dialect.for_update_skip_locked("c");
        let take = Sql::new(format!(
            "DELETE FROM alert_changes WHERE (project_id, id) IN
                (SELECT c.project_id, c.id FROM alert_changes c LIMIT {BATCH}{skip})
             RETURNING project_id, subject_id, news, at"
        ));
        let mut changes = Vec::new();
        for row in take.all(tx).await? {
            changes.extend(change(&row)?);
        }
        changes.sort_by_key(|change| change.at);
        Ok(changes)
    }

    /// The incidents that have been open for too long. Of those that are settled nothing is told.
    async fn take_escalations(
        &self,
        tx: &DatabaseTransaction,
        now: Timestamp,
    ) -> Result<Vec<Change>, StoreError> {
        const KEYS: &[Column] = &[
            Column::new("project_id", Kind::Id),
            Column::new("subject_id", Kind::Id),
        ];
        let skip = self.dialect.for_update_skip_locked("s");
        let take = Sql::new(format!(
            "DELETE FROM alert_escalations WHERE (project_id, subject_id) IN
                (SELECT s.project_id, s.subject_id FROM alert_escalations s WHERE s.due_at <= {{}}
                 ORDER BY s.due_at LIMIT {BATCH}{skip})
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

    async fn lock_doors(
        &self,
        tx: &DatabaseTransaction,
        changes: &[Change],
    ) -> Result<Vec<Door>, StoreError> {
        const PROJECTS: &[Column] = &[Column::new("project_id", Kind::Id)];
        let mut projects = Rows::new(PROJECTS);
        for project in changes
            .iter()
            .map(|change| change.project)
            .collect::<BTreeSet<_>>()
        {
            projects.push([project.as_bytes().into()]);
        }
        let lock = self.dialect.for_update_of("d");
        let query = Sql::over(
            format!(
                "SELECT d.project_id, d.id, d.escalation, d.due_at, d.ended_at, p.escalate_minutes FROM {{rows}}
                 JOIN alert_destinations d ON d.project_id = r.project_id
                 JOIN projects p ON p.id = d.project_id AND p.deleted_at IS NULL
                 ORDER BY d.project_id, d.id{lock}"
            ),
            projects,
        );
        query.all(tx).await?.iter().map(door).collect()
    }
}

/// The statements that hand news on: into the queue of each destination, which is due by then; and for open incidents
/// the time at which the second destinations are told.
fn hand_on(changes: &[Change], doors: &[Door], now: Timestamp) -> Vec<Sql> {
    let mut queued = BTreeMap::new();
    let mut due = BTreeMap::new();
    for change in changes {
        let of_project = doors.iter().filter(|door| door.project == change.project);
        for door in of_project.filter(|door| door.escalation == (change.news == News::Escalated)) {
            queued.insert((change.project, door.id, change.subject), change);
            let due_at = alert::due(door.due_at, door.ended_at, now);
            if door.due_at != Some(due_at) {
                due.insert((change.project, door.id), due_at);
            }
        }
    }
    let [escalated, settled] = escalations(changes, doors);
    vec![queue(&queued), make_due(&due), escalated, settled]
}

fn queue(queued: &BTreeMap<(ProjectId, [u8; 16], [u8; 16]), &Change>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("destination_id", Kind::Id),
        Column::new("subject_id", Kind::Id),
        Column::new("news", Kind::Text),
        Column::new("at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for ((project, destination, subject), change) in queued {
        rows.push([
            project.as_bytes().into(),
            destination.into(),
            subject.into(),
            change.news.as_str().into(),
            change.at.into(),
        ]);
    }
    Sql::over(
        "INSERT INTO alert_queue (project_id, destination_id, subject_id, news, at)
         SELECT r.project_id, r.destination_id, r.subject_id, r.news, r.at FROM {rows} WHERE true
         ON CONFLICT (project_id, destination_id, subject_id)
         DO UPDATE SET news = excluded.news, at = excluded.at, lease_token = NULL
         WHERE excluded.at >= alert_queue.at",
        rows,
    )
}

fn make_due(due: &BTreeMap<(ProjectId, [u8; 16]), Timestamp>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("id", Kind::Id),
        Column::new("due_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for ((project, id), due_at) in due {
        rows.push([project.as_bytes().into(), id.into(), (*due_at).into()]);
    }
    Sql::over(
        "UPDATE alert_destinations SET due_at = r.due_at FROM {rows}
         WHERE alert_destinations.project_id = r.project_id AND alert_destinations.id = r.id",
        rows,
    )
}

fn escalations(changes: &[Change], doors: &[Door]) -> [Sql; 2] {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("subject_id", Kind::Id),
        Column::new("due_at", Kind::Int),
    ];
    let mut last = BTreeMap::new();
    for change in changes {
        let minutes = doors
            .iter()
            .find(|door| door.project == change.project && door.escalation)
            .and_then(|door| door.escalate_minutes);
        let due_at = minutes.map(|minutes| change.at.plus_millis(minutes * 60_000));
        let key = (change.project, change.subject);
        match change.news {
            News::Opened | News::Reopened => last.insert(key, due_at),
            News::Resolved => last.insert(key, None),
            News::Escalated | News::Silent | News::Heard => None,
        };
    }
    let (mut set, mut drop) = (Rows::new(COLUMNS), Rows::new(&COLUMNS[..2]));
    for ((project, incident), due_at) in last {
        match due_at {
            Some(due_at) => set.push([project.as_bytes().into(), incident.into(), due_at.into()]),
            None => drop.push([project.as_bytes().into(), incident.into()]),
        }
    }
    let set = Sql::over(
        "INSERT INTO alert_escalations (project_id, subject_id, due_at)
         SELECT r.project_id, r.subject_id, r.due_at FROM {rows} WHERE true
         ON CONFLICT (project_id, subject_id) DO UPDATE SET due_at = excluded.due_at",
        set,
    );
    let drop = Sql::over(
        "DELETE FROM alert_escalations WHERE (project_id, subject_id) IN
            (SELECT r.project_id, r.subject_id FROM {rows})",
        drop,
    );
    [set, drop]
}

/// Reads news; those that only a later version knows are passed over, so that they hold up nothing.
fn change(row: &QueryResult) -> Result<Option<Change>, StoreError> {
    let word: String = rows::get(row, "news")?;
    let Ok(news) = word.parse() else { return Ok(None) };
    Ok(Some(Change {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        subject: rows::id(row, "subject_id")?,
        news,
        at: rows::time(row, "at")?,
    }))
}

fn door(row: &QueryResult) -> Result<Door, StoreError> {
    Ok(Door {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        id: rows::id(row, "id")?,
        escalation: rows::count(row, "escalation")? != 0,
        due_at: rows::optional_time(row, "due_at")?,
        ended_at: rows::optional_time(row, "ended_at")?,
        escalate_minutes: rows::get(row, "escalate_minutes")?,
    })
}
