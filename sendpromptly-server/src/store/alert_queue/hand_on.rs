//! Handing news on: written with the change that they tell of, then numbered for those whom they are told.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::alert::{self, News, Next};
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;

use super::{batch, escalations};
use crate::platform::entropy;
use crate::store::cases::CaseChange;
use crate::store::retry::retried;
use crate::store::rows::{self, Column, Kind, Rows, Sql, write_together};
use crate::store::{Store, StoreError};

/// News to hand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) project: ProjectId,
    pub(super) subject: [u8; 16],
    pub(super) news: News,
    pub(super) at: Timestamp,
}

impl Change {
    /// The destinations that it is for: those of incidents that stay open, or the others.
    fn kind(&self) -> (ProjectId, bool) {
        (self.project, self.news == News::Escalated)
    }
}

/// A destination that news are handed on to.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) project: ProjectId,
    pub(super) escalation: bool,
    pub(super) escalate_minutes: Option<i64>,
    id: [u8; 16],
    newest: i64,
    next: Next,
}

/// The number of the newest news of each kind that has destinations.
type Newest = BTreeMap<(ProjectId, bool), i64>;

/// What is news in these changes of cases, for those of projects that have destinations.
pub(in crate::store) fn news(changes: &[CaseChange]) -> Sql {
    let mut news = Rows::new(CHANGES);
    for change in changes {
        let after = change.after.incident.as_ref();
        let told = alert::news_of(change.before.incident.as_ref(), after);
        if let (Some(told), Some(incident)) = (told, after) {
            let at = told_at(change);
            let id = entropy::ordered_id(at);
            news.push([
                change.project.as_bytes().into(),
                id.into(),
                incident.id.as_bytes().into(),
                told.as_str().into(),
                at.into(),
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

/// When a change is told to have been. The clocks of two nodes may be apart, and the last news of an incident are those
/// that are told: what follows on its opening is never told to be before it.
fn told_at(change: &CaseChange) -> Timestamp {
    let before = change.before.incident.as_ref();
    before.map_or(change.at, |incident| {
        change.at.max(incident.opened_at.plus_millis(1))
    })
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
        if waits(now).one(&self.reader).await?.is_none() {
            return Ok(false);
        }
        retried(|| async {
            let tx = self.begin().await?;
            let mut changes = self.take_changes(&tx).await?;
            changes.extend(self.take_escalations(&tx, now).await?);
            if !changes.is_empty() {
                let doors = self.lock_doors(&tx, &changes).await?;
                let newest = newest(&tx, &doors).await?;
                write_together(&tx, hand_on(&changes, &doors, newest, now)).await?;
            }
            tx.commit().await?;
            Ok(changes.len() >= batch(self.dialect))
        })
        .await
    }

    /// What has happened, and what a node of an earlier version has queued for each destination.
    async fn take_changes(&self, tx: &DatabaseTransaction) -> Result<Vec<Change>, StoreError> {
        let mut changes = self.take(tx, "alert_changes", "id").await?;
        changes.extend(self.take(tx, "alert_queue", "destination_id, subject_id").await?);
        changes.sort_by_key(|change| change.at);
        Ok(changes)
    }

    async fn take(
        &self,
        tx: &DatabaseTransaction,
        table: &'static str,
        key: &'static str,
    ) -> Result<Vec<Change>, StoreError> {
        let (limit, skip) = (batch(self.dialect), self.dialect.for_update_skip_locked("c"));
        let take = Sql::new(format!(
            "DELETE FROM {table} WHERE (project_id, {key}) IN
                (SELECT project_id, {key} FROM {table} c LIMIT {limit}{skip})
             RETURNING project_id, subject_id, news, at"
        ));
        let mut changes = Vec::new();
        for row in take.all(tx).await? {
            changes.extend(change(&row)?);
        }
        Ok(changes)
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
                "SELECT d.project_id, d.id, d.escalation, d.newest, d.due_at, d.not_before, d.ended_at,
                    p.escalate_minutes FROM {{rows}}
                 JOIN alert_destinations d ON d.project_id = r.project_id
                 JOIN projects p ON p.id = d.project_id AND p.deleted_at IS NULL
                 ORDER BY d.project_id, d.id{lock}"
            ),
            projects,
        );
        query.all(tx).await?.iter().map(door).collect()
    }
}

/// Whether there is anything to hand on. The order leads to the index of what is due, whatever PostgreSQL knows of the
/// table.
fn waits(now: Timestamp) -> Sql {
    let query = Sql::new(
        "SELECT 1 AS found WHERE EXISTS (SELECT 1 FROM alert_changes) OR EXISTS (SELECT 1 FROM alert_queue)
            OR (SELECT 1 FROM alert_escalations s WHERE s.due_at <= {} ORDER BY s.due_at LIMIT 1) = 1",
    );
    query.bind(now)
}

/// The numbers after which news go on. The news themselves count too: a destination that is added while others are locked
/// has not heard of what these are told, and it may be the only one that is left.
async fn newest(tx: &DatabaseTransaction, doors: &[Door]) -> Result<Newest, StoreError> {
    const KINDS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("escalation", Kind::Int),
    ];
    let mut newest = Newest::new();
    for door in doors {
        let last = newest.entry((door.project, door.escalation)).or_insert(0);
        *last = door.newest.max(*last);
    }
    let mut kinds = Rows::new(KINDS);
    for (project, escalation) in newest.keys() {
        kinds.push([project.as_bytes().into(), (*escalation).into()]);
    }
    let query = Sql::over(
        "SELECT r.project_id, r.escalation, COALESCE((SELECT max(n.number) FROM alert_news n
            WHERE n.project_id = r.project_id AND n.escalation = r.escalation), 0) AS number FROM {rows}",
        kinds,
    );
    for row in query.all(tx).await? {
        let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
        let number: i64 = rows::get(&row, "number")?;
        let last = newest
            .entry((project, rows::flag(&row, "escalation")?))
            .or_insert(0);
        *last = number.max(*last);
    }
    Ok(newest)
}

