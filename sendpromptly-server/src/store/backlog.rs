//! What waits in the whole store, for those who watch the server. Every question is answered by an index that holds
//! only what waits.

use sendpromptly_core::time::Timestamp;

use super::rows::{self, Sql};
use super::{Store, StoreError};

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Incidents that are open.
    pub open: u64,
    /// Incidents that are being reprocessed.
    pub reprocessing: u64,
    /// When the oldest of the open ones was opened.
    pub oldest_open: Option<Timestamp>,
    /// By when the event should have had its result that waits the longest for the sweep; may lie ahead.
    pub first_to_sweep: Option<Timestamp>,
    /// When the callback is due that waits the longest; may lie ahead.
    pub first_to_call: Option<Timestamp>,
    /// When the alert is due that waits the longest; may lie ahead.
    pub first_to_tell: Option<Timestamp>,
    /// Mails that are not sent yet.
    pub mails: u64,
}

impl Store {
    /// What waits now.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        let incidents = self.dialect.by_index("incidents_unsettled");
        let incidents = Sql::new(format!(
            "SELECT state, COUNT(*) AS n, MIN(opened_at) AS oldest FROM incidents{incidents}
             WHERE state IN ('open', 'reprocessing') GROUP BY state"
        ));
        let rest = Sql::new(
            "SELECT (SELECT MIN(sweep_at) FROM events WHERE sweep_at IS NOT NULL) AS sweep,
                (SELECT MIN(next_attempt_at) FROM replays
                    WHERE next_attempt_at IS NOT NULL AND lease_token IS NULL) AS call,
                (SELECT MIN(due_at) FROM alert_destinations WHERE due_at IS NOT NULL) AS tell,
                (SELECT COUNT(*) FROM outbox) AS mails",
        );
        let mut backlog = Backlog::default();
        for row in incidents.all(&self.reader).await? {
            let (state, n): (String, i64) = (rows::get(&row, "state")?, rows::get(&row, "n")?);
            if state == "open" {
                backlog.open = n.unsigned_abs();
                backlog.oldest_open = rows::optional_time(&row, "oldest")?;
            } else {
                backlog.reprocessing = n.unsigned_abs();
            }
        }
        if let Some(row) = rest.one(&self.reader).await? {
            backlog.first_to_sweep = rows::optional_time(&row, "sweep")?;
            backlog.first_to_call = rows::optional_time(&row, "call")?;
            backlog.first_to_tell = rows::optional_time(&row, "tell")?;
            backlog.mails = rows::get::<i64>(&row, "mails")?.unsigned_abs();
        }
        Ok(backlog)
    }
}

#[cfg(test)]
mod tests;
