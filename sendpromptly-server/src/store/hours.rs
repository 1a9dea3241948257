//! Events, incidents and repairs counted by hour, so that the overview need not read them one by one.
//!
//! Everything up to a point in time has been counted into `hourly_counts` and `hourly_repairs`; what came after it
//! is looked up where it lies. The point moves by compare-and-set, so nothing is counted twice by two nodes.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::spread::{Spread, Step};
use sendpromptly_core::time::{HOUR_MS, Timestamp};

use super::old_rows::OldRows;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Dialect, Store, StoreError};

#[cfg(test)]
mod tests;

/// Hours are kept for the longest period that the overview shows.
pub(crate) const KEPT_MS: i64 = 32 * 24 * HOUR_MS;

/// A stretch of time: from its beginning to just before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it is over.
    pub to: Timestamp,
}

/// What happened in one project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events first heard of.
    pub events: u64,
    /// Incidents opened.
    pub opened: u64,
    /// How long the incidents that were resolved had been open.
    pub repairs: Spread,
}

impl Figures {
    /// Adds another's.
    pub fn join(&mut self, other: &Self) {
        self.events += other.events;
        self.opened += other.opened;
        self.repairs.join(&other.repairs);
    }
}

impl Store {
    /// Up to when everything has been counted; `None` before anything was.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn counted_until(&self) -> Result<Option<Timestamp>, StoreError> {
        counted_until(&self.reader).await
    }

    /// When the first thing happened, of what is to be counted, from a time on; `None` where nothing has.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn first_to_count(&self, from: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let (ids, times) = tokio::try_join!(self.first_id(from), self.first_resolution(from))?;
        Ok([ids, times].into_iter().flatten().min())
    }

    async fn first_id(&self, from: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let of = |table: &str| {
            format!(
                "SELECT (SELECT t.id FROM {table} t WHERE t.project_id = p.id AND t.id >= {{}}
                         ORDER BY t.id LIMIT 1) AS id FROM projects p"
            )
        };
        let query = Sql::new(format!(
            "SELECT f.id FROM ({} UNION ALL {}) f WHERE f.id IS NOT NULL ORDER BY f.id LIMIT 1",
            of("events"),
            of("incidents")
        ));
        let first = first_id_at(from);
        let row = query.bind(first).bind(first).one(&self.reader).await?;
        row.map(|row| Ok(time_of_id(rows::id(&row, "id")?))).transpose()
    }

    async fn first_resolution(&self, from: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let by_resolution = self.dialect.by_index("incidents_by_resolution");
        let query = Sql::new(format!(
            "SELECT f.at FROM (SELECT (SELECT i.resolved_at FROM incidents i{by_resolution}
                    WHERE i.project_id = p.id AND i.resolved_at >= {{}} ORDER BY i.resolved_at LIMIT 1) AS at
                FROM projects p) f
             WHERE f.at IS NOT NULL ORDER BY f.at LIMIT 1"
        ));
        let row = query.bind(from).one(&self.reader).await?;
        row.map(|row| rows::time(&row, "at")).transpose()
    }

    /// What happened in a stretch of time, in each project in which anything did.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn figures_of(&self, stretch: Stretch) -> Result<BTreeMap<ProjectId, Figures>, StoreError> {
        let (counts, repairs) = tokio::try_join!(self.counts_of(stretch), self.repairs_of(stretch))?;
        let mut figures = counts;
        for (project, repairs) in repairs {
            figures.entry(project).or_default().repairs = repairs;
        }
        Ok(figures)
    }

    async fn counts_of(&self, stretch: Stretch) -> Result<BTreeMap<ProjectId, Figures>, StoreError> {
        let (first, next) = (first_id_at(stretch.from), first_id_at(stretch.to));
        let query = Sql::new(
            "SELECT c.id, c.events, c.opened FROM (
                SELECT p.id,
                    (SELECT count(*) FROM events e
                     WHERE e.project_id = p.id AND e.id >= {} AND e.id < {}) AS events,
                    (SELECT count(*) FROM incidents i
                     WHERE i.project_id = p.id AND i.id >= {} AND i.id < {}) AS opened
                FROM projects p) c
             WHERE c.events > 0 OR c.opened > 0",
        );
        let query = query.bind(first).bind(next).bind(first).bind(next);
        let mut figures = BTreeMap::new();
        for row in query.all(&self.reader).await? {
            let of_project = Figures {
                events: rows::count(&row, "events")?.into(),
                opened: rows::count(&row, "opened")?.into(),
                repairs: Spread::default(),
            };
            figures.insert(ProjectId::from_bytes(rows::id(&row, "id")?), of_project);
        }
        Ok(figures)
    }

    async fn repairs_of(&self, stretch: Stretch) -> Result<BTreeMap<ProjectId, Spread>, StoreError> {
        let mut repairs: BTreeMap<_, Spread> = BTreeMap::new();
        for row in resolved_in(self.dialect, stretch).all(&self.reader).await? {
            let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
            let took = rows::time(&row, "resolved_at")?.since(rows::time(&row, "opened_at")?);
            repairs.entry(project).or_default().add(Step::of(took), 1);
        }
        Ok(repairs)
    }

    /// Adds what happened in a stretch, which lies within one hour, and moves the point up to which everything has
    /// been counted from `before` to the stretch's end. Gives whether it did: another node may have moved it first.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn add_to_hours(
        &self,
        before: Option<Timestamp>,
        stretch: Stretch,
        figures: &BTreeMap<ProjectId, Figures>,
    ) -> Result<bool, StoreError> {
        let hour = hour_of(stretch.from);
        let moving = match before {
            Some(before) => Sql::new("UPDATE counted SET until = {} WHERE one = 1 AND until = {}")
                .bind(stretch.to)
                .bind(before),
            None => Sql::new("INSERT INTO counted (one, until) VALUES (1, {}) ON CONFLICT (one) DO NOTHING")
                .bind(stretch.to),
        };
        let tx = self.begin().await?;
        if moving.run(&tx).await? == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        let writes = [add_counts(hour, figures), add_repairs(hour, figures)];
        rows::write_together(&tx, writes).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The incidents that were resolved in a stretch of time: looked for in each project by its times.
fn resolved_in(dialect: Dialect, stretch: Stretch) -> Sql {
    let by_resolution = dialect.by_index("incidents_by_resolution");
    let of_projects = dialect.is_one_of("i.project_id", "SELECT p.id FROM projects p");
    let query = Sql::new(format!(
        "SELECT i.project_id, i.opened_at, i.resolved_at FROM incidents i{by_resolution}
         WHERE {of_projects} AND i.resolved_at >= {{}} AND i.resolved_at < {{}}"
    ));
    query.bind(stretch.from).bind(stretch.to)
}

/// The counts of hours that the overview shows no more.
pub(crate) fn old_counts(now: Timestamp) -> OldRows {
    OldRows::up_to("hourly_counts", "hour", shown_no_more(now)).keyed_by("project_id, hour")
}

/// The repairs of hours that the overview shows no more.
pub(crate) fn old_repairs(now: Timestamp) -> OldRows {
    OldRows::up_to("hourly_repairs", "hour", shown_no_more(now)).keyed_by("project_id, hour, step")
}

fn shown_no_more(now: Timestamp) -> Timestamp {
    now.plus_millis(-KEPT_MS - 1)
}

pub(super) async fn counted_until(on: &impl ConnectionTrait) -> Result<Option<Timestamp>, StoreError> {
    let row = Sql::new("SELECT until FROM counted WHERE one = 1")
        .one(on)
        .await?;
    row.map(|row| rows::time(&row, "until")).transpose()
}

fn add_counts(hour: Timestamp, figures: &BTreeMap<ProjectId, Figures>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("hour", Kind::Int),
        Column::new("events", Kind::Int),
        Column::new("opened", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for (project, figures) in figures {
        rows.push([
            project.as_bytes().into(),
            hour.into(),
            cell(figures.events),
            cell(figures.opened),
        ]);
    }
    Sql::over(
        "INSERT INTO hourly_counts (project_id, hour, events, opened)
         SELECT r.project_id, r.hour, r.events, r.opened FROM {rows} WHERE true
         ON CONFLICT (project_id, hour) DO UPDATE
         SET events = hourly_counts.events + excluded.events, opened = hourly_counts.opened + excluded.opened",
        rows,
    )
}

fn add_repairs(hour: Timestamp, figures: &BTreeMap<ProjectId, Figures>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("hour", Kind::Int),
        Column::new("step", Kind::Int),
        Column::new("repairs", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for (project, figures) in figures {
        for (step, repairs) in figures.repairs.steps() {
            rows.push([
                project.as_bytes().into(),
                hour.into(),
                step.number().into(),
                cell(repairs),
            ]);
        }
    }
    Sql::over(
        "INSERT INTO hourly_repairs (project_id, hour, step, repairs)
         SELECT r.project_id, r.hour, r.step, r.repairs FROM {rows} WHERE true
         ON CONFLICT (project_id, hour, step) DO UPDATE SET repairs = hourly_repairs.repairs + excluded.repairs",
        rows,
    )
}

fn cell(number: u64) -> rows::Cell {
    rows::Cell::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The hour that a time lies in, by its beginning.
#[must_use]
pub const fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - at.as_millis().rem_euclid(HOUR_MS))
}

/// What sorts before every id made at this time or later, and after every earlier one: ids begin with 48 bits of
/// their time.
pub(super) const fn first_id_at(at: Timestamp) -> [u8; 16] {
    let [.., a, b, c, d, e, f] = at.as_millis().to_be_bytes();
    [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

/// When an id was made.
pub(super) const fn time_of_id(id: [u8; 16]) -> Timestamp {
    let [a, b, c, d, e, f, ..] = id;
    Timestamp::from_millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}
