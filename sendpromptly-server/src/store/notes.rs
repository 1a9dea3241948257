//! Notes that people take on incidents. A note stays as it was written.

use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::{IncidentId, ProjectId, UserId};
use sendpromptly_core::incident::NoteText;
use sendpromptly_core::time::Timestamp;

use super::incident_history::READ;
use super::incidents::IncidentRecord;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError, audit};
use crate::platform::entropy;

/// A note as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: [u8; 16],
    /// Who wrote it.
    pub author: UserId,
    /// What it says.
    pub text: String,
    /// When.
    pub created_at: Timestamp,
}

impl Store {
    /// Adds a note to an incident. The audit log tells that it was added, and not what it says.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn add_note(
        &self,
        scope: OrganizationScope,
        incident: &IncidentRecord,
        author: UserId,
        text: &NoteText,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let insert = Sql::new(
            "INSERT INTO notes (project_id, incident_id, id, author_id, text, created_at)
             VALUES ({}, {}, {}, {}, {}, {})",
        );
        let insert = insert
            .bind(incident.project.as_bytes())
            .bind(incident.incident.id.as_bytes())
            .bind(entropy::ordered_id(now))
            .bind(author.as_bytes())
            .bind(text.as_str())
            .bind(now);
        let draft = Draft::new(origin, Action::IncidentNoted, incident.incident.id, &[]);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.commit_audited(&[insert], &drafts).await
    }

    /// The last notes on an incident up to a moment, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn notes_on(
        &self,
        project: ProjectId,
        incident: IncidentId,
        until: Timestamp,
    ) -> Result<Vec<Note>, StoreError> {
        let query = Sql::new(format!(
            "SELECT id, author_id, text, created_at FROM notes
             WHERE project_id = {{}} AND incident_id = {{}} AND created_at <= {{}} ORDER BY id DESC LIMIT {READ}"
        ));
        let query = query
            .bind(project.as_bytes())
            .bind(incident.as_bytes())
            .bind(until);
        let found = query.all(&self.reader).await?;
        let note = |row| {
            Ok(Note {
                id: rows::id(row, "id")?,
                author: UserId::from_bytes(rows::id(row, "author_id")?),
                text: rows::get(row, "text")?,
                created_at: rows::time(row, "created_at")?,
            })
        };
        found.iter().rev().map(note).collect()
    }
}
