//! The projects of an organization as its people see them, with what goes on in each.

use sea_orm::QueryResult;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::incident::IncidentState;
use sendpromptly_core::time::Timestamp;

use super::projects::{COLUMNS, Project, project_of};
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError, incident_facets, last_receipt};

#[cfg(test)]
mod tests;

/// Open incidents are counted up to here: a count costs what it counts.
pub const MOST_COUNTED: u32 = 1_000;

/// A project and what goes on in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedProject {
    /// The project.
    pub project: Project,
    /// Its open incidents, [`MOST_COUNTED`] at most.
    pub open_incidents: u32,
    /// When its last receipt came, of its newest events.
    pub last_receipt_at: Option<Timestamp>,
}

impl Store {
    /// The organization's projects after this one, in the order in which they were made, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn listed_projects(
        &self,
        scope: OrganizationScope,
        after: Option<ProjectId>,
        limit: u32,
    ) -> Result<Vec<ListedProject>, StoreError> {
        let after = after.unwrap_or(ProjectId::from_bytes([0; 16]));
        let query = Sql::new(select(&format!("p.id > {{}} ORDER BY p.id LIMIT {limit}")));
        let query = query.bind(scope.as_bytes()).bind(after.as_bytes());
        let found = query.all(&self.reader).await?;
        found.iter().map(listed).collect()
    }

    /// One of the organization's projects.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn listed_project(
        &self,
        scope: OrganizationScope,
        id: ProjectId,
    ) -> Result<Option<ListedProject>, StoreError> {
        let query = Sql::new(select("p.id = {}"))
            .bind(scope.as_bytes())
            .bind(id.as_bytes());
        query.one(&self.reader).await?.as_ref().map(listed).transpose()
    }
}

fn select(which: &str) -> String {
    // By the facet: an index holds it by project, so nothing else of the project is read.
    let (first_open, last_open) = incident_facets::range_of(IncidentState::Open);
    format!(
        "SELECT {COLUMNS},
            (SELECT count(*) FROM (SELECT 1 FROM incidents i
                WHERE i.project_id = p.id AND i.facet BETWEEN {first_open} AND {last_open}
                LIMIT {MOST_COUNTED}) counted) AS open_incidents,
            {} AS last_receipt
         FROM projects p WHERE p.organization_id = {{}} AND p.deleted_at IS NULL AND {which}",
        last_receipt::of_project("p.id")
    )
}

fn listed(row: &QueryResult) -> Result<ListedProject, StoreError> {
    Ok(ListedProject {
        project: project_of(row)?,
        open_incidents: rows::count(row, "open_incidents")?,
        last_receipt_at: rows::optional_time(row, "last_receipt")?,
    })
}
