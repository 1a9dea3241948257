//! Sign-ins that failed, told in the audit log: the first ten of an account in a minute one by one, those beyond
//! as one entry with their number, so that a guesser cannot fill the log. Accounts that nobody has count as one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::{Action, Actor, Draft, INSTANCE, Origin};
use sendpromptly_core::id::{OrganizationId, UserId};
use sendpromptly_core::time::{MINUTE_MS, Timestamp};

use super::audit::Drafts;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

#[cfg(test)]
mod tests;

/// Failures of an account in a minute that have an entry each.
const TOLD_ONE_BY_ONE: u32 = 10;

/// Accounts told of in one transaction.
const BATCH: usize = 100;

/// The target of an entry about an account that nobody has.
const UNKNOWN: &str = "unknown";

/// Failures for all the accounts that nobody has count together: a guesser can make up as many as he likes.
const NOBODYS: [u8; 16] = [0; 16];

/// A sign-in that failed.
#[derive(Debug, Clone, Copy)]
pub struct FailedSignIn<'a> {
    /// Whose account it was; nobody's where the address is unknown.
    pub user: Option<UserId>,
    /// The e-mail address that was given, if it is one; people type other things into its field, too.
    pub email: Option<&'a str>,
    /// What was wrong: `password` or `code`.
    pub wrong: &'a str,
    /// Where it came from.
    pub address: IpAddr,
    /// When.
    pub now: Timestamp,
}

/// The failures of an account in a minute that is over.
struct Minute {
    account: [u8; 16],
    minute: i64,
    user: Option<UserId>,
    failures: u32,
}

impl Store {
    /// Counts a sign-in that failed, and tells of it unless there were too many within this minute.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_failed_sign_in(&self, failed: &FailedSignIn<'_>) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        let row = count(failed).one(&tx).await?;
        let failures = row.map_or(Ok(0), |row| rows::count(&row, "failures"))?;
        if failures <= TOLD_ONE_BY_ONE {
            let drafts = self.drafts_of_failure(&tx, failed).await?;
            self.write_audited(&tx, Vec::new(), &drafts).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn drafts_of_failure(
        &self,
        tx: &DatabaseTransaction,
        failed: &FailedSignIn<'_>,
    ) -> Result<Drafts, StoreError> {
        let origin = Origin {
            address: Some(failed.address),
            ..nobody()
        };
        let mut details = vec![("wrong", failed.wrong)];
        details.extend(failed.email.map(|email| ("email", email)));
        let Some(user) = failed.user else {
            let draft = Draft::new(&origin, Action::LoginFailed, UNKNOWN, &details);
            return Ok(BTreeMap::from([(INSTANCE, vec![(failed.now, draft)])]));
        };
        let draft = Draft::new(&origin, Action::LoginFailed, user, &details);
        self.drafts_of_user(tx, user, failed.now, vec![draft]).await
    }

    /// Tells of the failures beyond ten in the minutes that are over, in one entry for each account and minute.
    /// Gives whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn tell_failed_sign_ins(&self, now: Timestamp) -> Result<bool, StoreError> {
        let over = Sql::new("SELECT 1 AS found FROM failed_sign_ins WHERE minute < {} LIMIT 1");
        if over.bind(minute_of(now)).one(&self.reader).await?.is_none() {
            return Ok(false);
        }
        let lock = self.dialect.for_update_skip_locked("f");
        let query = Sql::new(format!(
            "SELECT f.account, f.minute, f.user_id, f.failures FROM failed_sign_ins f WHERE f.minute < {{}}
             ORDER BY f.minute, f.account LIMIT {BATCH}{lock}"
        ));
        let tx = self.begin().await?;
        let found = query.bind(minute_of(now)).all(&tx).await?;
        let minutes: Vec<_> = found.iter().map(minute).collect::<Result<_, _>>()?;
        let drafts = self.drafts_of_minutes(&tx, &minutes, now).await?;
        self.write_audited(&tx, vec![forget(&minutes)], &drafts).await?;
        tx.commit().await?;
        Ok(minutes.len() == BATCH)
    }

