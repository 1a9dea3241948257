//! Whom a project's alerts go to, sealed, and by which minutes they go.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::alert::Channel;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::{AlertId, ProjectId};
use sendpromptly_core::time::Timestamp;

use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError, audit};

/// How many destinations a project may have.
pub const MOST: usize = 10;

/// A destination in the making.
#[derive(Debug, Clone)]
pub struct NewDestination {
    /// Its id.
    pub id: AlertId,
    /// Whose alerts.
    pub project: ProjectId,
    /// How they go.
    pub channel: Channel,
    /// Where they go, sealed.
    pub sealed: Vec<u8>,
    /// What of that may be shown.
    pub shown: String,
    /// Whether it is told of incidents that stay open, and of nothing else.
    pub escalation: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A destination as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its id.
    pub id: AlertId,
    /// How alerts go.
    pub channel: Channel,
    /// What may be shown of where they go.
    pub shown: String,
    /// Whether it is told of incidents that stay open, and of nothing else.
    pub escalation: bool,
    /// Whether a message waits.
    pub waits: bool,
    /// When a message was last taken.
    pub sent_at: Option<Timestamp>,
    /// When a try last failed, and why; empty once a message was taken.
    pub failure: Option<(Timestamp, String)>,
    /// How many messages were given up.
    pub given_up: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a destination's alerts go, sealed.
#[derive(Debug, Clone)]
pub struct SealedDestination {
    /// How.
    pub channel: Channel,
    /// Where, sealed.
    pub sealed: Vec<u8>,
    /// What of that may be shown.
    pub shown: String,
}

/// How adding a destination ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is there.
    Done,
    /// There are [`MOST`] already.
    TooMany,
    /// There is no such project.
    NoProject,
}

/// After how many minutes a project alerts of what does not happen; `None` for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertMinutes {
    /// Of an incident that stays open.
    pub escalate: Option<u32>,
    /// Of receipts that do not come.
    pub silence: Option<u32>,
}

const DESTINATION: &str =
    "SELECT d.id, d.channel, d.shown, d.sealed, d.escalation, d.due_at, d.sent_at, d.failed_at,
        d.failure, d.given_up, d.created_at
    FROM alert_destinations d JOIN projects p ON p.id = d.project_id
    WHERE d.project_id = {} AND p.organization_id = {} AND p.deleted_at IS NULL";

