//! The list of incidents: newest first, page by page, narrowed in any way.
//!
//! A page costs what it shows, not what is stored. It is found by ids alone, in an index that holds them in the
//! list's order for each facet (see `store/incident_facets.rs`), from the place where the page
//! before ended; only then is what is shown of them read. Ids are in the order in which incidents were opened.

use std::collections::BTreeSet;

use sea_orm::QueryResult;
use sendpromptly_core::dedupe;
use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::id::{IncidentId, ProjectId};
use sendpromptly_core::incident::IncidentState;

use super::incident_facets::{self, Narrowed};
use super::incidents::{COLUMNS, IncidentRecord};
use super::projects::DELETED;
use super::rows::{self, Cell, Column, Kind, Rows, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError};

#[cfg(test)]
mod tests;

/// What a list is narrowed to. What is `None` does not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IncidentFilter {
    /// Only those of this project.
    pub project: Option<ProjectId>,
    /// Only those in this state.
    pub state: Option<IncidentState>,
    /// Only those whose missing effect is of this type.
    pub effect_type: Option<EffectType>,
    /// Only those of this provider's events.
    pub provider: Option<Provider>,
    /// Only those with exactly this internal reference.
    pub reference: Option<String>,
    /// Only those with exactly this internal reference or this provider event id.
    pub search: Option<String>,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PageStart {
    /// At the newest incident.
    #[default]
    Newest,
    /// After this one, towards older ones.
    OlderThan(IncidentId),
    /// Before this one: the page that ends just above it.
    NewerThan(IncidentId),
}

/// A page of the list.
#[derive(Debug, Clone)]
pub struct IncidentPage {
    /// The incidents, newest first.
    pub incidents: Vec<IncidentRecord>,
    /// Whether there are newer ones.
    pub newer: bool,
    /// Whether there are older ones.
    pub older: bool,
}

/// How many incidents there are, counted no further than [`Count::MOST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count(u32);

impl Count {
    /// Beyond this many, the number is not told.
    pub const MOST: u32 = 1_000;

    /// Whether there is none.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 > Self::MOST {
            write!(f, "{}+", Self::MOST)
        } else {
            self.0.fmt(f)
        }
    }
}

impl Store {
    /// A page of an organization's incidents with at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn list_incidents(
        &self,
        scope: OrganizationScope,
        filter: &IncidentFilter,
        start: PageStart,
        limit: u32,
    ) -> Result<IncidentPage, StoreError> {
        let list = List { scope, filter, limit };
        let PageStart::NewerThan(_) = start else {
            return self.page_down(list, start).await;
        };
        let mut incidents = self.records(list.query(self, start)).await?;
        if incidents.len() <= limit as usize {
            return self.page_down(list, PageStart::Newest).await; // the top is reached: a whole page from there
        }
        incidents.remove(0);
        Ok(IncidentPage {
            incidents,
            newer: true,
            older: true,
        })
    }

    async fn page_down(&self, list: List<'_>, start: PageStart) -> Result<IncidentPage, StoreError> {
        let mut incidents = self.records(list.query(self, start)).await?;
        let older = incidents.len() > list.limit as usize;
        incidents.truncate(list.limit as usize);
        Ok(IncidentPage {
            incidents,
            newer: start != PageStart::Newest,
            older,
        })
    }

    /// The first 200 of the organization's projects, by name.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn project_names(
        &self,
        scope: OrganizationScope,
    ) -> Result<Vec<(ProjectId, String)>, StoreError> {
        let query = Sql::new(
            "SELECT id, name FROM projects WHERE organization_id = {} AND deleted_at IS NULL
             ORDER BY name, id LIMIT 200",
        );
        let found = query.bind(scope.as_bytes()).all(&self.reader).await?;
        found.iter().map(named).collect()
    }

    /// Those of these projects that are the organization's, by name.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn names_of_projects(
        &self,
        scope: OrganizationScope,
        projects: &BTreeSet<ProjectId>,
    ) -> Result<Vec<(ProjectId, String)>, StoreError> {
        const COLUMNS: &[Column] = &[Column::new("id", Kind::Id)];
        if projects.is_empty() {
            return Ok(Vec::new());
        }
        let mut wanted = Rows::new(COLUMNS);
        for project in projects {
            wanted.push([project.as_bytes().into()]);
        }
        let query = Sql::over(
            "SELECT p.id, p.name FROM {rows} JOIN projects p ON p.id = r.id
             WHERE p.organization_id = {} AND p.deleted_at IS NULL ORDER BY p.name, p.id",
            wanted,
        );
        let found = query.bind(scope.as_bytes()).all(&self.reader).await?;
        found.iter().map(named).collect()
    }

    /// How many of an organization's incidents are in this state.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count_incidents(
        &self,
        scope: OrganizationScope,
        state: IncidentState,
    ) -> Result<Count, StoreError> {
        let by_facet = self.dialect.by_index("incidents_of_organization_by_facet");
        let (least, most) = incident_facets::range_of(state);
        let query = Sql::new(format!(
            "SELECT count(*) AS n FROM (SELECT 1 FROM incidents{by_facet}
             WHERE organization_id = {{}} AND facet BETWEEN {{}} AND {{}} AND project_id NOT IN ({DELETED})
             LIMIT {}) AS counted",
            Count::MOST + 1
        ));
        let query = query.bind(scope.as_bytes()).bind(least).bind(most);
        let row = query.one(&self.reader).await?;
        Ok(Count(row.map_or(Ok(0), |row| rows::count(&row, "n"))?))
    }
}

