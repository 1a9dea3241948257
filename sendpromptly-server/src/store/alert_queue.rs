//! News on their way to whom they are told: written in the transaction of the change that they tell of, handed on to
//! the project's destinations, and claimed by a node that sends a message of all that waits.
//!
//! Whoever hands on, claims or ends locks the destination's row before rows of its queue. What a message tells leaves
//! the queue only once the message has ended; a claim holds for a time only, so a node that dies hands it on.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::alert::{self, Channel, News};
use sendpromptly_core::event::{EffectType, Mode};
use sendpromptly_core::id::{AlertId, IncidentId, OrganizationId, ProjectId};
use sendpromptly_core::incident::IncidentReason;
use sendpromptly_core::time::Timestamp;

use super::retry::retried;
use super::rows::{self, Sql};
use super::{Store, StoreError};
use crate::platform::entropy;

mod hand_on;
mod silence;
#[cfg(test)]
mod tests;

pub(super) use hand_on::news;
pub use silence::QuietProject;

/// How long a node has for one message.
pub const LEASE: Duration = Duration::from_secs(60);

/// Incidents that a message names; of the others it tells how many there are.
pub const NAMED: u32 = 20;

/// What a message tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The organization.
    pub organization: OrganizationId,
    /// The project.
    pub project: ProjectId,
    /// Its name.
    pub project_name: String,
    /// Whether it watches real money.
    pub mode: Mode,
    /// After how many minutes without a receipt the project alerts.
    pub silence_minutes: Option<u32>,
    /// How many news there are of each kind; none in a test.
    pub counts: BTreeMap<News, u32>,
    /// The last of them.
    pub incidents: Vec<Named>,
}

/// An incident that a message names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The incident.
    pub incident: IncidentId,
    /// What there is to tell of it.
    pub news: News,
    /// Since when.
    pub at: Timestamp,
    /// Why it was opened.
    pub reason: IncidentReason,
    /// The effect that is missing, where that is known.
    pub effect_type: Option<EffectType>,
}