impl Store {
    /// Adds a destination.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn add_alert(
        &self,
        scope: OrganizationScope,
        new: &NewDestination,
        origin: &Origin,
    ) -> Result<Added, StoreError> {
        retried(|| self.try_add_alert(scope, new, origin)).await
    }

    async fn try_add_alert(
        &self,
        scope: OrganizationScope,
        new: &NewDestination,
        origin: &Origin,
    ) -> Result<Added, StoreError> {
        let tx = self.begin().await?;
        if self.lock_project(&tx, scope, new.project).await?.is_none() {
            return Ok(Added::NoProject);
        }
        if all_of(scope, new.project).all(&tx).await?.len() >= MOST {
            return Ok(Added::TooMany);
        }
        let told_to = self.newest(&tx, new.project, new.escalation).await?;
        let insert = Sql::new(
            "INSERT INTO alert_destinations (project_id, id, channel, sealed, shown, escalation, newest, told_to, created_at)
             VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {})",
        )
        .bind(new.project.as_bytes())
        .bind(new.id.as_bytes())
        .bind(new.channel.as_str())
        .bind(new.sealed.clone())
        .bind(new.shown.as_str())
        .bind(new.escalation)
        .bind(told_to)
        .bind(told_to)
        .bind(new.created_at);
        let project = new.project.to_string();
        let details = [
            ("project_id", project.as_str()),
            ("channel", new.channel.as_str()),
            ("to", new.shown.as_str()),
        ];
        let draft = Draft::new(origin, Action::AlertAdded, new.id, &details);
        let drafts = audit::drafts_of(scope.id(), new.created_at, vec![draft]);
        self.write_audited(&tx, vec![insert], &drafts).await?;
        tx.commit().await?;
        Ok(Added::Done)
    }

    /// The number of the newest news for destinations of this kind: a new one is told only of what comes after. Who is
    /// handing news on is waited for, and what came of that is read by statements of their own.
    async fn newest(
        &self,
        tx: &DatabaseTransaction,
        project: ProjectId,
        escalation: bool,
    ) -> Result<i64, StoreError> {
        let lock = self.dialect.for_update_of("d");
        let others = Sql::new(format!(
            "SELECT d.newest FROM alert_destinations d WHERE d.project_id = {{}} AND d.escalation = {{}}
             ORDER BY d.id{lock}"
        ));
        let others = others.bind(project.as_bytes()).bind(escalation).all(tx).await?;
        let told = others.iter().map(|row| rows::get(row, "newest"));
        if let Some(newest) = told.collect::<Result<Vec<i64>, _>>()?.into_iter().max() {
            return Ok(newest);
        }
        let left = Sql::new(
            "SELECT COALESCE(max(n.number), 0) AS newest FROM alert_news n
             WHERE n.project_id = {} AND n.escalation = {}",
        );
        let row = left.bind(project.as_bytes()).bind(escalation).one(tx).await?;
        row.map_or(Ok(0), |row| rows::get(&row, "newest"))
    }

    /// The destinations of a project, in the order in which they were made.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn alerts(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
    ) -> Result<Vec<Destination>, StoreError> {
        let found = all_of(scope, project).all(&self.reader).await?;
        found.iter().map(listed).collect()
    }

    /// Where the alerts of a destination go, sealed.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn sealed_alert(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        id: AlertId,
    ) -> Result<Option<SealedDestination>, StoreError> {
        let row = one_of(scope, project, id, "").one(&self.reader).await?;
        row.as_ref().map(sealed).transpose()
    }

    /// The project of a destination, for an operator at the machine, who may see every project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn project_of_alert(
        &self,
        id: AlertId,
    ) -> Result<Option<(OrganizationScope, ProjectId)>, StoreError> {
        self.project_of("alert_destinations", id.as_bytes()).await
    }

    /// Removes a destination, with what it was still to be told; `false` where there is none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn remove_alert(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        id: AlertId,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| async {
            let tx = self.begin().await?;
            let lock = self.dialect.for_update_of("d").to_string();
            let Some(row) = one_of(scope, project, id, &lock).one(&tx).await? else {
                return Ok(false);
            };
            let found = sealed(&row)?;
            let remove = Sql::new("DELETE FROM alert_destinations WHERE project_id = {} AND id = {}");
            let writes = vec![remove.bind(project.as_bytes()).bind(id.as_bytes())];
            let details = [("channel", found.channel.as_str()), ("to", found.shown.as_str())];
            let draft = Draft::new(origin, Action::AlertRemoved, id, &details);
            let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
            self.write_audited(&tx, writes, &drafts).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Notes in the audit log that a test alert is sent to a destination.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_alert_test(
        &self,
        scope: OrganizationScope,
        id: AlertId,
        shown: &str,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let draft = Draft::new(origin, Action::AlertTested, id, &[("to", shown)]);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.commit_audited(&[], &drafts).await
    }

    /// After how many minutes a project alerts of what does not happen; `None` where there is no such project.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn alert_minutes(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
    ) -> Result<Option<AlertMinutes>, StoreError> {
        let row = minutes_of(scope, project, "").one(&self.reader).await?;
        row.as_ref().map(minutes).transpose()
    }

    /// Sets these minutes; `false` where there is no such project. Silence counts from now on.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn set_alert_minutes(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        after: AlertMinutes,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| self.try_set_alert_minutes(scope, project, after, origin, now)).await
    }

    async fn try_set_alert_minutes(
        &self,
        scope: OrganizationScope,
        project: ProjectId,
        after: AlertMinutes,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        let lock = self.dialect.for_update_of("p").to_string();
        let Some(row) = minutes_of(scope, project, &lock).one(&tx).await? else {
            return Ok(false);
        };
        let before = minutes(&row)?;
        if before == after {
            tx.rollback().await?;
            return Ok(true);
        }
        let mut writes = vec![];
        let mut told = vec![];
        if before.escalate != after.escalate {
            let set = Sql::new("UPDATE projects SET escalate_minutes = {} WHERE id = {}");
            writes.push(set.bind(after.escalate).bind(project.as_bytes()));
            told.push(("escalate_minutes", in_words(after.escalate)));
        }
        if before.silence != after.silence {
            let set = Sql::new(
                "UPDATE projects SET silence_minutes = {}, silence_since = {}, silence_told_at = NULL WHERE id = {}",
            );
            writes.push(set.bind(after.silence).bind(now).bind(project.as_bytes()));
            told.push(("silence_minutes", in_words(after.silence)));
        }
        let told: Vec<_> = told.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let draft = Draft::new(origin, Action::ProjectChanged, project, &told);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        // Both change one row, so they go one after another.
        for write in writes {
            write.run(&tx).await?;
        }
        self.write_audited(&tx, vec![], &drafts).await?;
        tx.commit().await?;
        Ok(true)
    }
}

