//! The results that were accepted, one row for each, and the events that they name.

use sendpromptly_core::id::{EventId, ProjectId, ReplayId};
use sendpromptly_core::replay::Effect;
use sendpromptly_core::time::Timestamp;

use super::cases::CaseKey;
use super::receipts::EVENTS_BY_NAME;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};
use crate::platform::entropy;

/// An accepted result.
#[derive(Debug, Clone)]
pub struct NewResult<'a> {
    /// The project.
    pub project: ProjectId,
    /// The event that it is about.
    pub event: EventId,
    /// What happened.
    pub effect: Effect,
    /// The app's own code of the failure.
    pub error_code: Option<&'a str>,
    /// The app's own words about the failure.
    pub error_message: Option<&'a str>,
    /// The replay that it answers.
    pub replay: Option<ReplayId>,
    /// When it was accepted.
    pub received_at: Timestamp,
}

impl Store {
    /// The events known by these digests of provider event ids, of any provider.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn events_by_digest(
        &self,
        digests: impl IntoIterator<Item = (ProjectId, [u8; 16])>,
    ) -> Result<Vec<CaseKey>, StoreError> {
        const COLUMNS: &[Column] = &[
            Column::new("project_id", Kind::Id),
            Column::new("digest", Kind::Id),
        ];
        let mut wanted = Rows::new(COLUMNS);
        for (project, digest) in digests {
            wanted.push([project.as_bytes().into(), digest.into()]);
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let by_name = self.dialect.by_index(EVENTS_BY_NAME);
        let query = Sql::over(
            format!(
                "SELECT e.project_id, e.id FROM {{rows}} JOIN events e{by_name}
                 ON e.project_id = r.project_id AND e.provider_event_digest = r.digest"
            ),
            wanted,
        );
        let found = query.all(&self.reader).await?;
        found
            .iter()
            .map(|row| {
                let project = ProjectId::from_bytes(rows::id(row, "project_id")?);
                Ok((project, EventId::from_bytes(rows::id(row, "id")?)))
            })
            .collect()
    }
}

/// Stores these results.
#[must_use]
pub fn insert<'a>(results: impl IntoIterator<Item = NewResult<'a>>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("event_id", Kind::Id),
        Column::new("id", Kind::Id),
        Column::new("effect", Kind::Text),
        Column::optional("error_code", Kind::Text),
        Column::optional("error_message", Kind::Text),
        Column::optional("replay_id", Kind::Id),
        Column::new("received_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for result in results {
        // A result has no id on the wire; this one keeps the order of arrival.
        let id = EventId::new(result.received_at, entropy::for_id());
        rows.push([
            result.project.as_bytes().into(),
            result.event.as_bytes().into(),
            id.as_bytes().into(),
            match result.effect {
                Effect::Success => "success",
                Effect::Failed => "failed",
            }
            .into(),
            result.error_code.into(),
            result.error_message.into(),
            result.replay.map(|replay| *replay.as_bytes()).into(),
            result.received_at.into(),
        ]);
    }
    Sql::over(
        "INSERT INTO results (project_id, event_id, id, effect, error_code, error_message, replay_id, received_at)
         SELECT r.project_id, r.event_id, r.id, r.effect, r.error_code, r.error_message, r.replay_id,
            r.received_at FROM {rows}",
        rows,
    )
}
