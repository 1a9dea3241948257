//! Claiming the calls that are due: who is called next, and how many at once.
//!
//! A claim waits for nobody. It passes over a project where another node is claiming, and over a case that
//! somebody is changing; so it can hold a project's row while it takes cases, and is in no circle of waiters.
//! What is claimed of a project is counted under that row's lock, so its bound holds over all nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::id::{EventId, OrganizationId, ProjectId, ReplayId};
use sendpromptly_core::replay::ReplayState;
use sendpromptly_core::replay::pace::{self, MOST_IN_FLIGHT, Streak};
use sendpromptly_core::signing::Nonce;
use sendpromptly_core::time::Timestamp;

use super::attempts::{self, Attempt, LEASE, LeaseToken, UNDER_WAY};
use super::cases::{CaseKey, StoredCase};
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Dialect, Store, StoreError};
use crate::platform::entropy;

#[cfg(test)]
mod tests;

/// The index of replays that wait for an attempt, by project and time.
pub(super) const TO_ATTEMPT: &str = "replays_to_attempt";

/// A call to make: its attempt is committed.
#[derive(Clone)]
pub struct Claim {
    /// The attempt.
    pub attempt: Attempt,
    /// Its nonce.
    pub nonce: Nonce,
    /// Where the project wants to be called.
    pub repair_url: Option<String>,
    /// The callback's body, the same on every attempt.
    pub body: String,
    /// Whether the payload that is kept of the event goes along.
    pub with_payload: bool,
    /// Whether the first bytes of the answer are kept: the project says so, and no payload goes along.
    pub keep_answer: bool,
}

