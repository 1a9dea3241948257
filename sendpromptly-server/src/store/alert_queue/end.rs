//! Recording how a try of a message ended.

use sendpromptly_core::alert::{Again, Next};
use sendpromptly_core::time::Timestamp;

use super::{AlertEnd, ClaimedAlert, note};
use crate::store::retry::retried;
use crate::store::rows::Sql;
use crate::store::{Store, StoreError};

impl Store {
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
        let update = match end {
            AlertEnd::Sent => sent(claimed, now),
            AlertEnd::Waits(why, again) => waits(claimed, why, *again, now),
            AlertEnd::GivenUp(why) => given_up(claimed, why, now),
            AlertEnd::HandedBack => handed_back(now),
        };
        let update = update
            .bind(claimed.project.as_bytes())
            .bind(claimed.destination.as_bytes())
            .bind(claimed.token);
        let over = match end {
            AlertEnd::Sent => Some(note::ended(claimed, None, now)),
            AlertEnd::GivenUp(why) => Some(note::ended(claimed, Some(why), now)),
            AlertEnd::Waits(..) | AlertEnd::HandedBack => None,
        };
        let tx = self.begin().await?;
        let is_mine = update.run(&tx).await? > 0;
        if let Some(over) = over.filter(|_| is_mine) {
            over.run(&tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Hands back what the process before had claimed, where no other process can have claimed any.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn hand_back_alerts(&self, now: Timestamp) -> Result<u64, StoreError> {
        let back = Sql::new(
            "UPDATE alert_destinations SET lease_token = NULL, due_at = {} WHERE lease_token IS NOT NULL",
        );
        let tx = self.begin().await?;
        let count = back.bind(now).run(&tx).await?;
        tx.commit().await?;
        Ok(count)
    }
}

/// A destination that this node has the claim of.
const MINE: &str = "WHERE project_id = {} AND id = {} AND lease_token = {}";

/// The message is over: the next begins after its last number, and is due where there is more already.
const OVER: &str = "message = NULL, telling_to = NULL, told_to = {}, tries = 0, begun = 0, not_before = NULL,
    lease_token = NULL, due_at = CASE WHEN newest > {} THEN {} END, ended_at = {}";

fn over(also: &str, claimed: &ClaimedAlert, now: Timestamp) -> Sql {
    let next = Next {
        last_ended: Some(now),
        ..Next::default()
    };
    let (_, to) = claimed.tells;
    Sql::new(format!("UPDATE alert_destinations SET {OVER}, {also} {MINE}"))
        .bind(to)
        .bind(to)
        .bind(next.with_news(now))
        .bind(now)
}

fn sent(claimed: &ClaimedAlert, now: Timestamp) -> Sql {
    over("sent_at = {}, failed_at = NULL, failure = NULL", claimed, now).bind(now)
}

fn given_up(claimed: &ClaimedAlert, why: &str, now: Timestamp) -> Sql {
    let also = "given_up = given_up + 1, failed_at = {}, failure = {}";
    over(also, claimed, now).bind(now).bind(why)
}

/// It goes again, and sooner where news came while it was tried.
fn waits(claimed: &ClaimedAlert, why: &str, again: Again, now: Timestamp) -> Sql {
    let next = Next {
        due_at: Some(again.at),
        not_before: again.not_before,
        last_ended: None,
    };
    let update = Sql::new(format!(
        "UPDATE alert_destinations SET lease_token = NULL, begun = 0, not_before = {{}},
            due_at = CASE WHEN newest > {{}} THEN {{}} ELSE {{}} END, failed_at = {{}}, failure = {{}} {MINE}"
    ));
    update
        .bind(again.not_before)
        .bind(claimed.newest)
        .bind(next.with_news(now))
        .bind(again.at)
        .bind(now)
        .bind(why)
}

fn handed_back(now: Timestamp) -> Sql {
    let update = Sql::new(format!(
        "UPDATE alert_destinations SET lease_token = NULL, due_at = {{}}, tries = tries - 1, begun = begun - 1 {MINE}"
    ));
    update.bind(now)
}
