//! What an organization's overview shows: how much happened in a period, slot by slot, and what stands open.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::id::{IncidentId, ProjectId};
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::spread::Step;
use sendpromptly_core::time::{HOUR_MS, Timestamp};

use super::hours::{Figures, Stretch, counted_until, first_id_at, time_of_id};
use super::incident_facets::Narrowed;
use super::projects::DELETED;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError};

#[cfg(test)]
mod tests;

/// How far back the live part of the figures reaches at most. The counting worker is far nearer, unless it is
/// catching up.
const LIVE_MS: i64 = 2 * HOUR_MS;

/// A period cut into slots of equal length, whole hours each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// Where the first begins.
    pub from: Timestamp,
    /// How many hours a slot has.
    pub hours: u32,
    /// How many slots there are.
    pub count: u32,
}

impl Slots {
    fn width(self) -> i64 {
        i64::from(self.hours) * HOUR_MS
    }

    /// Where slot number `index` begins; the one after the last begins where the period ends.
    #[must_use]
    pub fn begin(self, index: u32) -> Timestamp {
        self.from.plus_millis(i64::from(index) * self.width())
    }

    fn end(self) -> Timestamp {
        self.begin(self.count)
    }

    /// The slot that a time lies in.
    fn of(self, at: Timestamp) -> Option<usize> {
        let since = at.as_millis() - self.from.as_millis();
        let index = usize::try_from(since.div_euclid(self.width())).ok()?;
        (index < self.count as usize).then_some(index)
    }
}

/// The figures of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Each slot's, in order.
    pub slots: Vec<Figures>,
    /// Set while older events are still being counted: up to when they are.
    pub counted_until: Option<Timestamp>,
}

impl Period {
    /// The figures of all slots together.
    #[must_use]
    pub fn total(&self) -> Figures {
        let mut total = Figures::default();
        for slot in &self.slots {
            total.join(slot);
        }
        total
    }
}

/// An incident that waits for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which it is.
    pub incident: IncidentId,
    /// Since when.
    pub opened_at: Timestamp,
}

/// How an organization stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How many projects it has.
    pub projects: u32,
    /// One of the projects that never had an event, if none ever had one.
    pub silent: Option<ProjectId>,
}

