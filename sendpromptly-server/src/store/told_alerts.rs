//! What people were told of an incident, and what waits to be told.

use std::collections::BTreeMap;

use sea_orm::QueryResult;
use sendpromptly_core::alert::{Channel, News};
use sendpromptly_core::id::{AlertId, IncidentId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::incident_history::READ;
use super::rows::{self, Sql};
use super::{Store, StoreError};

/// A message that told of an incident, and has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldAlert {
    /// The message's id.
    pub id: [u8; 16],
    /// How it went.
    pub channel: Channel,
    /// What may be shown of where it went; `None` where the destination is removed.
    pub shown: Option<String>,
    /// What it told of the incident.
    pub news: News,
    /// Of how many incidents it told.
    pub incidents: u32,
    /// Whether it named this one, or only counted it.
    pub named: bool,
    /// How often it was tried.
    pub tries: u32,
    /// When it was taken or given up.
    pub ended_at: Timestamp,
    /// Why it was given up; `None` where it was taken.
    pub failure: Option<String>,
}

/// News of an incident that wait to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingAlert {
    /// How they go.
    pub channel: Channel,
    /// What may be shown of where they go.
    pub shown: String,
    /// What will be told of the incident.
    pub news: News,
    /// When the message is due, or the claim of it ends.
    pub due_at: Timestamp,
    /// Whether it is being sent now.
    pub under_way: bool,
    /// How often a message that told this was tried, and why it was not taken.
    pub failed: Option<(u32, String)>,
}

impl Store {
    /// The last messages that told of an incident and have ended up to a moment, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn alerts_on(
        &self,
        project: ProjectId,
        incident: IncidentId,
        until: Timestamp,
    ) -> Result<Vec<ToldAlert>, StoreError> {
        let query = Sql::new(format!(
            "SELECT t.id, t.channel, d.shown, t.news, t.incidents, t.named, t.tries, t.ended_at, t.failure
             FROM told_alerts t
             LEFT JOIN alert_destinations d ON d.project_id = t.project_id AND d.id = t.destination_id
             WHERE t.project_id = {{}} AND t.incident_id = {{}} AND t.ended_at <= {{}} 
             ORDER BY t.ended_at DESC, t.id DESC LIMIT {READ}"
        ));
        let query = query.bind(project.as_bytes()).bind(incident.as_bytes());
        let found = query.bind(until).all(&self.reader).await?;
        found.iter().rev().map(told).collect()
    }

    /// What waits to be told of an incident.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn waiting_alerts_on(
        &self,
        project: ProjectId,
        incident: IncidentId,
    ) -> Result<Vec<WaitingAlert>, StoreError> {
        let query = Sql::new(
            "SELECT d.id, d.channel, d.shown, n.news, n.number, d.due_at, d.lease_token, d.telling_to, d.tries, d.begun,
                d.failure
             FROM alert_news n JOIN alert_destinations d
                ON d.project_id = n.project_id AND d.escalation = n.escalation AND d.told_to < n.number
             WHERE n.project_id = {} AND n.escalation IN (0, 1) AND n.subject_id = {} AND d.due_at IS NOT NULL
             ORDER BY d.id, n.at, n.number",
        );
        let query = query.bind(project.as_bytes()).bind(incident.as_bytes());
        let found = query.all(&self.reader).await?;
        // A message tells the last of what there is, and so will the one after it.
        let mut last = BTreeMap::new();
        for row in &found {
            let destination = AlertId::from_bytes(rows::id(row, "id")?);
            last.insert((destination, is_later(row)?), waiting(row)?);
        }
        Ok(last.into_values().collect())
    }

    /// Whether there are news of an incident that are still to be handed on, or messages of its project that are still to
    /// be noted, either of which takes seconds.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn is_telling(&self, project: ProjectId, incident: IncidentId) -> Result<bool, StoreError> {
        let query = Sql::new(
            "SELECT 1 AS found WHERE EXISTS
                (SELECT 1 FROM alert_changes WHERE project_id = {} AND subject_id = {})
                OR EXISTS (SELECT 1 FROM told_messages WHERE project_id = {})",
        );
        let query = query.bind(project.as_bytes()).bind(incident.as_bytes());
        let found = query.bind(project.as_bytes()).one(&self.reader).await?;
        Ok(found.is_some())
    }
}

fn told(row: &QueryResult) -> Result<ToldAlert, StoreError> {
    Ok(ToldAlert {
        id: rows::id(row, "id")?,
        channel: rows::word(row, "channel")?,
        shown: rows::get(row, "shown")?,
        news: rows::word(row, "news")?,
        incidents: rows::count(row, "incidents")?,
        named: rows::flag(row, "named")?,
        tries: rows::count(row, "tries")?,
        ended_at: rows::time(row, "ended_at")?,
        failure: rows::get(row, "failure")?,
    })
}

/// Whether the message that waits or is under way does not tell this: it came later.
fn is_later(row: &QueryResult) -> Result<bool, StoreError> {
    let number: i64 = rows::get(row, "number")?;
    let telling_to: Option<i64> = rows::get(row, "telling_to")?;
    Ok(telling_to.is_some_and(|to| number > to))
}

fn waiting(row: &QueryResult) -> Result<WaitingAlert, StoreError> {
    let in_message = !is_later(row)?;
    let is_claimed = rows::optional_id(row, "lease_token")?.is_some();
    let tries: u32 = rows::count(row, "tries")?;
    let failure: Option<String> = rows::get(row, "failure")?;
    // How a try ended that was only begun is not known.
    let is_known = tries > 0 && rows::count(row, "begun")? == 0;
    let failed = failure.filter(|_| in_message && !is_claimed && is_known);
    Ok(WaitingAlert {
        channel: rows::word(row, "channel")?,
        shown: rows::get(row, "shown")?,
        news: rows::word(row, "news")?,
        due_at: rows::time(row, "due_at")?,
        under_way: in_message && is_claimed,
        failed: failed.map(|failure| (tries, failure)),
    })
}

#[cfg(test)]
mod tests;