fn named(project: &QueryResult) -> Result<(ProjectId, String), StoreError> {
    let id = ProjectId::from_bytes(rows::id(project, "id")?);
    Ok((id, rows::get(project, "name")?))
}

/// One more incident than fits on a page is read: it tells whether another page follows.
#[derive(Debug, Clone, Copy)]
struct List<'a> {
    scope: OrganizationScope,
    filter: &'a IncidentFilter,
    limit: u32,
}

/// Ids in an index: which one, and what holds for them, with the values.
struct Source {
    index: &'static str,
    condition: String,
    values: Vec<Cell>,
    /// Whether the index holds each facet's incidents in the list's order.
    by_facet: bool,
}

impl Source {
    fn and(mut self, condition: &str, value: impl Into<Cell>) -> Self {
        self.condition.push_str(" AND ");
        self.condition.push_str(condition);
        self.values.push(value.into());
        self
    }
}

impl List<'_> {
    /// The query for the page; its rows are newest first, whichever way it goes.
    fn query(&self, store: &Store, start: PageStart) -> Sql {
        let facets = Narrowed {
            state: self.filter.state,
            provider: self.filter.provider,
            effect_type: self.filter.effect_type,
        };
        let span = Span::from(start, self.limit);
        let mut parts = Vec::new();
        let mut values = Vec::new();
        for source in self.sources(&facets) {
            parts.push(ids(store, &source, &facets, &span));
            values.extend(source.values);
            values.push(span.from.as_bytes().into());
        }
        let (ids, order) = (parts.join(" UNION "), span.order());
        let text = format!(
            "SELECT {COLUMNS} FROM (SELECT project_id, id FROM ({ids}) AS found {order}) AS page
             JOIN incidents i ON i.project_id = page.project_id AND i.id = page.id
             JOIN events e ON e.project_id = i.project_id AND e.id = i.event_id
             ORDER BY i.id DESC"
        );
        let query = if text.contains("{rows}") {
            Sql::over(text, facet_rows(&facets))
        } else {
            Sql::new(text)
        };
        values.into_iter().fold(query, Sql::bind)
    }

    /// Where what is wanted is to be found: two places at most, whose ids together are the list.
    fn sources(&self, facets: &Narrowed) -> Vec<Source> {
        match (self.filter.reference.as_deref(), self.filter.search.as_deref()) {
            (None, None) => vec![self.of_everything(facets)],
            (Some(reference), None) => vec![self.of_reference(reference)],
            (None, Some(search)) => vec![self.of_reference(search), self.of_provider_event(search)],
            (Some(reference), Some(search)) if reference == search => vec![self.of_reference(reference)],
            (Some(reference), Some(search)) => vec![
                self.of_provider_event(search)
                    .and("x.internal_reference = {}", reference),
            ],
        }
    }

    fn of_everything(&self, facets: &Narrowed) -> Source {
        if facets.is_whole() && self.filter.project.is_none() {
            return self.of_organization("incidents_of_organization");
        }
        self.by_facet(
            "incidents_of_organization_by_facet",
            "incidents_of_project_by_facet",
        )
    }

    fn of_reference(&self, reference: &str) -> Source {
        let source = self.by_facet(
            "incidents_of_organization_by_reference",
            "incidents_of_project_by_reference",
        );
        source.and("x.internal_reference = {}", reference)
    }

    /// A provider's event has one incident in a project, so these are few.
    fn of_provider_event(&self, name: &str) -> Source {
        let source = self.of_organization("incidents_by_provider_event");
        let source = source.and("x.provider_event_digest = {}", dedupe::digest(name));
        match self.filter.project {
            None => source,
            Some(project) => source.and("x.project_id = {}", project.as_bytes()),
        }
    }

    fn of_organization(&self, index: &'static str) -> Source {
        Source {
            index,
            condition: "x.organization_id = {}".to_owned(),
            values: vec![self.scope.as_bytes().into()],
            by_facet: false,
        }
    }

    /// By an index of the organization, or by one of the project that is wanted, if it is the organization's.
    fn by_facet(&self, of_organization: &'static str, of_project: &'static str) -> Source {
        let Some(project) = self.filter.project else {
            return Source {
                by_facet: true,
                ..self.of_organization(of_organization)
            };
        };
        Source {
            index: of_project,
            condition:
                "x.project_id = (SELECT p.id FROM projects p WHERE p.id = {} AND p.organization_id = {}
                    AND p.deleted_at IS NULL)"
                    .to_owned(),
            values: vec![project.as_bytes().into(), self.scope.as_bytes().into()],
            by_facet: true,
        }
    }
}

