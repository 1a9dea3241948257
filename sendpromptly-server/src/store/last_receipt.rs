//! When the last receipt of a project came.

use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;

use super::rows::{self, Sql};
use super::{Store, StoreError};

/// Events of a project that its last receipt is looked for among: an app that is down may leave many that a provider
/// announced and that no receipt came for.
pub(super) const EVENTS: u32 = 1_000;

/// The expression for it. Events are stored in the order of their ids, so no index more is kept for their time; one that
/// a provider had announced before its receipt came has an old id, so the order of ids does not decide.
pub(super) fn of_project(project: &str) -> String {
    format!(
        "(SELECT max(e.received_at) FROM
            (SELECT n.received_at FROM events n WHERE n.project_id = {project} ORDER BY n.id DESC LIMIT {EVENTS}) e)"
    )
}

impl Store {
    /// When the last receipt of a project came, of its newest events.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn last_receipt(&self, project: ProjectId) -> Result<Option<Timestamp>, StoreError> {
        let query = Sql::new(format!("SELECT {} AS last_receipt", of_project("{}")));
        let row = query.bind(project.as_bytes()).one(&self.reader).await?;
        row.map_or(Ok(None), |row| rows::optional_time(&row, "last_receipt"))
    }
}
