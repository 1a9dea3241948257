//! Events that are older than their project keeps them: each goes whole, with all that belongs to it.
//!
//! An event's id begins with the time of its receipt, so the oldest events of a project are the first of its
//! primary key, and no index is kept for their age. Each project remembers up to where it has forgotten. What has
//! to stay longer, since its incident waits for somebody, is left behind with a mark on the incident, by which it
//! is found again once that is settled. So a batch costs what it drops.

use std::collections::BTreeSet;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::time::{DAY_MS, Timestamp};

use super::cases::id_rows;
use super::hours::first_id_at;
use super::retry::retried;
use super::rows::{self, Rows, Sql};
use super::{Dialect, Store, StoreError};

mod belonging;

/// How long an event stays, however old it is, after its incident was resolved or dismissed.
const SETTLED_KEPT_MS: i64 = 30 * DAY_MS;

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// How many events are gone.
    pub events: u64,
    /// Whether there may be more.
    pub more: bool,
    /// The project to look at next, and after it those behind it.
    pub next: Option<ProjectId>,
}

impl Forgotten {
    const NOTHING: Self = Self {
        events: 0,
        more: false,
        next: None,
    };
}

impl Store {
    /// Forgets old events, with all that belongs to them, at most `limit` of one project: the first that has any,
    /// from this one on, and then from the first one on. Whoever goes on where the last batch was looks at each
    /// project once.
    ///
    /// # Errors
    /// [`StoreError`] by its cause; nothing is forgotten then.
    pub async fn forget_events(
        &self,
        from: Option<ProjectId>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Forgotten, StoreError> {
        let mut project = self.project_with_old_events(from, now).await?;
        if project.is_none() && from.is_some() {
            project = self.project_with_old_events(None, now).await?;
        }
        if let Some(project) = project {
            return retried(|| self.walk_on(project, now, limit)).await;
        }
        let Some((project, events)) = self.left_behind(now, limit).await? else {
            return Ok(Forgotten::NOTHING);
        };
        retried(|| self.forget_left_behind(project, &events, now)).await
    }

    /// How many events [`forget_events`](Self::forget_events) would forget by and by.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count_old_events(&self, now: Timestamp) -> Result<u64, StoreError> {
        let query = Sql::new(format!(
            "SELECT count(*) AS n FROM projects p
             CROSS JOIN events e LEFT JOIN incidents i ON i.project_id = e.project_id AND i.event_id = e.id
             WHERE e.project_id = p.id AND p.deleted_at IS NULL AND e.id < {} AND e.sweep_at IS NULL
                AND (i.id IS NULL OR ({}))",
            self.dialect.kept_from(),
            self.dialect.is_long_settled()
        ));
        let query = query.bind(now).bind(settled_by(now));
        let row = query.one(&self.reader).await?;
        let count: i64 = row.map_or(Ok(0), |row| rows::get(&row, "n"))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }

    /// A project with an event that is too old and was not looked at. One that still waits for the sweep holds
    /// its project up for as long, which is seconds.
    async fn project_with_old_events(
        &self,
        from: Option<ProjectId>,
        now: Timestamp,
    ) -> Result<Option<ProjectId>, StoreError> {
        let query = Sql::new(format!(
            "SELECT p.id FROM projects p WHERE p.id >= {{}} AND p.deleted_at IS NULL AND
                (SELECT e.sweep_at IS NULL FROM events e
                 WHERE e.project_id = p.id AND e.id > coalesce(p.events_forgotten_to, {{}}) AND e.id < {}
                 ORDER BY e.id LIMIT 1)
             ORDER BY p.id LIMIT 1",
            self.dialect.kept_from()
        ));
        let from = from.map_or([0; 16], |project| *project.as_bytes());
        let query = query.bind(from).bind([0; 16]).bind(now);
        let row = query.one(&self.reader).await?;
        row.map(|row| Ok(ProjectId::from_bytes(rows::id(&row, "id")?)))
            .transpose()
    }