/// The part of the list that a page lies in: which way it goes from where, and how far.
struct Span {
    from: IncidentId,
    newer: bool,
    most: u32,
}

impl Span {
    fn from(start: PageStart, limit: u32) -> Self {
        let (from, newer) = match start {
            PageStart::Newest => (IncidentId::from_bytes([0xff; 16]), false),
            PageStart::OlderThan(incident) => (incident, false),
            PageStart::NewerThan(incident) => (incident, true),
        };
        Self {
            from,
            newer,
            most: limit.saturating_add(1),
        }
    }

    const fn condition(&self) -> &'static str {
        if self.newer { "x.id > {}" } else { "x.id < {}" }
    }

    fn order(&self) -> String {
        let way = if self.newer { "ASC" } else { "DESC" };
        format!("ORDER BY id {way} LIMIT {}", self.most)
    }
}

/// The query for the ids of one source.
fn ids(store: &Store, source: &Source, facets: &Narrowed, span: &Span) -> String {
    let by_index = store.dialect.by_index(source.index);
    let select = |more: &str| {
        format!(
            "SELECT x.project_id, x.id FROM incidents x{by_index}
             WHERE {}{more} AND x.project_id NOT IN ({DELETED}) AND {} {}",
            source.condition,
            span.condition(),
            span.order()
        )
    };
    if source.by_facet {
        let each = store
            .dialect
            .for_each_row("incidents", &select(" AND x.facet = r.facet"));
        return format!("SELECT each_row.project_id, each_row.id FROM {{rows}} {each}");
    }
    let narrowed = if facets.is_whole() {
        ""
    } else {
        " AND x.facet IN (SELECT r.facet FROM {rows})"
    };
    format!("SELECT project_id, id FROM ({}) AS few", select(narrowed))
}

fn facet_rows(facets: &Narrowed) -> Rows {
    const COLUMNS: &[Column] = &[Column::new("facet", Kind::Int)];
    let mut rows = Rows::new(COLUMNS);
    for facet in facets.facets() {
        rows.push([facet.into()]);
    }
    rows
}
