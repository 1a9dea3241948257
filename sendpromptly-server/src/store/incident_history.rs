//! What has happened to an incident: results, replays with their attempts, and what people noted and did.

use sea_orm::QueryResult;
use sendpromptly_core::id::{EventId, IncidentId, ProjectId, ReplayId};
use sendpromptly_core::replay::Effect;
use sendpromptly_core::time::Timestamp;

use super::attempts::answers_kept_since;
use super::incidents::{COLUMNS, IncidentRecord};
use super::projects::DELETED;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::scope::OrganizationScope;
use super::{Dialect, Store, StoreError};

/// So many results, attempts, audit entries and notes are read at a time, each the latest. They are more than a page
/// shows, as those of one moment may lie on either side of its edge.
pub const READ: u32 = 100;

/// A result that was accepted.
#[derive(Debug, Clone)]
pub struct ResultRecord {
    /// Its id.
    pub id: [u8; 16],
    /// What happened.
    pub effect: Effect,
    /// The app's own code of the failure.
    pub error_code: Option<String>,
    /// The app's own words about the failure.
    pub error_message: Option<String>,
    /// The replay that it answers.
    pub replay: Option<ReplayId>,
    /// When it was accepted.
    pub received_at: Timestamp,
}

/// A call that was made, or is being made.
#[derive(Debug, Clone)]
pub struct AttemptRecord {
    /// Its replay.
    pub replay: ReplayId,
    /// 1, 2, …
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// One word for how it ended.
    pub outcome: Option<String>,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u32>,
    /// The first bytes of the answer, sealed, and the row that they are sealed for.
    pub answer_head: Option<(Vec<u8>, [u8; 16])>,
}

/// What the audit log says of an incident.
#[derive(Debug, Clone)]
pub struct ActionRecord {
    /// Its number in the log.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who, as the log names them.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// Reasons and the like, as a JSON object; `None` where they were erased.
    pub details: Option<String>,
}

impl Store {
    /// An incident of an organization.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn incident_of(
        &self,
        scope: OrganizationScope,
        id: IncidentId,
    ) -> Result<Option<IncidentRecord>, StoreError> {
        Ok(self.incidents_of(scope, &[id]).await?.pop())
    }

    /// Those of these incidents that are an organization's, newest first.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn incidents_of(
        &self,
        scope: OrganizationScope,
        ids: &[IncidentId],
    ) -> Result<Vec<IncidentRecord>, StoreError> {
        const IDS: &[Column] = &[Column::new("id", Kind::Id)];
        let mut wanted = Rows::new(IDS);
        for id in ids {
            wanted.push([id.as_bytes().into()]);
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.records(by_ids(self.dialect, scope, wanted)).await
    }

    /// The last results of an event up to a moment, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn results_of(
        &self,
        project: ProjectId,
        event: EventId,
        until: Timestamp,
    ) -> Result<Vec<ResultRecord>, StoreError> {
        let query = Sql::new(format!(
            "SELECT id, effect, error_code, error_message, replay_id, received_at FROM results
             WHERE project_id = {{}} AND event_id = {{}} AND received_at <= {{}} ORDER BY id DESC LIMIT {READ}"
        ));
        let query = query.bind(project.as_bytes()).bind(event.as_bytes()).bind(until);
        let found = query.all(&self.reader).await?;
        found.iter().rev().map(result).collect()
    }

    /// The last attempts of an event's replays that began up to a moment, in their order. Answers' heads are read for
    /// whoever may see them, as far as they are kept still at the time that is given then.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn attempts_of(
        &self,
        project: ProjectId,
        event: EventId,
        until: Timestamp,
        heads_at: Option<Timestamp>,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let query = attempts(self.dialect, (project, event), until, heads_at);
        let found = query.all(&self.reader).await?;
        found.iter().rev().map(attempt).collect()
    }

    /// What the audit log said last of an incident up to a moment, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn actions_on(
        &self,
        scope: OrganizationScope,
        incident: IncidentId,
        until: Timestamp,
    ) -> Result<Vec<ActionRecord>, StoreError> {
        let by_target = self.dialect.by_index("audit_entries_by_target");
        let query = Sql::new(format!(
            "SELECT e.seq, e.at, e.actor, e.action, d.details FROM audit_entries e{by_target}
             LEFT JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
             WHERE e.organization_id = {{}} AND e.target = {{}} AND e.at <= {{}} ORDER BY e.seq DESC LIMIT {READ}"
        ));
        let query = query
            .bind(scope.as_bytes())
            .bind(incident.to_string())
            .bind(until);
        let found = query.all(&self.reader).await?;
        found.iter().rev().map(action).collect()
    }
}

