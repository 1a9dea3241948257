//! What there is to tell a destination: counted, and the last incidents with their effects. It is read beside what is
//! written, so that it holds up nobody however much waits.

use sea_orm::{ConnectionTrait, QueryResult};
use sendpromptly_core::id::{IncidentId, OrganizationId, ProjectId};

use super::{Content, NAMED, Named};
use crate::store::StoreError;
use crate::store::rows::{self, Sql};

/// News of a project and a kind of destinations after a number, up to another; of each subject the last. That goes by
/// when it happened: two nodes may number what opened an incident after what resolved it.
const LAST: &str = "FROM alert_news q
    WHERE q.project_id = {} AND q.escalation = {} AND q.number > {} AND q.number <= {} AND NOT EXISTS
        (SELECT 1 FROM alert_news l
         WHERE l.project_id = q.project_id AND l.escalation = q.escalation AND l.subject_id = q.subject_id
            AND (l.at > q.at OR (l.at = q.at AND l.number > q.number)))";

/// Which news.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) project: ProjectId,
    pub(super) escalation: bool,
    /// After the first, up to the second.
    pub(super) numbers: (i64, i64),
}

impl Range {
    fn of(self, sql: &str) -> Sql {
        Sql::new(sql)
            .bind(self.project.as_bytes())
            .bind(self.escalation)
            .bind(self.numbers.0)
            .bind(self.numbers.1)
    }

    /// What is to be told; `None` where that is nothing. Words of a later version are passed over.
    pub(super) async fn content(self, on: &impl ConnectionTrait) -> Result<Option<Content>, StoreError> {
        let Some(mut content) = project(on, self.project).await? else {
            return Ok(None);
        };
        let counts = self.of(&format!("SELECT q.news, count(*) AS n {LAST} GROUP BY q.news"));
        for row in counts.all(on).await? {
            let word: String = rows::get(&row, "news")?;
            if let Ok(news) = word.parse() {
                content.counts.insert(news, rows::count(&row, "n")?);
            }
        }
        if content.counts.is_empty() {
            return Ok(None);
        }
        let named = self.of(&format!(
            "SELECT q.subject_id, q.news, q.at, i.reason, e.effect_type FROM
                (SELECT q.project_id, q.subject_id, q.news, q.at {LAST} AND q.subject_id <> q.project_id
                 ORDER BY q.number DESC LIMIT {NAMED}) q
             JOIN incidents i ON i.project_id = q.project_id AND i.id = q.subject_id
             JOIN events e ON e.project_id = i.project_id AND e.id = i.event_id
             ORDER BY q.at DESC, q.subject_id DESC"
        ));
        for row in named.all(on).await? {
            content.incidents.extend(read(&row)?);
        }
        Ok(Some(content))
    }
}

fn read(row: &QueryResult) -> Result<Option<Named>, StoreError> {
    let (news, reason): (String, String) = (rows::get(row, "news")?, rows::get(row, "reason")?);
    let (Ok(news), Ok(reason)) = (news.parse(), reason.parse()) else {
        return Ok(None);
    };
    let effect: Option<String> = rows::get(row, "effect_type")?;
    Ok(Some(Named {
        incident: IncidentId::from_bytes(rows::id(row, "subject_id")?),
        news,
        at: rows::time(row, "at")?,
        reason,
        effect_type: effect.and_then(|effect| effect.parse().ok()),
    }))
}

/// The content of a message about this project that tells nothing yet; `None` where there is no such project.
async fn project(on: &impl ConnectionTrait, project: ProjectId) -> Result<Option<Content>, StoreError> {
    let query = Sql::new(
        "SELECT p.organization_id, p.name, p.mode, p.silence_minutes FROM projects p
         WHERE p.id = {} AND p.deleted_at IS NULL",
    );
    let Some(row) = query.bind(project.as_bytes()).one(on).await? else {
        return Ok(None);
    };
    let minutes: Option<i64> = rows::get(&row, "silence_minutes")?;
    Ok(Some(Content {
        organization: OrganizationId::from_bytes(rows::id(&row, "organization_id")?),
        project,
        project_name: rows::get(&row, "name")?,
        mode: rows::word(&row, "mode")?,
        silence_minutes: minutes.and_then(|minutes| u32::try_from(minutes).ok()),
        counts: std::collections::BTreeMap::new(),
        incidents: Vec::new(),
    }))
}