impl Store {
    /// The figures of a period, up to now.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn period(
        &self,
        scope: OrganizationScope,
        slots: Slots,
        now: Timestamp,
    ) -> Result<Period, StoreError> {
        // One view of it all, or what is counted meanwhile would be seen twice.
        let view = self.snapshot().await?;
        let counted = counted_until(&view).await?;
        let earliest = now.plus_millis(-LIVE_MS);
        let live = Stretch {
            from: counted
                .map_or(earliest, |counted| counted.max(earliest))
                .max(slots.from),
            to: slots.end(),
        };
        let mut figures = vec![Figures::default(); slots.count as usize];
        add_counted(&view, scope, slots, &mut figures).await?;
        add_counted_repairs(&view, scope, slots, &mut figures).await?;
        add_live(&view, scope, slots, live, &mut figures).await?;
        self.add_live_repairs(&view, scope, slots, live, &mut figures)
            .await?;
        view.rollback().await?;
        Ok(Period {
            slots: figures,
            counted_until: counted.filter(|counted| *counted < earliest),
        })
    }

    async fn add_live_repairs(
        &self,
        view: &DatabaseTransaction,
        scope: OrganizationScope,
        slots: Slots,
        live: Stretch,
        figures: &mut [Figures],
    ) -> Result<(), StoreError> {
        let by_resolution = self.dialect.by_index("incidents_by_resolution");
        // CROSS JOIN keeps SQLite from walking the incidents first.
        let query = Sql::new(format!(
            "SELECT i.opened_at, i.resolved_at FROM projects p CROSS JOIN incidents i{by_resolution}
             WHERE p.organization_id = {{}} AND p.deleted_at IS NULL AND i.project_id = p.id AND i.resolved_at >= {{}} AND i.resolved_at < {{}}"
        ));
        let query = query.bind(scope.as_bytes()).bind(live.from).bind(live.to);
        for row in query.all(view).await? {
            let resolved_at = rows::time(&row, "resolved_at")?;
            let took = resolved_at.since(rows::time(&row, "opened_at")?);
            if let Some(slot) = slots.of(resolved_at) {
                figures[slot].repairs.add(Step::of(took), 1);
            }
        }
        Ok(())
    }

    /// How an organization stands now.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn standing(&self, scope: OrganizationScope) -> Result<Standing, StoreError> {
        let (projects, silent) = tokio::try_join!(self.count_projects(scope), self.silent_project(scope))?;
        Ok(Standing { projects, silent })
    }

    async fn count_projects(&self, scope: OrganizationScope) -> Result<u32, StoreError> {
        let query = Sql::new(
            "SELECT count(*) AS n FROM projects p WHERE p.organization_id = {} AND p.deleted_at IS NULL",
        );
        let row = query.bind(scope.as_bytes()).one(&self.reader).await?;
        row.map_or(Ok(0), |row| rows::count(&row, "n"))
    }

    /// The incident that has been open for the longest.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn oldest_open(&self, scope: OrganizationScope) -> Result<Option<Waiting>, StoreError> {
        const FACETS: &[Column] = &[Column::new("facet", Kind::Int)];
        let open = Narrowed {
            state: Some(IncidentState::Open),
            ..Narrowed::default()
        };
        let mut facets = Rows::new(FACETS);
        for facet in open.facets() {
            facets.push([facet.into()]);
        }
        // The oldest of each facet is the first in the index. It is asked for as a range, in the index's own order:
        // PostgreSQL would else walk the index of ids and look for a facet that may be rare.
        let by_facet = self.dialect.by_index("incidents_of_organization_by_facet");
        let first = format!(
            "SELECT x.project_id, x.id FROM incidents x{by_facet}
             WHERE x.organization_id = {{}} AND x.facet BETWEEN r.facet AND r.facet AND x.project_id NOT IN ({DELETED})
             ORDER BY x.facet, x.id LIMIT 1"
        );
        let each = self.dialect.for_each_row("incidents", &first);
        let query = Sql::over(
            format!("SELECT each_row.id FROM {{rows}} {each} ORDER BY each_row.id LIMIT 1"),
            facets,
        );
        let row = query.bind(scope.as_bytes()).one(&self.reader).await?;
        row.map(|row| {
            let id = rows::id(&row, "id")?;
            Ok(Waiting {
                incident: IncidentId::from_bytes(id),
                opened_at: time_of_id(id),
            })
        })
        .transpose()
    }

    /// The first of the projects, where none of them ever had an event.
    async fn silent_project(&self, scope: OrganizationScope) -> Result<Option<ProjectId>, StoreError> {
        let row = silent_project(scope).one(&self.reader).await?;
        row.map(|row| Ok(ProjectId::from_bytes(rows::id(&row, "id")?)))
            .transpose()
    }
}

/// Where most projects have many events, PostgreSQL would look for one of any project among all events: the order leads
/// to the project's own.
fn silent_project(scope: OrganizationScope) -> Sql {
    let query = Sql::new(
        "SELECT p.id FROM projects p WHERE p.organization_id = {} AND p.deleted_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM projects q WHERE q.organization_id = {} AND q.deleted_at IS NULL
            AND (q.events_forgotten_to IS NOT NULL
                OR (SELECT e.id FROM events e WHERE e.project_id = q.id ORDER BY e.id LIMIT 1) IS NOT NULL))
         ORDER BY p.id LIMIT 1",
    );
    query.bind(scope.as_bytes()).bind(scope.as_bytes())
}

/// The number of the slot that an hour lies in, as an expression over `h.hour`.
fn slot_of_hour(slots: Slots) -> String {
    format!("(h.hour - ({})) / {}", slots.from.as_millis(), slots.width())
}