    /// Goes on over a project's events from where it was left, and remembers where it came to.
    async fn walk_on(&self, project: ProjectId, now: Timestamp, limit: u32) -> Result<Forgotten, StoreError> {
        let tx = self.begin().await?;
        let Some((from, kept_days)) = self.lock_place(&tx, project).await? else {
            tx.rollback().await?;
            return Ok(Forgotten::NOTHING);
        };
        let kept_from = first_id_at(now.plus_millis(-kept_days * DAY_MS));
        let walked = self.lock_walked(&tx, project, from, kept_from, limit).await?;
        let Some(last) = walked.last().copied() else {
            tx.rollback().await?;
            return Ok(Forgotten::NOTHING);
        };
        let staying = staying(&tx, self.dialect, project, &walked, now).await?;
        if !staying.is_empty() {
            leave_behind(project, &staying).run(&tx).await?;
        }
        let going = walked.into_iter().filter(|event| !staying.contains(event));
        let going: Vec<_> = going.collect();
        self.drop_events(&tx, project, &going).await?;
        let place = Sql::new("UPDATE projects SET events_forgotten_to = {} WHERE id = {}");
        place
            .bind(last.as_bytes())
            .bind(project.as_bytes())
            .run(&tx)
            .await?;
        tx.commit().await?;
        Ok(Forgotten {
            events: going.len() as u64,
            more: true,
            next: Some(project),
        })
    }

    /// Up to where a project has forgotten, and for how many days it keeps events; `None` where it is gone.
    async fn lock_place(
        &self,
        tx: &DatabaseTransaction,
        project: ProjectId,
    ) -> Result<Option<([u8; 16], i64)>, StoreError> {
        // Waited for: what a node that was killed holds is soon free, and the next look is an hour away.
        let lock = self.dialect.for_update_of("p");
        let query = Sql::new(format!(
            "SELECT p.events_forgotten_to, p.events_kept_days FROM projects p
             WHERE p.id = {{}} AND p.deleted_at IS NULL{lock}"
        ));
        let row = query.bind(project.as_bytes()).one(tx).await?;
        row.map(|row| {
            let place = rows::optional_id(&row, "events_forgotten_to")?;
            Ok((place.unwrap_or_default(), rows::get(&row, "events_kept_days")?))
        })
        .transpose()
    }

    /// The next events of a project, locked, up to the first that waits for the sweep: what comes of it is not
    /// known yet.
    async fn lock_walked(
        &self,
        tx: &DatabaseTransaction,
        project: ProjectId,
        from: [u8; 16],
        kept_from: [u8; 16],
        limit: u32,
    ) -> Result<Vec<EventId>, StoreError> {
        let lock = self.dialect.for_update_of("e");
        let query = Sql::new(format!(
            "SELECT e.id, e.sweep_at FROM events e
             WHERE e.project_id = {{}} AND e.id > {{}} AND e.id < {{}} ORDER BY e.id LIMIT {limit}{lock}"
        ));
        let query = query.bind(project.as_bytes()).bind(from).bind(kept_from);
        let mut walked = Vec::new();
        for row in query.all(tx).await? {
            if rows::optional_time(&row, "sweep_at")?.is_some() {
                break;
            }
            walked.push(EventId::from_bytes(rows::id(&row, "id")?));
        }
        Ok(walked)
    }