/// The statements that hand news on: numbered, to destinations that are due by then; and for open incidents the time at
/// which the second destinations are told. What is for nobody is dropped.
fn hand_on(changes: &[Change], doors: &[Door], mut newest: Newest, now: Timestamp) -> Vec<Sql> {
    let news = number(changes, &mut newest);
    let [open, settled] = escalations::note(changes, doors);
    vec![make_due(doors, &newest, now), news, open, settled]
}

/// The news with their numbers, which go on from the newest of each kind.
fn number(changes: &[Change], newest: &mut Newest) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("escalation", Kind::Int),
        Column::new("number", Kind::Int),
        Column::new("subject_id", Kind::Id),
        Column::new("news", Kind::Text),
        Column::new("at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for change in changes {
        let Some(last) = newest.get_mut(&change.kind()) else {
            continue;
        };
        *last += 1;
        rows.push([
            change.project.as_bytes().into(),
            change.kind().1.into(),
            (*last).into(),
            change.subject.into(),
            change.news.as_str().into(),
            change.at.into(),
        ]);
    }
    Sql::over(
        "INSERT INTO alert_news (project_id, escalation, number, subject_id, news, at)
         SELECT r.project_id, r.escalation, r.number, r.subject_id, r.news, r.at FROM {rows}",
        rows,
    )
}

/// Tells the destinations of news how many there are, and when their message is due.
fn make_due(doors: &[Door], newest: &Newest, now: Timestamp) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("id", Kind::Id),
        Column::new("newest", Kind::Int),
        Column::new("due_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for door in doors {
        let last = newest.get(&(door.project, door.escalation)).copied();
        if let Some(last) = last.filter(|last| *last > door.newest) {
            rows.push([
                door.project.as_bytes().into(),
                door.id.into(),
                last.into(),
                door.next.with_news(now).into(),
            ]);
        }
    }
    Sql::over(
        "UPDATE alert_destinations SET newest = r.newest, due_at = r.due_at FROM {rows}
         WHERE alert_destinations.project_id = r.project_id AND alert_destinations.id = r.id",
        rows,
    )
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
        escalation: rows::flag(row, "escalation")?,
        escalate_minutes: rows::get(row, "escalate_minutes")?,
        id: rows::id(row, "id")?,
        newest: rows::get(row, "newest")?,
        next: Next {
            due_at: rows::optional_time(row, "due_at")?,
            not_before: rows::optional_time(row, "not_before")?,
            last_ended: rows::optional_time(row, "ended_at")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::task::yield_now;

    use super::*;
    use crate::store::alert_queue::tests::{add, claim, counts, happens};
    use crate::testing::{NOW, World, operator, over_many};

    #[tokio::test]
    async fn a_destination_that_is_added_while_news_are_handed_on_begins_after_them() {
        let world = Arc::new(World::set_up().await);
        let (store, first) = (&world.store, add(&world, false).await);
        world.failed_event("evt_1").await;
        let tx = store.begin().await.unwrap();
        let changes = store.take_changes(&tx).await.unwrap();
        let doors = store.lock_doors(&tx, &changes).await.unwrap();
        let added_to = world.clone();
        let adding = tokio::spawn(async move { add(&added_to, false).await });
        while !adding.is_finished() && !world.waits_for_a_lock().await {
            yield_now().await;
        }
        let newest = newest(&tx, &doors).await.unwrap();
        let writes = hand_on(&changes, &doors, newest, NOW);
        write_together(&tx, writes).await.unwrap();
        tx.commit().await.unwrap();
        let second = adding.await.unwrap();
        let origin = operator();
        let removed = store.remove_alert(world.scope(), world.project, first, &origin, NOW);
        assert!(removed.await.unwrap());
        world.failed_event("evt_2").await;
        let told = claim(&world, NOW).await.unwrap();
        assert_eq!(
            (told.destination, counts(&told)),
            (second, vec![(News::Opened, 1)])
        );
    }

    #[tokio::test]
    async fn news_are_numbered_after_those_that_there_are_whatever_their_destinations_know_of_them() {
        let world = World::set_up().await;
        add(&world, false).await;
        happens(&world, world.project, [1; 16], "opened", NOW).await;
        assert!(!world.store.hand_on_alerts(NOW).await.unwrap());
        world
            .write(Sql::new("UPDATE alert_destinations SET newest = 0"))
            .await;
        happens(&world, world.project, [2; 16], "opened", NOW).await;
        let told = claim(&world, NOW).await.unwrap();
        assert_eq!(counts(&told), [(News::Opened, 2)]);
    }

    #[tokio::test]
    async fn whether_an_escalation_is_due_is_found_by_its_time_also_in_a_table_never_analyzed() {
        let world = World::set_up().await;
        let fill = over_many(
            "INSERT INTO alert_escalations (project_id, subject_id, due_at)
                 SELECT r.id, r.id, r.number FROM {rows}",
        );
        world.write(fill).await;
        let plan = waits(NOW).plan(&world.store.reader).await;
        assert!(plan.contains("alert_escalations_by_time"), "{plan}");
    }
}