fn in_words(minutes: Option<u32>) -> String {
    minutes.map_or_else(|| "off".to_owned(), |minutes| minutes.to_string())
}

fn all_of(scope: OrganizationScope, project: ProjectId) -> Sql {
    let query = Sql::new(format!("{DESTINATION} ORDER BY d.id"));
    query.bind(project.as_bytes()).bind(scope.as_bytes())
}

fn one_of(scope: OrganizationScope, project: ProjectId, id: AlertId, lock: &str) -> Sql {
    let query = Sql::new(format!("{DESTINATION} AND d.id = {{}}{lock}"));
    query
        .bind(project.as_bytes())
        .bind(scope.as_bytes())
        .bind(id.as_bytes())
}

fn minutes_of(scope: OrganizationScope, project: ProjectId, lock: &str) -> Sql {
    let query = Sql::new(format!(
        "SELECT p.escalate_minutes, p.silence_minutes FROM projects p
         WHERE p.id = {{}} AND p.organization_id = {{}} AND p.deleted_at IS NULL{lock}"
    ));
    query.bind(project.as_bytes()).bind(scope.as_bytes())
}

fn listed(row: &QueryResult) -> Result<Destination, StoreError> {
    let failed_at = rows::optional_time(row, "failed_at")?;
    Ok(Destination {
        id: AlertId::from_bytes(rows::id(row, "id")?),
        channel: rows::word(row, "channel")?,
        shown: rows::get(row, "shown")?,
        escalation: rows::count(row, "escalation")? != 0,
        waits: rows::optional_time(row, "due_at")?.is_some(),
        sent_at: rows::optional_time(row, "sent_at")?,
        failure: failed_at.zip(rows::get(row, "failure")?),
        given_up: rows::count(row, "given_up")?,
        created_at: rows::time(row, "created_at")?,
    })
}

fn sealed(row: &QueryResult) -> Result<SealedDestination, StoreError> {
    Ok(SealedDestination {
        channel: rows::word(row, "channel")?,
        sealed: rows::get(row, "sealed")?,
        shown: rows::get(row, "shown")?,
    })
}

fn minutes(row: &QueryResult) -> Result<AlertMinutes, StoreError> {
    let read = |column| {
        let number: Option<i64> = rows::get(row, column)?;
        Ok::<_, StoreError>(number.and_then(|number| u32::try_from(number).ok()))
    };
    Ok(AlertMinutes {
        escalate: read("escalate_minutes")?,
        silence: read("silence_minutes")?,
    })
}
