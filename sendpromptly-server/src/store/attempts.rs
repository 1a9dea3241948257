//! The attempts of replays: one row for each call, committed before the call is made.
//!
//! A row without an end is a call under way. Its lease is over 45 s after its start, well after the 30 s that
//! a call may take; then whoever made the call is taken for dead.

use std::time::Duration;

use sea_orm::QueryResult;
use sendpromptly_core::id::{EventId, OrganizationId, ProjectId, ReplayId};
use sendpromptly_core::replay::AttemptOutcome;
use sendpromptly_core::signing::Nonce;
use sendpromptly_core::time::Timestamp;

use super::old_rows::OldRows;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Dialect, Store, StoreError, data_keys};
use crate::vault::Purpose;

/// How long an attempt belongs to the node that began it.
pub const LEASE: Duration = Duration::from_secs(45);

/// How long the first bytes of an endpoint's answer are kept.
pub const ANSWERS_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) const UNDER_WAY: &str = "attempts_under_way";

/// The outcome of an attempt whose end nobody saw.
pub const CUT_OFF: &str = "cut_off";

/// The outcome of an attempt that was not made, for the payload that was to go along is no longer kept.
pub const PAYLOAD_GONE: &str = "payload_gone";

/// Names one attempt for as long as it holds its replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken([u8; 16]);

impl LeaseToken {
    /// The token of these bytes, random where it is new.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// An attempt, and what is needed to decide what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The project.
    pub project: ProjectId,
    /// The project's organization.
    pub organization: OrganizationId,
    /// The event that is repaired.
    pub event: EventId,
    /// The replay.
    pub replay: ReplayId,
    /// 1, 2, …
    pub number: u32,
    /// Under which lease it runs.
    pub lease: LeaseToken,
    /// When it began.
    pub started_at: Timestamp,
    /// How long the replay waits for its result once it is delivered, in minutes.
    pub answer_minutes: u32,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// The attempt.
    pub attempt: Attempt,
    /// What it means for the replay.
    pub outcome: AttemptOutcome,
    /// One word for it, as it is stored.
    pub word: &'static str,
    /// When.
    pub ended_at: Timestamp,
    /// How long the call took until its status line or its failure; `None` where no call was made.
    pub duration: Option<Duration>,
    /// The first bytes of the answer's body, sealed.
    pub answer_head: Option<Vec<u8>>,
}

impl AttemptEnd {
    /// The attempt was given up at this time, and nobody knows how it would have ended.
    #[must_use]
    pub const fn cut_off(attempt: Attempt, at: Timestamp) -> Self {
        Self {
            attempt,
            outcome: AttemptOutcome::CutOff,
            word: CUT_OFF,
            ended_at: at,
            duration: None,
            answer_head: None,
        }
    }
}

impl Store {
    /// Attempts under way that began by this time, by project and time, at most `limit` of them: the first ones, or those
    /// that follow this one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn attempts_begun_by(
        &self,
        time: Timestamp,
        after: Option<&Attempt>,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError> {
        let found = begun_by(self.dialect, time, after, limit);
        found.all(&self.reader).await?.iter().map(attempt).collect()
    }
}

fn begun_by(dialect: Dialect, time: Timestamp, after: Option<&Attempt>, limit: u32) -> Sql {
    let under_way = dialect.by_index(UNDER_WAY);
    let query = Sql::new(format!(
        "SELECT a.project_id, p.organization_id, q.event_id, a.replay_id, a.number, a.lease_token, a.started_at,
            p.timeout_minutes
         FROM attempts a{under_way}
         JOIN replays q ON q.project_id = a.project_id AND q.id = a.replay_id
         JOIN projects p ON p.id = a.project_id
         WHERE a.ended_at IS NULL AND a.started_at <= {{}}
            AND (a.project_id, a.started_at, a.replay_id) > ({{}}, {{}}, {{}})
         ORDER BY a.project_id, a.started_at, a.replay_id LIMIT {limit}"
    ));
    let (project, started_at, replay) =
        after.map_or(([0; 16], Timestamp::from_millis(i64::MIN), [0; 16]), |after| {
            (
                *after.project.as_bytes(),
                after.started_at,
                *after.replay.as_bytes(),
            )
        });
    query.bind(time).bind(project).bind(started_at).bind(replay)
}

/// The heads of answers that are kept no longer.
#[must_use]
pub fn old_answer_heads(now: Timestamp) -> OldRows {
    OldRows::up_to("attempts", "ended_at", answers_kept_since(now))
        .keyed_by("project_id, replay_id, number")
        .emptying("answer_head")
}

/// The data keys of the days of which no head is kept, as [`old_keys`](super::snapshots::passes::old_keys) are those of
/// payloads.
#[must_use]
pub fn old_answer_keys(now: Timestamp) -> OldRows {
    let since = answers_kept_since(now);
    data_keys::of_days_before(Purpose::ANSWER, since)
        // No head is left that these keys could open.
        .once(
            "(SELECT 1 FROM attempts a WHERE a.answer_head IS NOT NULL AND a.ended_at < {}
                ORDER BY a.ended_at LIMIT 1) IS NULL",
            vec![data_keys::begin_of_day(since).into()],
        )
}

