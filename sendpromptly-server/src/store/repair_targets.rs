//! Whom a replay would call: the repair endpoints of an organization's projects.

use std::collections::HashMap;

use sendpromptly_core::event::Mode;
use sendpromptly_core::id::ProjectId;
use url::Url;

use super::rows::{self, Column, Kind, Rows, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError};

/// What may be shown of a project's repair endpoint.
#[derive(Debug, Clone)]
pub struct RepairTarget {
    /// The project's name.
    pub project: String,
    /// Whether real money is meant.
    pub mode: Mode,
    /// Scheme, host and port of its repair URL, whose path may hold a secret; `None` where there is none.
    pub origin: Option<String>,
    /// Whether a callback bears the payload, where one is kept.
    pub sends_payload: bool,
}

impl Store {
    /// The repair endpoints of those of these projects that are the organization's.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn repair_targets(
        &self,
        scope: OrganizationScope,
        projects: impl IntoIterator<Item = ProjectId>,
    ) -> Result<HashMap<ProjectId, RepairTarget>, StoreError> {
        const IDS: &[Column] = &[Column::new("id", Kind::Id)];
        let mut wanted = Rows::new(IDS);
        for project in projects {
            wanted.push([project.as_bytes().into()]);
        }
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let query = Sql::over(
            "SELECT p.id, p.name, p.mode, p.repair_url, p.send_payload FROM {rows}
             JOIN projects p ON p.id = r.id WHERE p.organization_id = {} AND p.deleted_at IS NULL",
            wanted,
        );
        let found = query.bind(scope.as_bytes()).all(&self.reader).await?;
        let target = |row| {
            let url: Option<String> = rows::get(row, "repair_url")?;
            let target = RepairTarget {
                project: rows::get(row, "name")?,
                mode: rows::word(row, "mode")?,
                origin: url.and_then(|url| Some(Url::parse(&url).ok()?.origin().ascii_serialization())),
                sends_payload: rows::flag(row, "send_payload")?,
            };
            Ok((ProjectId::from_bytes(rows::id(row, "id")?), target))
        };
        found.iter().map(target).collect()
    }
}