/// A message that this node has claimed.
#[derive(Debug, Clone)]
pub struct ClaimedAlert {
    /// Whom it goes to.
    pub destination: AlertId,
    /// How.
    pub channel: Channel,
    /// Where, sealed.
    pub sealed: Vec<u8>,
    /// How many tries there were, this one included.
    pub tries: u32,
    /// What it tells.
    pub content: Content,
    token: [u8; 16],
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertEnd {
    /// The message was taken.
    Sent,
    /// It was not, for this reason, and goes again then.
    Waits(String, Timestamp),
    /// It was not, for this reason, and will not go again.
    GivenUp(String),
}

impl Store {
    /// Claims the message that is due first, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn claim_alert(&self, now: Timestamp) -> Result<Option<ClaimedAlert>, StoreError> {
        let due = Sql::new("SELECT 1 AS found FROM alert_destinations WHERE due_at <= {} LIMIT 1");
        if due.bind(now).one(&self.reader).await?.is_none() {
            return Ok(None);
        }
        let token: [u8; 16] = entropy::bytes();
        let skip = self.dialect.for_update_skip_locked("d");
        let claim = Sql::new(format!(
            "UPDATE alert_destinations SET tries = tries + 1, due_at = {{}}, lease_token = {{}}
             WHERE (project_id, id) IN (SELECT d.project_id, d.id FROM alert_destinations d WHERE d.due_at <= {{}}
                ORDER BY d.due_at LIMIT 1{skip})
             RETURNING project_id, id, channel, sealed, tries"
        ));
        let tx = self.begin().await?;
        let claim = claim.bind(now.plus(LEASE)).bind(token).bind(now);
        let Some(row) = claim.one(&tx).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
        let destination = AlertId::from_bytes(rows::id(&row, "id")?);
        let mark =
            Sql::new("UPDATE alert_queue SET lease_token = {} WHERE project_id = {} AND destination_id = {}");
        let mark = mark.bind(token).bind(project.as_bytes());
        mark.bind(destination.as_bytes()).run(&tx).await?;
        let content = content(&tx, project, destination).await?;
        let claimed = content.map(|content| -> Result<_, StoreError> {
            Ok(ClaimedAlert {
                destination,
                channel: rows::word(&row, "channel")?,
                sealed: rows::get(&row, "sealed")?,
                tries: rows::count(&row, "tries")?,
                content,
                token,
            })
        });
        let claimed = claimed.transpose()?;
        if claimed.is_none() {
            rest(project, destination).run(&tx).await?;
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// Records how a try ended. What came meanwhile is told by the next message. A node that was too slow records
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn end_alert(
        &self,
        claimed: &ClaimedAlert,
        end: &AlertEnd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        retried(|| self.try_end_alert(claimed, end, now)).await
    }

    async fn try_end_alert(
        &self,
        claimed: &ClaimedAlert,
        end: &AlertEnd,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (project, id) = (claimed.content.project, claimed.destination);
        let mine = |sql: Sql| {
            sql.bind(project.as_bytes())
                .bind(id.as_bytes())
                .bind(claimed.token)
        };
        let tx = self.begin().await?;
        let lock = self.dialect.for_update_of("d");
        let held = Sql::new(format!(
            "SELECT 1 AS found FROM alert_destinations d
             WHERE d.project_id = {{}} AND d.id = {{}} AND d.lease_token = {{}}{lock}"
        ));
        if mine(held).one(&tx).await?.is_none() {
            tx.rollback().await?;
            return Ok(());
        }
        let (outcome, failure) = match end {
            AlertEnd::Sent => ("sent_at = {}, failed_at = NULL, failure = NULL", None),
            AlertEnd::Waits(failure, _) => ("failed_at = {}, failure = {}", Some(failure)),
            AlertEnd::GivenUp(failure) => (
                "failed_at = {}, failure = {}, given_up = given_up + 1",
                Some(failure),
            ),
        };
        let next = if let AlertEnd::Waits(_, until) = end {
            Next {
                due_at: Some(*until),
                is_over: false,
            }
        } else {
            let told = Sql::new(
                "DELETE FROM alert_queue WHERE project_id = {} AND destination_id = {} AND lease_token = {}",
            );
            mine(told).run(&tx).await?;
            let more = Sql::new(
                "SELECT 1 AS found FROM alert_queue WHERE project_id = {} AND destination_id = {} LIMIT 1",
            );
            let more = more.bind(project.as_bytes()).bind(id.as_bytes()).one(&tx).await?;
            Next {
                due_at: more.map(|_| alert::due(None, Some(now), now)),
                is_over: true,
            }
        };
        let over = if next.is_over {
            "tries = 0, ended_at = {}, "
        } else {
            ""
        };
        let mut update = Sql::new(format!(
            "UPDATE alert_destinations SET due_at = {{}}, lease_token = NULL, {over}{outcome}
             WHERE project_id = {{}} AND id = {{}} AND lease_token = {{}}"
        ))
        .bind(next.due_at);
        if next.is_over {
            update = update.bind(now);
        }
        update = update.bind(now);
        if let Some(failure) = failure {
            update = update.bind(failure.as_str());
        }
        mine(update).run(&tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// What is next for a destination.
struct Next {
    due_at: Option<Timestamp>,
    /// Whether its message has ended.
    is_over: bool,
}

/// What waits for a destination; `None` where nothing does.
async fn content(
    tx: &DatabaseTransaction,
    project: ProjectId,
    destination: AlertId,
) -> Result<Option<Content>, StoreError> {
    let of = |sql: &str| {
        Sql::new(sql)
            .bind(project.as_bytes())
            .bind(destination.as_bytes())
    };
    let counts = of("SELECT q.news, count(*) AS n FROM alert_queue q
         WHERE q.project_id = {} AND q.destination_id = {} GROUP BY q.news");
    let mut content = Content::of(tx, project).await?;
    for row in counts.all(tx).await? {
        if let Some(content) = &mut content {
            content
                .counts
                .insert(rows::word(&row, "news")?, rows::count(&row, "n")?);
        }
    }
    let named = of(&format!(
        "SELECT q.subject_id, q.news, q.at, i.reason, e.effect_type FROM alert_queue q
         JOIN incidents i ON i.project_id = q.project_id AND i.id = q.subject_id
         JOIN events e ON e.project_id = i.project_id AND e.id = i.event_id
         WHERE q.project_id = {{}} AND q.destination_id = {{}} ORDER BY q.at DESC, q.subject_id DESC LIMIT {NAMED}"
    ));
    for row in named.all(tx).await? {
        if let Some(content) = &mut content {
            content.incidents.push(Named {
                incident: IncidentId::from_bytes(rows::id(&row, "subject_id")?),
                news: rows::word(&row, "news")?,
                at: rows::time(&row, "at")?,
                reason: rows::word(&row, "reason")?,
                effect_type: rows::optional_word(&row, "effect_type")?,
            });
        }
    }
    Ok(content.filter(|content| !content.counts.is_empty()))
}

impl Content {
    /// The content of a message about this project that tells nothing yet; `None` where there is no such project.
    async fn of(on: &impl sea_orm::ConnectionTrait, project: ProjectId) -> Result<Option<Self>, StoreError> {
        let query = Sql::new(
            "SELECT p.organization_id, p.name, p.mode, p.silence_minutes FROM projects p
             WHERE p.id = {} AND p.deleted_at IS NULL",
        );
        let Some(row) = query.bind(project.as_bytes()).one(on).await? else {
            return Ok(None);
        };
        let minutes: Option<i64> = rows::get(&row, "silence_minutes")?;
        Ok(Some(Self {
            organization: OrganizationId::from_bytes(rows::id(&row, "organization_id")?),
            project,
            project_name: rows::get(&row, "name")?,
            mode: rows::word(&row, "mode")?,
            silence_minutes: minutes.and_then(|minutes| u32::try_from(minutes).ok()),
            counts: BTreeMap::new(),
            incidents: Vec::new(),
        }))
    }
}

fn rest(project: ProjectId, destination: AlertId) -> Sql {
    Sql::new(
        "UPDATE alert_destinations SET due_at = NULL, lease_token = NULL, tries = 0
         WHERE project_id = {} AND id = {}",
    )
    .bind(project.as_bytes())
    .bind(destination.as_bytes())
}
