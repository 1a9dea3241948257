//! Notes that people take on incidents. A note stays as it was written.

use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::{IncidentId, ProjectId, UserId};
use sendpromptly_core::incident::NoteText;
use sendpromptly_core::time::Timestamp;

use super::incident_history::READ;
use super::incidents::IncidentRecord;
use super::retry::retried;
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
    /// Adds a note to an incident. The audit log tells that it was added, and not what it says. Gives whether the
    /// incident is still there.
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
    ) -> Result<bool, StoreError> {
        let id = incident.incident.id;
        let draft = Draft::new(origin, Action::IncidentNoted, id, &[]);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        // The event is locked, as it is where it is forgotten: a note never outlives its incident.
        let lock = self.dialect.for_update_of("e");
        let insert = Sql::new(format!(
            "INSERT INTO notes (project_id, incident_id, id, author_id, text, created_at)
             SELECT i.project_id, i.id, {{}}, {{}}, {{}}, {{}} FROM incidents i
             JOIN events e ON e.project_id = i.project_id AND e.id = i.event_id
             WHERE i.project_id = {{}} AND i.id = {{}}{lock}"
        ));
        let insert = insert
            .bind(entropy::ordered_id(now))
            .bind(author.as_bytes())
            .bind(text.as_str())
            .bind(now)
            .bind(incident.project.as_bytes())
            .bind(id.as_bytes());
        retried(|| async {
            let tx = self.begin().await?;
            if insert.clone().run(&tx).await? == 0 {
                return Ok(false);
            }
            self.write_audited(&tx, Vec::new(), &drafts).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, World, operator};

    #[tokio::test]
    async fn a_note_is_not_added_to_an_incident_that_was_forgotten_meanwhile() {
        let world = World::set_up().await;
        let author = world.add_user("ada@example.com").await;
        let (event, _) = world.failed_event("evt").await;
        let incident = world.store.incident_of_event(world.project, event).await.unwrap();
        let incident = incident.unwrap();
        let text: NoteText = "asked the customer".parse().unwrap();
        let (scope, origin) = (world.scope(), operator());
        let add = async || {
            let added = world
                .store
                .add_note(scope, &incident, author, &text, &origin, NOW);
            added.await.unwrap()
        };
        let noted = async || {
            let told = Sql::new("SELECT count(*) AS n FROM audit_entries WHERE action = 'incident.noted'");
            let rows = Sql::new("SELECT count(*) AS n FROM notes");
            (world.number(rows).await, world.number(told).await)
        };
        assert!(add().await);
        assert_eq!(noted().await, (1, 1));
        for table in ["notes", "incidents"] {
            world.write(Sql::new(format!("DELETE FROM {table}"))).await;
        }
        assert!(!add().await);
        assert_eq!(noted().await, (0, 1), "and the log tells of none");
    }
}