    async fn drafts_of_minutes(
        &self,
        tx: &DatabaseTransaction,
        minutes: &[Minute],
        now: Timestamp,
    ) -> Result<Drafts, StoreError> {
        const COLUMNS: &[Column] = &[Column::new("user_id", Kind::Id)];
        let many: Vec<_> = minutes
            .iter()
            .filter(|minute| minute.failures > TOLD_ONE_BY_ONE)
            .collect();
        let mut users = Rows::new(COLUMNS);
        for user in many.iter().filter_map(|minute| minute.user) {
            users.push([user.as_bytes().into()]);
        }
        let query = Sql::over(
            "SELECT DISTINCT m.user_id, m.organization_id FROM {rows} JOIN members m ON m.user_id = r.user_id",
            users,
        );
        let mut organizations: BTreeMap<UserId, Vec<OrganizationId>> = BTreeMap::new();
        for row in query.all(tx).await? {
            let organization = OrganizationId::from_bytes(rows::id(&row, "organization_id")?);
            let user = UserId::from_bytes(rows::id(&row, "user_id")?);
            organizations.entry(user).or_default().push(organization);
        }
        let mut drafts = Drafts::new();
        for minute in many {
            let draft = counted(minute);
            let told = minute.user.and_then(|user| organizations.get(&user));
            for organization in told.map_or(&[INSTANCE][..], Vec::as_slice) {
                drafts
                    .entry(*organization)
                    .or_default()
                    .push((now, draft.clone()));
            }
        }
        Ok(drafts)
    }
}

/// Counts a failure, and gives how many there are in its minute.
fn count(failed: &FailedSignIn<'_>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("account", Kind::Id),
        Column::new("minute", Kind::Int),
        Column::optional("user_id", Kind::Id),
    ];
    let mut rows = Rows::new(COLUMNS);
    let user = failed.user.map(|user| *user.as_bytes());
    let account = user.unwrap_or(NOBODYS);
    rows.push([account.into(), minute_of(failed.now).into(), user.into()]);
    Sql::over(
        "INSERT INTO failed_sign_ins (account, minute, user_id, failures)
         SELECT r.account, r.minute, r.user_id, 1 FROM {rows} WHERE true
         ON CONFLICT (account, minute) DO UPDATE SET failures = failed_sign_ins.failures + 1
         RETURNING failures",
        rows,
    )
}

/// Who signs in is not known until it succeeds.
const fn nobody() -> Origin {
    Origin {
        actor: Actor::System("sign-in"),
        address: None,
    }
}

fn counted(minute: &Minute) -> Draft {
    let more = (minute.failures - TOLD_ONE_BY_ONE).to_string();
    let from = Timestamp::from_millis(minute.minute * MINUTE_MS).to_string();
    let target = minute
        .user
        .map_or_else(|| UNKNOWN.to_owned(), |user| user.to_string());
    let details = [("times", more.as_str()), ("minute", from.as_str())];
    Draft::new(&nobody(), Action::LoginFailed, target, &details)
}

fn forget(minutes: &[Minute]) -> Sql {
    const COLUMNS: &[Column] = &[Column::new("account", Kind::Id), Column::new("minute", Kind::Int)];
    let mut rows = Rows::new(COLUMNS);
    for minute in minutes {
        rows.push([minute.account.into(), minute.minute.into()]);
    }
    Sql::over(
        "DELETE FROM failed_sign_ins WHERE EXISTS (SELECT 1 FROM {rows}
             WHERE r.account = failed_sign_ins.account AND r.minute = failed_sign_ins.minute)",
        rows,
    )
}

const fn minute_of(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(MINUTE_MS)
}

fn minute(row: &QueryResult) -> Result<Minute, StoreError> {
    Ok(Minute {
        account: rows::id(row, "account")?,
        minute: rows::get(row, "minute")?,
        user: rows::optional_id(row, "user_id")?.map(UserId::from_bytes),
        failures: rows::count(row, "failures")?,
    })
}
