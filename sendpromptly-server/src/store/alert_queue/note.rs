//! Noting what a message has told, for each of its incidents. The end of a message writes one row, however much it told;
//! what follows from that is written a few at a time.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::alert::News;
use sendpromptly_core::time::Timestamp;

use super::{AlertMessage, ClaimedAlert, batch};
use crate::store::retry::retried;
use crate::store::rows::{self, Cell, Column, Kind, Rows, Sql};
use crate::store::{Dialect, Store, StoreError};

/// A message that is to be noted.
struct Ended {
    project: [u8; 16],
    id: [u8; 16],
    escalation: bool,
    noted_to: i64,
    told_to: i64,
    destination: [u8; 16],
    channel: String,
    message: Option<AlertMessage>,
    tries: u32,
    ended_at: Timestamp,
    failure: Option<String>,
}

/// The row of a message that has ended, with why it was given up if it was.
pub(super) fn ended(claimed: &ClaimedAlert, failure: Option<&str>, now: Timestamp) -> Sql {
    let (after, to) = claimed.tells;
    Sql::new(
        "INSERT INTO told_messages (project_id, id, escalation, noted_to, told_to, destination_id, channel, message,
            tries, ended_at, failure) VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {})",
    )
    .bind(claimed.project.as_bytes())
    .bind(claimed.message.id.as_bytes())
    .bind(claimed.escalation)
    .bind(after)
    .bind(to)
    .bind(claimed.destination.as_bytes())
    .bind(claimed.channel.as_str())
    .bind(claimed.message.to_text())
    .bind(claimed.tries)
    .bind(now)
    .bind(failure)
}

impl Store {
    /// Notes what messages have told, a batch at most; gives whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_told_alerts(&self) -> Result<bool, StoreError> {
        let look = Sql::new("SELECT 1 AS found FROM told_messages LIMIT 1");
        if look.one(&self.reader).await?.is_none() {
            return Ok(false);
        }
        retried(|| self.try_note()).await
    }

    async fn try_note(&self) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        let skip = self.dialect.for_update_skip_locked("m");
        let first = Sql::new(format!(
            "SELECT m.project_id, m.id, m.escalation, m.noted_to, m.told_to, m.destination_id, m.channel, m.message,
                m.tries, m.ended_at, m.failure FROM told_messages m LIMIT 1{skip}"
        ));
        let Some(row) = first.one(&tx).await? else {
            tx.rollback().await?;
            return Ok(false);
        };
        read(&row)?.note(&tx, self.dialect).await?;
        tx.commit().await?;
        Ok(true)
    }
}

impl Ended {
    /// Notes the next of its news, so many at most, and up to where that is done.
    async fn note(&self, tx: &DatabaseTransaction, dialect: Dialect) -> Result<(), StoreError> {
        let to = self
            .noted_to
            .saturating_add_unsigned(batch(dialect) as u64)
            .min(self.told_to);
        self.rows(dialect, to).run(tx).await?;
        let rest = if to == self.told_to {
            Sql::new("DELETE FROM told_messages WHERE project_id = {} AND id = {}")
        } else {
            Sql::new("UPDATE told_messages SET noted_to = {} WHERE project_id = {} AND id = {}").bind(to)
        };
        rest.bind(self.project).bind(self.id).run(tx).await?;
        Ok(())
    }

    /// Of each incident the message told the last of its news. Where a batch before has noted the incident, and the news
    /// were forgotten by which that shows, it stays as it is. No incident is locked: one of which there were news is long
    /// from being forgotten.
    fn rows(&self, dialect: Dialect, to: i64) -> Sql {
        let by_subject = dialect.by_index("alert_news_by_subject");
        Sql::over(
            format!("INSERT INTO told_alerts (project_id, incident_id, id, destination_id, channel, news, incidents, named,
                tries, ended_at, failure)
             SELECT n.project_id, n.subject_id, {{}}, {{}}, {{}}, n.news, {{}},
                CASE WHEN n.subject_id IN (SELECT r.id FROM {{rows}}) THEN 1 ELSE 0 END, {{}}, {{}}, {{}}
             FROM alert_news n JOIN incidents i ON i.project_id = n.project_id AND i.id = n.subject_id
             WHERE n.project_id = {{}} AND n.escalation = {{}} AND n.number > {{}} AND n.number <= {{}} AND NOT EXISTS
                (SELECT 1 FROM alert_news l{by_subject}
                 WHERE l.project_id = n.project_id AND l.escalation = n.escalation AND l.subject_id = n.subject_id
                    AND l.number <= {{}} AND (l.at > n.at OR (l.at = n.at AND l.number > n.number)))
             ON CONFLICT (project_id, incident_id, id) DO NOTHING"),
            self.named(),
        )
        .bind(self.id)
        .bind(self.destination)
        .bind(self.channel.as_str())
        .bind(self.incidents())
        .bind(self.tries)
        .bind(self.ended_at)
        .bind(self.failure.as_deref())
        .bind(self.project)
        .bind(self.escalation)
        .bind(self.noted_to)
        .bind(to)
        .bind(self.told_to)
    }

    fn named(&self) -> Rows {
        const IDS: &[Column] = &[Column::new("id", Kind::Id)];
        let mut ids = Rows::new(IDS);
        for named in self.message.iter().flat_map(|message| &message.content.incidents) {
            ids.push([Cell::from(named.incident.as_bytes())]);
        }
        ids
    }

    /// Of how many incidents it told.
    fn incidents(&self) -> u32 {
        let counts = self.message.iter().flat_map(|message| &message.content.counts);
        let of_incidents = counts.filter(|(news, _)| !matches!(news, News::Silent | News::Heard));
        of_incidents.map(|(_, count)| count).sum()
    }
}

fn read(row: &QueryResult) -> Result<Ended, StoreError> {
    let message: String = rows::get(row, "message")?;
    Ok(Ended {
        project: rows::id(row, "project_id")?,
        id: rows::id(row, "id")?,
        escalation: rows::flag(row, "escalation")?,
        noted_to: rows::get(row, "noted_to")?,
        told_to: rows::get(row, "told_to")?,
        destination: rows::id(row, "destination_id")?,
        channel: rows::get(row, "channel")?,
        message: AlertMessage::from_text(&message),
        tries: rows::count(row, "tries")?,
        ended_at: rows::time(row, "ended_at")?,
        failure: rows::get(row, "failure")?,
    })
}
