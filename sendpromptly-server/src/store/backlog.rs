//! What waits in the whole store, for those who watch the server. Every question is answered by an index that holds
//! only what waits.

use sendpromptly_core::time::Timestamp;

use super::claims::TO_ATTEMPT;
use super::rows::{self, Sql};
use super::{Dialect, Store, StoreError};

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
        let mut backlog = Backlog::default();
        for row in incidents(self.dialect).all(&self.reader).await? {
            let (state, n): (String, i64) = (rows::get(&row, "state")?, rows::get(&row, "n")?);
            if state == "open" {
                backlog.open = n.unsigned_abs();
                backlog.oldest_open = rows::optional_time(&row, "oldest")?;
            } else {
                backlog.reprocessing = n.unsigned_abs();
            }
        }
        if let Some(row) = rest(self.dialect).one(&self.reader).await? {
            backlog.first_to_sweep = rows::optional_time(&row, "sweep")?;
            backlog.first_to_call = rows::optional_time(&row, "call")?;
            backlog.first_to_tell = rows::optional_time(&row, "tell")?;
            backlog.mails = rows::get::<i64>(&row, "mails")?.unsigned_abs();
        }
        Ok(backlog)
    }
}

fn incidents(dialect: Dialect) -> Sql {
    let unsettled = dialect.by_index("incidents_unsettled");
    Sql::new(format!(
        "SELECT i.state, COUNT(*) AS n, MIN(i.opened_at) AS oldest
         FROM incidents i{unsettled} LEFT JOIN projects p ON p.id = i.project_id
         WHERE i.state IN ('open', 'reprocessing') AND p.deleted_at IS NULL GROUP BY i.state"
    ))
}

fn rest(dialect: Dialect) -> Sql {
    let (to_sweep, to_attempt) = (dialect.by_index("events_to_sweep"), dialect.by_index(TO_ATTEMPT));
    Sql::new(format!(
        "SELECT (SELECT e.sweep_at FROM events e{to_sweep} LEFT JOIN projects p ON p.id = e.project_id
                WHERE e.sweep_at IS NOT NULL AND p.deleted_at IS NULL ORDER BY e.sweep_at LIMIT 1) AS sweep,
            (SELECT MIN(q.next_attempt_at) FROM replays q{to_attempt} LEFT JOIN projects p ON p.id = q.project_id
                WHERE q.next_attempt_at IS NOT NULL AND q.lease_token IS NULL AND p.deleted_at IS NULL) AS call,
            (SELECT MIN(due_at) FROM alert_destinations WHERE due_at IS NOT NULL) AS tell,
            (SELECT COUNT(*) FROM outbox) AS mails"
    ))
}

#[cfg(test)]
mod tests;
