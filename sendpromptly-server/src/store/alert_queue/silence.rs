//! Projects to which no receipt comes, where that is to be told.

use sendpromptly_core::alert::{News, Silence};
use sendpromptly_core::billing::Plan;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;

use crate::platform::entropy;
use crate::store::billing::{self, PLAN};
use crate::store::last_receipt::EVENTS;
use crate::store::retry::retried;
use crate::store::rows::{self, Sql};
use crate::store::{Store, StoreError};

/// A project that is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietProject {
    /// The project.
    pub project: ProjectId,
    /// How long it is quiet there.
    pub silence: Silence,
    /// What its organization may do: where that is not to send receipts, none can come.
    pub plan: Plan,
}

impl Store {
    /// The projects after this one that are to tell when no receipt comes, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn listened_to(&self, after: ProjectId, limit: u32) -> Result<Vec<QuietProject>, StoreError> {
        // Events are stored in the order of their ids, so no index more is kept for their time. What a provider
        // announced is no receipt.
        let query = Sql::new(format!(
            "SELECT p.id, p.silence_minutes, p.silence_since, p.silence_told_at, {PLAN},
                (SELECT e.received_at FROM
                    (SELECT n.received_at FROM events n WHERE n.project_id = p.id ORDER BY n.id DESC LIMIT {EVENTS}) e
                 WHERE e.received_at IS NOT NULL LIMIT 1) AS last_receipt
             FROM projects p JOIN organizations o ON o.id = p.organization_id
             WHERE p.silence_minutes IS NOT NULL AND p.deleted_at IS NULL AND p.id > {{}}
             ORDER BY p.id LIMIT {limit}"
        ));
        let found = query.bind(after.as_bytes()).all(&self.reader).await?;
        found
            .iter()
            .map(|row| {
                Ok(QuietProject {
                    project: ProjectId::from_bytes(rows::id(row, "id")?),
                    silence: Silence {
                        minutes: rows::count(row, "silence_minutes")?,
                        since: rows::time(row, "silence_since")?,
                        last_receipt_at: rows::optional_time(row, "last_receipt")?,
                        told_at: rows::optional_time(row, "silence_told_at")?,
                    },
                    plan: billing::plan(row)?,
                })
            })
            .collect()
    }

    /// Notes that it is quiet in a project, or no longer, and tells of it; nothing where another node has done so.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn tell_of_silence(
        &self,
        project: ProjectId,
        news: News,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        retried(|| self.try_tell_of_silence(project, news, now)).await
    }

    async fn try_tell_of_silence(
        &self,
        project: ProjectId,
        news: News,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (told_at, before) = match news {
            News::Silent => (Some(now), "IS NULL"),
            _ => (None, "IS NOT NULL"),
        };
        let note = Sql::new(format!(
            "UPDATE projects SET silence_told_at = {{}} WHERE id = {{}} AND silence_told_at {before}"
        ));
        let tx = self.begin().await?;
        if note.bind(told_at).bind(project.as_bytes()).run(&tx).await? == 0 {
            tx.rollback().await?;
            return Ok(());
        }
        let tell = Sql::new(
            "INSERT INTO alert_changes (project_id, id, subject_id, news, at) VALUES ({}, {}, {}, {}, {})",
        );
        tell.bind(project.as_bytes())
            .bind(entropy::ordered_id(now))
            .bind(project.as_bytes())
            .bind(news.as_str())
            .bind(now)
            .run(&tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}