impl fmt::Debug for Claim {
    /// Without the repair URL, which may hold a secret, and the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim")
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

const PROJECTS: &[Column] = &[Column::new("project_id", Kind::Id)];

fn project_rows(projects: impl IntoIterator<Item = ProjectId>) -> Rows {
    let mut rows = Rows::new(PROJECTS);
    for project in projects {
        rows.push([project.as_bytes().into()]);
    }
    rows
}

/// Leases of attempts that began by this time are over.
fn lease_over(now: Timestamp) -> Timestamp {
    now.minus(LEASE)
}

impl Store {
    /// Projects after this one, by id, that have a call due and room for it, at most `limit` of them. It
    /// steps from project to project, so a long queue costs no more than a short one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn projects_to_call(
        &self,
        after: ProjectId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ProjectId>, StoreError> {
        let (queue, under_way) = (
            self.dialect.by_index(TO_ATTEMPT),
            self.dialect.by_index(UNDER_WAY),
        );
        let next = |after: &str| {
            format!(
                "(SELECT q.project_id FROM replays q{queue} WHERE q.project_id > {after}
                  AND q.next_attempt_at IS NOT NULL AND q.lease_token IS NULL ORDER BY q.project_id LIMIT 1)"
            )
        };
        let query = Sql::new(format!(
            "WITH RECURSIVE steps (project_id) AS (
                SELECT {first}
                UNION ALL SELECT {following} FROM steps WHERE steps.project_id IS NOT NULL)
             SELECT s.project_id, c.project_id AS paced
             FROM steps s LEFT JOIN project_calls c ON c.project_id = s.project_id
             WHERE s.project_id IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = s.project_id AND p.deleted_at IS NOT NULL)
                AND EXISTS (SELECT 1 FROM replays q{queue} WHERE q.project_id = s.project_id
                    AND q.lease_token IS NULL AND q.next_attempt_at <= {{}})
                AND (SELECT count(*) FROM attempts a{under_way} WHERE a.project_id = s.project_id
                    AND a.ended_at IS NULL AND a.started_at > {{}}) < {MOST_IN_FLIGHT}
             LIMIT {limit}",
            first = next("{}"),
            following = next("steps.project_id"),
        ));
        let query = query.bind(after.as_bytes()).bind(now).bind(lease_over(now));
        let (mut projects, mut unpaced) = (Vec::new(), Vec::new());
        for row in query.all(&self.reader).await? {
            let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
            if rows::optional_id(&row, "paced")?.is_none() {
                unpaced.push(project);
            }
            projects.push(project);
        }
        if !unpaced.is_empty() {
            self.commit_together(vec![begin_to_pace(unpaced)]).await?;
        }
        Ok(projects)
    }

    /// Claims at most `most` calls of these projects, and commits their attempts.
    ///
    /// # Errors
    /// [`StoreError`] by its cause. After [`StoreError::Broken`] calls may be claimed that nobody makes; they
    /// count as cut off when their lease ends.
    pub async fn claim_calls(
        &self,
        projects: &[ProjectId],
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        let tx = self.begin().await?;
        match self.claim_in(&tx, projects, most, now).await {
            Ok(claims) if !claims.is_empty() => {
                tx.commit().await?;
                Ok(claims)
            }
            nothing => {
                // Awaited, so that the next claim does not meet the locks of this one and pass over its projects.
                tx.rollback().await?;
                nothing
            }
        }
    }

    async fn claim_in(
        &self,
        tx: &DatabaseTransaction,
        projects: &[ProjectId],
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        let failures = self.hold_projects(tx, projects).await?;
        let due = self.due_calls(tx, failures.keys().copied(), now).await?;
        let chosen = choose(due, &failures, most);
        let keys: BTreeSet<CaseKey> = chosen.iter().map(|due| (due.project, due.event)).collect();
        let cases = if keys.is_empty() {
            BTreeMap::new()
        } else {
            self.lock_free_cases(tx, &keys).await?
        };
        let claims: Vec<Claim> = chosen
            .into_iter()
            .filter_map(|due| {
                let stored = cases.get(&(due.project, due.event))?;
                claim(due, stored, now)
            })
            .collect();
        let begun = claims.iter().map(|claim| (&claim.attempt, &claim.nonce));
        rows::write_together(tx, attempts::begin(begun)).await?;
        Ok(claims)
    }

    /// Undoes a claim of which nothing was sent, as if the attempt had never begun; the replay is due again at this
    /// time. Where its lease is over, the attempt has ended otherwise.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn hand_back(&self, attempt: &Attempt, due_at: Timestamp) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        self.lock_cases(&tx, &BTreeSet::from([(attempt.project, attempt.event)]))
            .await?;
        let [drop, free] = attempts::undo(attempt, due_at);
        if drop.run(&tx).await? > 0 {
            free.run(&tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Takes the rows of those projects where nobody else is claiming; gives their failures in a row.
    async fn hold_projects(
        &self,
        tx: &DatabaseTransaction,
        projects: &[ProjectId],
    ) -> Result<BTreeMap<ProjectId, u32>, StoreError> {
        let lock = self.dialect.for_update_skip_locked("c");
        let query = Sql::over(
            format!(
                "SELECT c.project_id, c.failures
                 FROM {{rows}} JOIN project_calls c ON c.project_id = r.project_id{lock}"
            ),
            project_rows(projects.iter().copied()),
        );
        let held = query.all(tx).await?;
        held.iter()
            .map(|row| {
                let project = ProjectId::from_bytes(rows::id(row, "project_id")?);
                Ok((project, rows::count(row, "failures")?))
            })
            .collect()
    }

    /// The calls of each project that are due first. Its row must be held, for they are counted with what is
    /// under way.
    async fn due_calls(
        &self,
        tx: &DatabaseTransaction,
        projects: impl Iterator<Item = ProjectId>,
        now: Timestamp,
    ) -> Result<Vec<DueCall>, StoreError> {
        let projects = project_rows(projects);
        if projects.is_empty() {
            return Ok(Vec::new());
        }
        let under_way = self.dialect.by_index(UNDER_WAY);
        let query = Sql::over(
            format!(
                "SELECT r.project_id, p.organization_id, p.repair_url, p.timeout_minutes, p.keep_answers,
                    q.id, q.event_id, q.body, q.with_payload,
                    (SELECT count(*) FROM attempts a{under_way} WHERE a.project_id = r.project_id
                        AND a.ended_at IS NULL AND a.started_at > {{}}) AS in_flight
                 FROM {{rows}} JOIN projects p ON p.id = r.project_id AND p.deleted_at IS NULL {due}",
                due = first_due(self.dialect)
            ),
            projects,
        );
        let found = query.bind(lease_over(now)).bind(now).all(tx).await?;
        found.iter().map(due_call).collect()
    }
}

/// Joins the first replays that are due of each project. Only one of the dialects can limit what is joined.
fn first_due(dialect: Dialect) -> String {
    let index = dialect.by_index(TO_ATTEMPT);
    let first = |columns: &str| {
        format!(
            "SELECT {columns} FROM replays d{index} WHERE d.project_id = r.project_id
             AND d.lease_token IS NULL AND d.next_attempt_at <= {{}}
             ORDER BY d.next_attempt_at LIMIT {MOST_IN_FLIGHT}"
        )
    };
    match dialect {
        Dialect::Postgres => format!(
            "JOIN LATERAL ({}) q ON true",
            first("d.id, d.event_id, d.body, d.with_payload")
        ),
        Dialect::Sqlite => format!(
            "JOIN replays q ON q.project_id = r.project_id AND q.id IN ({})",
            first("d.id")
        ),
    }
}

/// A call that is due, in a project whose row is held.
struct DueCall {
    project: ProjectId,
    organization: OrganizationId,
    event: EventId,
    replay: ReplayId,
    body: String,
    with_payload: bool,
    repair_url: Option<String>,
    answer_minutes: u32,
    keep_answer: bool,
    /// Calls under way for its project.
    in_flight: u32,
}

fn due_call(row: &QueryResult) -> Result<DueCall, StoreError> {
    Ok(DueCall {
        project: ProjectId::from_bytes(rows::id(row, "project_id")?),
        organization: OrganizationId::from_bytes(rows::id(row, "organization_id")?),
        event: EventId::from_bytes(rows::id(row, "event_id")?),
        replay: ReplayId::from_bytes(rows::id(row, "id")?),
        body: rows::get(row, "body")?,
        with_payload: rows::flag(row, "with_payload")?,
        repair_url: rows::get(row, "repair_url")?,
        answer_minutes: rows::count(row, "timeout_minutes")?,
        keep_answer: rows::flag(row, "keep_answers")?,
        in_flight: rows::count(row, "in_flight")?,
    })
}

/// As many as each project has room for, and not more than `most` in all.
fn choose(due: Vec<DueCall>, failures: &BTreeMap<ProjectId, u32>, most: usize) -> Vec<DueCall> {
    let mut room: BTreeMap<ProjectId, u32> = BTreeMap::new();
    let fits = |due: &DueCall| {
        let left = room.entry(due.project).or_insert_with(|| {
            let failures = failures.get(&due.project).copied().unwrap_or_default();
            pace::room(due.in_flight, failures)
        });
        let fits = *left > 0;
        *left = left.saturating_sub(1);
        fits
    };
    due.into_iter().filter(fits).take(most).collect()
}

/// Begins the attempt, if the replay still waits for it now that its case is locked.
fn claim(due: DueCall, stored: &StoredCase, now: Timestamp) -> Option<Claim> {
    let waits = |replay: &&sendpromptly_core::replay::Replay| {
        replay.id == due.replay
            && replay.state == ReplayState::Queued
            && replay.next_attempt_at.is_some_and(|at| at <= now)
    };
    if stored.lease.is_some() {
        return None;
    }
    stored.case.replay_under_way().filter(waits)?;
    let begun = stored.case.clone().begin_attempt(due.replay)?;
    let number = begun.replay_under_way()?.attempts;
    Some(Claim {
        attempt: Attempt {
            project: due.project,
            organization: due.organization,
            event: due.event,
            replay: due.replay,
            number,
            lease: LeaseToken::from_bytes(entropy::bytes()),
            started_at: now,
            answer_minutes: due.answer_minutes,
        },
        nonce: Nonce::from_entropy(entropy::bytes()),
        repair_url: due.repair_url,
        body: due.body,
        with_payload: due.with_payload,
        // An endpoint may answer with what it was sent.
        keep_answer: due.keep_answer && !due.with_payload,
    })
}

/// Makes the rows under which calls of these projects are claimed.
fn begin_to_pace(projects: Vec<ProjectId>) -> Sql {
    Sql::over(
        "INSERT INTO project_calls (project_id, failures) SELECT r.project_id, 0 FROM {rows} WHERE true
         ON CONFLICT DO NOTHING",
        project_rows(projects),
    )
}

/// Counts on the failures in a row of these projects.
#[must_use]
pub fn count_failures(streaks: &BTreeMap<ProjectId, Streak>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("broken", Kind::Int),
        Column::new("failures", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for (project, streak) in streaks {
        rows.push([
            project.as_bytes().into(),
            streak.broken.into(),
            streak.failures.into(),
        ]);
    }
    Sql::over(
        "UPDATE project_calls SET failures = r.failures + CASE r.broken WHEN 1 THEN 0 ELSE project_calls.failures END
         FROM {rows} WHERE project_calls.project_id = r.project_id",
        rows,
    )
}