fn by_ids(dialect: Dialect, scope: OrganizationScope, wanted: Rows) -> Sql {
    let by_index = dialect.by_index("incidents_of_organization");
    let query = Sql::over(
        format!(
            "SELECT DISTINCT {COLUMNS} FROM {{rows}} CROSS JOIN incidents i{by_index} CROSS JOIN events e
             WHERE i.organization_id = {{}} AND i.id = r.id AND e.project_id = i.project_id AND e.id = i.event_id
                AND i.project_id NOT IN ({DELETED}) ORDER BY i.id DESC"
        ),
        wanted,
    );
    query.bind(scope.as_bytes())
}

fn attempts(
    dialect: Dialect,
    (project, event): (ProjectId, EventId),
    until: Timestamp,
    heads_at: Option<Timestamp>,
) -> Sql {
    let by_event = dialect.by_index("replays_by_event");
    let kept_since = heads_at.map_or(Timestamp::from_millis(i64::MAX), answers_kept_since);
    let query = Sql::new(format!(
        "SELECT a.replay_id, a.number, a.started_at, a.ended_at, a.outcome, a.status, a.duration_ms,
            a.lease_token, CASE WHEN a.ended_at > {{}} THEN a.answer_head END AS answer_head
         FROM replays p{by_event} CROSS JOIN attempts a
         WHERE p.project_id = {{}} AND p.event_id = {{}} AND a.started_at <= {{}}
            AND a.project_id = p.project_id AND a.replay_id = p.id
         ORDER BY a.replay_id DESC, a.number DESC LIMIT {READ}"
    ));
    query
        .bind(kept_since)
        .bind(project.as_bytes())
        .bind(event.as_bytes())
        .bind(until)
}

fn result(row: &QueryResult) -> Result<ResultRecord, StoreError> {
    let effect: String = rows::get(row, "effect")?;
    Ok(ResultRecord {
        id: rows::id(row, "id")?,
        effect: match effect.as_str() {
            "success" => Effect::Success,
            "failed" => Effect::Failed,
            _ => return Err(StoreError::Corrupt("effect: an unknown word".to_owned())),
        },
        error_code: rows::get(row, "error_code")?,
        error_message: rows::get(row, "error_message")?,
        replay: rows::optional_id(row, "replay_id")?.map(ReplayId::from_bytes),
        received_at: rows::time(row, "received_at")?,
    })
}

fn attempt(row: &QueryResult) -> Result<AttemptRecord, StoreError> {
    let (status, duration): (Option<i64>, Option<i64>) =
        (rows::get(row, "status")?, rows::get(row, "duration_ms")?);
    let (head, sealed_for): (Option<Vec<u8>>, _) =
        (rows::get(row, "answer_head")?, rows::id(row, "lease_token")?);
    Ok(AttemptRecord {
        replay: ReplayId::from_bytes(rows::id(row, "replay_id")?),
        number: rows::count(row, "number")?,
        started_at: rows::time(row, "started_at")?,
        ended_at: rows::optional_time(row, "ended_at")?,
        outcome: rows::get(row, "outcome")?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        duration_ms: duration.and_then(|millis| u32::try_from(millis).ok()),
        answer_head: head.map(|head| (head, sealed_for)),
    })
}

fn action(row: &QueryResult) -> Result<ActionRecord, StoreError> {
    let seq: i64 = rows::get(row, "seq")?;
    Ok(ActionRecord {
        seq: u64::try_from(seq).unwrap_or_default(),
        at: rows::time(row, "at")?,
        actor: rows::get(row, "actor")?,
        action: rows::get(row, "action")?,
        details: rows::get(row, "details")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, World};

    #[tokio::test]
    async fn an_incident_and_its_attempts_are_found_by_their_ids_and_not_among_all() {
        const IDS: &[Column] = &[Column::new("id", Kind::Id)];
        let world = World::set_up().await;
        if world.store.dialect == Dialect::Postgres {
            return; // it weighs
        }
        let mut wanted = Rows::new(IDS);
        wanted.push([[1; 16].into()]);
        let event = (world.project, EventId::from_bytes([1; 16]));
        for (query, first) in [
            (by_ids(Dialect::Sqlite, world.scope(), wanted), "json_each"),
            (attempts(Dialect::Sqlite, event, NOW, None), "replays_by_event"),
        ] {
            let plan = query.plan(world.store.reader()).await;
            assert!(plan.lines().next().unwrap().contains(first), "{plan}");
        }
    }
}
