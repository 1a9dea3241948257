//! Claiming messages: those that are due and that a node has room for.

use sea_orm::QueryResult;
use sendpromptly_core::alert::{Channel, Next};
use sendpromptly_core::id::{AlertId, MessageId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::content::Range;
use super::{AlertMessage, ClaimedAlert, LEASE};
use crate::platform::entropy;
use crate::store::retry::retried;
use crate::store::rows::{self, Column, Kind, Rows, Sql};
use crate::store::{Store, StoreError};

/// What a node has room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Messages by these channels.
    pub channels: Vec<Channel>,
    /// But none to these projects, which have as many under way as they may.
    pub full: Vec<ProjectId>,
}

/// A destination whose message is due first, leased to this node.
#[derive(Debug, Clone)]
struct Leased {
    project: ProjectId,
    destination: AlertId,
    channel: Channel,
    sealed: Vec<u8>,
    escalation: bool,
    tries: u32,
    begun: u32,
    told_to: i64,
    newest: i64,
    last_ended: Option<Timestamp>,
    /// The message that was tried before, and up to where it tells.
    message: Option<(AlertMessage, i64)>,
    token: [u8; 16],
}

impl Store {
    /// Claims the message that is due first of those that there is room for, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause. One that cannot be made is not tried again before its lease is over, so it holds up
    /// no other.
    pub async fn claim_alert(&self, room: &Room, now: Timestamp) -> Result<Option<ClaimedAlert>, StoreError> {
        while let Some(leased) = self.lease_first(room, now).await? {
            let claimed = match leased.message.clone() {
                Some((message, to)) => Some(leased.claimed(message, to)),
                None => self.make_message(&leased, now).await?,
            };
            if claimed.is_some() {
                return Ok(claimed);
            }
        }
        Ok(None)
    }

    async fn lease_first(&self, room: &Room, now: Timestamp) -> Result<Option<Leased>, StoreError> {
        if room.channels.is_empty() {
            return Ok(None);
        }
        // On SQLite a look spares the one writer a transaction, when there is nothing.
        let due = room.over(&format!("SELECT 1 AS found {} LIMIT 1", room.due()));
        if due.bind(now).one(&self.reader).await?.is_none() {
            return Ok(None);
        }
        retried(|| self.try_lease_first(room, now)).await
    }

    async fn try_lease_first(&self, room: &Room, now: Timestamp) -> Result<Option<Leased>, StoreError> {
        let token: [u8; 16] = entropy::bytes();
        let skip = self.dialect.for_update_skip_locked("d");
        let take = room.over(&format!(
            "UPDATE alert_destinations SET tries = tries + 1, begun = begun + 1, due_at = {{}}, lease_token = {{}}
             WHERE (project_id, id) IN (SELECT d.project_id, d.id {} ORDER BY d.due_at LIMIT 1{skip})
             RETURNING project_id, id, channel, sealed, escalation, tries, begun, told_to, newest, ended_at, message,
                telling_to",
            room.due()
        ));
        let take = take.bind(now.plus(LEASE)).bind(token).bind(now);
        let tx = self.begin().await?;
        let row = take.one(&tx).await?;
        tx.commit().await?;
        row.map(|row| leased(&row, token)).transpose()
    }

    /// Makes the message of all that waits, and keeps it. Nobody has been sent it so far, so one that is lost to a kill is
    /// made anew. `None` where there is nothing to tell any more, or another node has the lease by now.
    async fn make_message(
        &self,
        leased: &Leased,
        now: Timestamp,
    ) -> Result<Option<ClaimedAlert>, StoreError> {
        let range = Range {
            project: leased.project,
            escalation: leased.escalation,
            numbers: (leased.told_to, leased.newest),
        };
        let Some(content) = range.content(&self.reader).await? else {
            retried(|| self.pass_over(leased, now)).await?;
            return Ok(None);
        };
        let message = AlertMessage {
            id: MessageId::new(now, entropy::for_id()),
            made_at: now,
            content,
        };
        let text = message.to_text();
        let kept = retried(|| self.keep_message(leased, &text)).await?;
        Ok(kept.then(|| leased.claimed(message, leased.newest)))
    }

    async fn keep_message(&self, leased: &Leased, text: &str) -> Result<bool, StoreError> {
        let keep = Sql::new(
            "UPDATE alert_destinations SET message = {}, telling_to = {}
             WHERE project_id = {} AND id = {} AND lease_token = {}",
        );
        let tx = self.begin().await?;
        let kept = leased
            .bind_to(keep.bind(text).bind(leased.newest))
            .run(&tx)
            .await?;
        tx.commit().await?;
        Ok(kept > 0)
    }

    /// What waited is nothing to tell.
    async fn pass_over(&self, leased: &Leased, now: Timestamp) -> Result<(), StoreError> {
        let next = Next {
            last_ended: leased.last_ended,
            ..Next::default()
        };
        let pass = Sql::new(
            "UPDATE alert_destinations SET told_to = {}, tries = 0, begun = 0, lease_token = NULL,
                due_at = CASE WHEN newest > {} THEN {} END
             WHERE project_id = {} AND id = {} AND lease_token = {}",
        );
        let pass = pass
            .bind(leased.newest)
            .bind(leased.newest)
            .bind(next.with_news(now));
        let tx = self.begin().await?;
        leased.bind_to(pass).run(&tx).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Room {
    /// The destinations `d` that are due and that there is room for.
    fn due(&self) -> String {
        let words = self.channels.iter().map(|channel| format!("'{channel}'"));
        let words = words.collect::<Vec<_>>().join(", ");
        format!(
            "FROM alert_destinations d WHERE d.due_at <= {{}} AND d.channel IN ({words})
                AND d.project_id NOT IN (SELECT r.project_id FROM {{rows}})"
        )
    }

    fn over(&self, template: &str) -> Sql {
        const PROJECTS: &[Column] = &[Column::new("project_id", Kind::Id)];
        let mut full = Rows::new(PROJECTS);
        for project in &self.full {
            full.push([project.as_bytes().into()]);
        }
        Sql::over(template, full)
    }
}

impl Leased {
    fn bind_to(&self, sql: Sql) -> Sql {
        sql.bind(self.project.as_bytes())
            .bind(self.destination.as_bytes())
            .bind(self.token)
    }

    fn claimed(&self, message: AlertMessage, to: i64) -> ClaimedAlert {
        ClaimedAlert {
            project: self.project,
            destination: self.destination,
            channel: self.channel,
            sealed: self.sealed.clone(),
            tries: self.tries,
            begun: self.begun,
            message,
            escalation: self.escalation,
            tells: (self.told_to, to),
            newest: self.newest,
            token: self.token,
        }
    }
}

fn leased(row: &QueryResult, token: [u8; 16]) -> Result<Leased, StoreError> {
    let text: Option<String> = rows::get(row, "message")?;
    let to: Option<i64> = rows::get(row, "telling_to")?;
    Ok(Leased {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        destination: AlertId::from_bytes(rows::id(row, "id")?),
        channel: rows::word(row, "channel")?,
        sealed: rows::get(row, "sealed")?,
        escalation: rows::flag(row, "escalation")?,
        tries: rows::count(row, "tries")?,
        begun: rows::count(row, "begun")?,
        told_to: rows::get(row, "told_to")?,
        newest: rows::get(row, "newest")?,
        last_ended: rows::optional_time(row, "ended_at")?,
        message: text.as_deref().and_then(AlertMessage::from_text).zip(to),
        token,
    })
}