async fn add_counted(
    view: &DatabaseTransaction,
    scope: OrganizationScope,
    slots: Slots,
    figures: &mut [Figures],
) -> Result<(), StoreError> {
    let query = Sql::new(format!(
        "SELECT {} AS slot, CAST(sum(h.events) AS bigint) AS events, CAST(sum(h.opened) AS bigint) AS opened
         FROM projects p CROSS JOIN hourly_counts h
         WHERE p.organization_id = {{}} AND p.deleted_at IS NULL AND h.project_id = p.id AND h.hour >= {{}} AND h.hour < {{}}
         GROUP BY 1",
        slot_of_hour(slots)
    ));
    let query = query.bind(scope.as_bytes()).bind(slots.from).bind(slots.end());
    for row in query.all(view).await? {
        let slot = &mut figures[rows::count(&row, "slot")? as usize];
        slot.events += u64::from(rows::count(&row, "events")?);
        slot.opened += u64::from(rows::count(&row, "opened")?);
    }
    Ok(())
}

async fn add_counted_repairs(
    view: &DatabaseTransaction,
    scope: OrganizationScope,
    slots: Slots,
    figures: &mut [Figures],
) -> Result<(), StoreError> {
    let query = Sql::new(format!(
        "SELECT {} AS slot, h.step, CAST(sum(h.repairs) AS bigint) AS repairs
         FROM projects p CROSS JOIN hourly_repairs h
         WHERE p.organization_id = {{}} AND p.deleted_at IS NULL AND h.project_id = p.id AND h.hour >= {{}} AND h.hour < {{}}
         GROUP BY 1, h.step",
        slot_of_hour(slots)
    ));
    let query = query.bind(scope.as_bytes()).bind(slots.from).bind(slots.end());
    for row in query.all(view).await? {
        let number = rows::count(&row, "step")?;
        let step = Step::from_number(number)
            .ok_or_else(|| StoreError::Corrupt(format!("{number} is no step of durations")))?;
        let slot = &mut figures[rows::count(&row, "slot")? as usize];
        slot.repairs.add(step, rows::count(&row, "repairs")?.into());
    }
    Ok(())
}

/// Adds the events and incidents that are not counted yet, slot by slot, in one query.
async fn add_live(
    view: &DatabaseTransaction,
    scope: OrganizationScope,
    slots: Slots,
    live: Stretch,
    figures: &mut [Figures],
) -> Result<(), StoreError> {
    const PARTS: &[Column] = &[
        Column::new("slot", Kind::Int),
        Column::new("low", Kind::Id),
        Column::new("high", Kind::Id),
    ];
    let mut parts = Rows::new(PARTS);
    for index in 0..slots.count {
        let (from, to) = (live.from.max(slots.begin(index)), slots.begin(index + 1));
        if from < to {
            parts.push([index.into(), first_id_at(from).into(), first_id_at(to).into()]);
        }
    }
    if parts.is_empty() {
        return Ok(());
    }
    let of = |table: &str| {
        format!(
            "(SELECT count(*) FROM {table} t WHERE t.project_id = p.id AND t.id >= r.low AND t.id < r.high)"
        )
    };
    let query = Sql::over(
        format!(
            "SELECT c.slot, CAST(sum(c.events) AS bigint) AS events, CAST(sum(c.opened) AS bigint) AS opened FROM (
                SELECT r.slot, {} AS events, {} AS opened
                FROM projects p CROSS JOIN {{rows}} WHERE p.organization_id = {{}} AND p.deleted_at IS NULL) c
             GROUP BY c.slot",
            of("events"),
            of("incidents")
        ),
        parts,
    );
    for row in query.bind(scope.as_bytes()).all(view).await? {
        let slot = &mut figures[rows::count(&row, "slot")? as usize];
        slot.events += u64::from(rows::count(&row, "events")?);
        slot.opened += u64::from(rows::count(&row, "opened")?);
    }
    Ok(())
}