    /// Events of one project that were left behind and whose incidents are long settled by now.
    async fn left_behind(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Option<(ProjectId, Vec<EventId>)>, StoreError> {
        let query = Sql::new(format!(
            "SELECT i.project_id, i.event_id FROM incidents i{} JOIN projects p ON p.id = i.project_id
             WHERE i.stays = 1 AND i.settled_at <= {{}} AND i.event_id < {} AND p.deleted_at IS NULL
                AND {} ORDER BY i.settled_at LIMIT {limit}",
            self.dialect.by_index("incidents_to_forget"),
            self.dialect.kept_from(),
            self.dialect.is_long_settled()
        ));
        let settled_by = settled_by(now);
        let query = query.bind(settled_by).bind(now).bind(settled_by);
        let mut first = None;
        let mut events = Vec::new();
        for row in query.all(&self.reader).await? {
            let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
            if *first.get_or_insert(project) == project {
                events.push(EventId::from_bytes(rows::id(&row, "event_id")?));
            }
        }
        Ok(first.map(|project| (project, events)))
    }

    async fn forget_left_behind(
        &self,
        project: ProjectId,
        events: &[EventId],
        now: Timestamp,
    ) -> Result<Forgotten, StoreError> {
        let tx = self.begin().await?;
        lock_events(self.dialect, project, events).all(&tx).await?;
        let staying = staying(&tx, self.dialect, project, events, now).await?;
        let going = events.iter().filter(|event| !staying.contains(*event));
        let going: Vec<_> = going.copied().collect();
        self.drop_events(&tx, project, &going).await?;
        tx.commit().await?;
        Ok(Forgotten {
            events: going.len() as u64,
            more: !going.is_empty(),
            next: None,
        })
    }
}

impl Dialect {
    /// Whether an incident `i` is over for so long that its event may go, which is bound: nobody waits for it, and no call
    /// or answer of its replays is awaited.
    fn is_long_settled(self) -> String {
        format!(
            "i.state IN ('resolved', 'dismissed')
             AND coalesce(i.settled_at, i.resolved_at, i.opened_at) <= {{}}
             AND NOT EXISTS (SELECT 1 FROM replays q{} WHERE q.project_id = i.project_id AND q.event_id = i.event_id
                AND (q.next_attempt_at IS NOT NULL OR q.answer_due_at IS NOT NULL OR q.lease_token IS NOT NULL))",
            self.by_index("replays_by_event")
        )
    }

    /// The first id that a project `p` keeps, as SQL in which the time is bound.
    fn kept_from(self) -> String {
        let millis = format!("{{}} - p.events_kept_days * {DAY_MS}");
        match self {
            Self::Sqlite => format!("unhex(printf('%012x', {millis}) || '00000000000000000000')"),
            Self::Postgres => {
                format!("CAST(lpad(to_hex({millis}), 12, '0') || '00000000000000000000' AS uuid)")
            }
        }
    }
}

const fn settled_by(now: Timestamp) -> Timestamp {
    now.plus_millis(-SETTLED_KEPT_MS)
}

/// Which of these events must stay for their incidents.
async fn staying(
    tx: &DatabaseTransaction,
    dialect: Dialect,
    project: ProjectId,
    events: &[EventId],
    now: Timestamp,
) -> Result<BTreeSet<EventId>, StoreError> {
    let query = staying_events(dialect, project, events, now);
    let found = query.all(tx).await?;
    found
        .iter()
        .map(|row| Ok(EventId::from_bytes(rows::id(row, "event_id")?)))
        .collect()
}

fn lock_events(dialect: Dialect, project: ProjectId, events: &[EventId]) -> Sql {
    let lock = dialect.for_update_of("e");
    Sql::over(
        format!(
            "SELECT e.id FROM {{rows}} CROSS JOIN events e
             WHERE e.project_id = r.project_id AND e.id = r.id ORDER BY e.id{lock}"
        ),
        keys_of(project, events.iter().map(EventId::as_bytes)),
    )
}

fn staying_events(dialect: Dialect, project: ProjectId, events: &[EventId], now: Timestamp) -> Sql {
    let query = Sql::over(
        format!(
            "SELECT i.event_id FROM {{rows}} CROSS JOIN incidents i
             WHERE i.project_id = r.project_id AND i.event_id = r.id AND NOT ({})",
            dialect.is_long_settled()
        ),
        keys_of(project, events.iter().map(EventId::as_bytes)),
    );
    query.bind(settled_by(now))
}

/// Marks the incidents by which these events are found again.
fn leave_behind(project: ProjectId, events: &BTreeSet<EventId>) -> Sql {
    Sql::over(
        "UPDATE incidents SET stays = 1 WHERE (project_id, event_id) IN (SELECT r.project_id, r.id FROM {rows})",
        keys_of(project, events.iter().map(EventId::as_bytes)),
    )
}

/// A row for each of these ids of a project.
fn keys_of<'a>(project: ProjectId, ids: impl IntoIterator<Item = &'a [u8; 16]>) -> Rows {
    id_rows(ids.into_iter().map(|id| (project, *id)))
}

#[cfg(test)]
mod tests;