/// The time up to which answers' heads are too old, seen now.
pub(super) fn answers_kept_since(now: Timestamp) -> Timestamp {
    now.minus(ANSWERS_KEPT)
}

fn attempt(row: &QueryResult) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        organization: OrganizationId::from_bytes(rows::id(row, "organization_id")?),
        event: EventId::from_bytes(rows::id(row, "event_id")?),
        replay: ReplayId::from_bytes(rows::id(row, "replay_id")?),
        number: rows::count(row, "number")?,
        lease: LeaseToken::from_bytes(rows::id(row, "lease_token")?),
        started_at: rows::time(row, "started_at")?,
        answer_minutes: rows::count(row, "timeout_minutes")?,
    })
}

/// Begins these attempts: each takes hold of its replay, and has a row. What holds a replay must have its
/// case locked.
#[must_use]
pub fn begin<'a>(attempts: impl IntoIterator<Item = (&'a Attempt, &'a Nonce)>) -> [Sql; 2] {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("replay_id", Kind::Id),
        Column::new("number", Kind::Int),
        Column::new("nonce", Kind::Text),
        Column::new("lease_token", Kind::Id),
        Column::new("started_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for (attempt, nonce) in attempts {
        rows.push([
            attempt.project.as_bytes().into(),
            attempt.replay.as_bytes().into(),
            attempt.number.into(),
            nonce.as_str().into(),
            attempt.lease.as_bytes().into(),
            attempt.started_at.into(),
        ]);
    }
    [
        Sql::over(
            "UPDATE replays SET attempts = r.number, lease_token = r.lease_token FROM {rows}
             WHERE replays.project_id = r.project_id AND replays.id = r.replay_id",
            rows.clone(),
        ),
        Sql::over(
            "INSERT INTO attempts (project_id, replay_id, number, nonce, lease_token, started_at)
             SELECT r.project_id, r.replay_id, r.number, r.nonce, r.lease_token, r.started_at FROM {rows}",
            rows,
        ),
    ]
}

/// Removes an attempt that has not ended; and where that is done, frees its replay, to be due at this time where it is
/// still queued. The case must be locked.
#[must_use]
pub fn undo(attempt: &Attempt, due_at: Timestamp) -> [Sql; 2] {
    let drop = Sql::new(
        "DELETE FROM attempts WHERE project_id = {} AND replay_id = {} AND number = {} AND lease_token = {}
         AND ended_at IS NULL",
    );
    let free = Sql::new(
        "UPDATE replays SET attempts = attempts - 1, lease_token = NULL,
            next_attempt_at = CASE WHEN state = 'queued' THEN {} ELSE next_attempt_at END
         WHERE project_id = {} AND id = {}",
    );
    let (project, replay) = (attempt.project.as_bytes(), attempt.replay.as_bytes());
    [
        drop.bind(project)
            .bind(replay)
            .bind(attempt.number)
            .bind(attempt.lease.as_bytes()),
        free.bind(due_at).bind(project).bind(replay),
    ]
}

/// Records how these attempts ended. What was taken for cut off gives way to what came of it after all.
#[must_use]
pub fn end(ends: &[AttemptEnd]) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("replay_id", Kind::Id),
        Column::new("number", Kind::Int),
        Column::new("ended_at", Kind::Int),
        Column::new("outcome", Kind::Text),
        Column::optional("status", Kind::Int),
        Column::optional("duration_ms", Kind::Int),
        Column::optional("answer_head", Kind::Bytes),
    ];
    let mut rows = Rows::new(COLUMNS);
    for end in ends {
        rows.push([
            end.attempt.project.as_bytes().into(),
            end.attempt.replay.as_bytes().into(),
            end.attempt.number.into(),
            end.ended_at.into(),
            end.word.into(),
            end.outcome.status().map(u32::from).into(),
            end.duration
                .map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
                .into(),
            end.answer_head.clone().into(),
        ]);
    }
    Sql::over(
        "UPDATE attempts SET ended_at = r.ended_at, outcome = r.outcome, status = r.status,
            duration_ms = r.duration_ms, answer_head = r.answer_head FROM {rows}
         WHERE attempts.project_id = r.project_id AND attempts.replay_id = r.replay_id
            AND attempts.number = r.number AND (attempts.ended_at IS NULL OR r.outcome <> {})",
        rows,
    )
    .bind(CUT_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, World, over_many};

    #[tokio::test]
    async fn attempts_under_way_are_found_among_them_alone_also_in_tables_never_analyzed() {
        let world = World::set_up().await;
        let ended = over_many(
            "INSERT INTO attempts (project_id, replay_id, number, nonce, lease_token, started_at, ended_at, outcome)
             SELECT {}, r.id, 1, '', r.id, r.number, r.number, 'answered' FROM {rows}",
        );
        world.write(ended.bind(world.project.as_bytes())).await;
        let query = begun_by(world.store.dialect, NOW, None, 64);
        let plan = query.plan(&world.store.reader).await;
        assert!(plan.contains(UNDER_WAY), "{plan}");
        assert!(
            !plan.contains("TEMP B-TREE"),
            "it sorts what lies in order: {plan}"
        );
    }
}
