//! Guesses at passwords and codes, counted for all nodes in one place.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseTransaction};
use sendpromptly_core::throttle::{Budget, FORGIVEN_AFTER, Failures};
use sendpromptly_core::time::Timestamp;

use super::old_rows::OldRows;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

/// Names a budget: a digest of whose tries it holds.
pub type Bucket = [u8; 16];

/// How often a count that another one was in the way of is tried.
const TRIES: u32 = 10;

const BUCKETS: &[Column] = &[Column::new("bucket", Kind::Id)];

/// What has come of a try to count a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// It is counted in every budget; after it, the next must wait so long.
    Counted(Duration),
    /// It must wait so long, and is counted nowhere.
    MustWait(Duration),
}

impl Store {
    /// Counts a guess in each of these budgets, or in none, where one has no room for it.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count_guess(
        &self,
        budgets: &BTreeMap<Bucket, Budget>,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        // Most who must wait are told without a write, for guessers are many.
        let failures = read_failures(&self.reader, budgets, "").await?;
        let wait = longest_wait(budgets, &failures, now);
        if !wait.is_zero() {
            return Ok(Counted::MustWait(wait));
        }
        let mut left = TRIES;
        loop {
            left -= 1;
            let tx = self.begin().await?;
            match self.count_locked(&tx, budgets, now).await {
                Err(StoreError::Again(_)) if left > 0 => tx.rollback().await?,
                Err(error) => return Err(error),
                Ok(counted) => {
                    tx.commit().await?;
                    return Ok(counted);
                }
            }
        }
    }

    async fn count_locked(
        &self,
        tx: &DatabaseTransaction,
        budgets: &BTreeMap<Bucket, Budget>,
        now: Timestamp,
    ) -> Result<Counted, StoreError> {
        // A budget without a row could not be locked. In the order of the keys, as everywhere.
        const COLUMNS: &[Column] = &[Column::new("bucket", Kind::Id), Column::new("last_at", Kind::Int)];
        let mut new = Rows::new(COLUMNS);
        for bucket in budgets.keys() {
            new.push([bucket.into(), now.into()]);
        }
        let insert =
            "INSERT INTO guesses (bucket, failures, last_at) SELECT r.bucket, 0, r.last_at FROM {rows}
             WHERE true ON CONFLICT (bucket) DO NOTHING";
        Sql::over(insert, new).run(tx).await?;
        let lock = self.dialect.for_update_of("g").to_string();
        let failures = read_failures(tx, budgets, &lock).await?;
        if failures.len() < budgets.len() {
            return Err(StoreError::Again("a budget was dropped meanwhile".to_owned()));
        }
        let wait = longest_wait(budgets, &failures, now);
        if !wait.is_zero() {
            return Ok(Counted::MustWait(wait));
        }
        let counted = budgets
            .iter()
            .filter_map(|(bucket, budget)| {
                let counted = budget.count(failures.get(bucket).copied(), now).ok()?;
                Some((*bucket, counted))
            })
            .collect();
        put_failures(&counted).run(tx).await?;
        Ok(Counted::Counted(longest_wait(budgets, &counted, now)))
    }
}

/// The budgets in which nothing counts any more.
#[must_use]
pub fn old_guesses(now: Timestamp) -> OldRows {
    let before = i64::try_from(FORGIVEN_AFTER.as_millis()).unwrap_or(i64::MAX);
    OldRows::up_to("guesses", "last_at", now.plus_millis(-before)).keyed_by("bucket")
}

async fn read_failures(
    on: &impl ConnectionTrait,
    budgets: &BTreeMap<Bucket, Budget>,
    lock: &str,
) -> Result<BTreeMap<Bucket, Failures>, StoreError> {
    let query = Sql::over(
        format!(
            "SELECT g.bucket, g.failures, g.last_at FROM {{rows}} JOIN guesses g ON g.bucket = r.bucket
             ORDER BY g.bucket{lock}"
        ),
        bucket_rows(budgets.keys().copied()),
    );
    let failures = |row| {
        let failures = Failures {
            count: rows::count(row, "failures")?,
            last_at: rows::time(row, "last_at")?,
        };
        Ok((rows::id(row, "bucket")?, failures))
    };
    query.all(on).await?.iter().map(failures).collect()
}

fn longest_wait(
    budgets: &BTreeMap<Bucket, Budget>,
    failures: &BTreeMap<Bucket, Failures>,
    now: Timestamp,
) -> Duration {
    let waits = budgets
        .iter()
        .map(|(bucket, budget)| budget.wait(failures.get(bucket).copied(), now));
    waits.max().unwrap_or_default()
}

fn put_failures(counted: &BTreeMap<Bucket, Failures>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("bucket", Kind::Id),
        Column::new("failures", Kind::Int),
        Column::new("last_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for (bucket, failures) in counted {
        rows.push([bucket.into(), failures.count.into(), failures.last_at.into()]);
    }
    Sql::over(
        "UPDATE guesses SET failures = r.failures, last_at = r.last_at FROM {rows}
         WHERE guesses.bucket = r.bucket",
        rows,
    )
}

/// Empties a budget. Its row stays: whoever counts in it at the same moment waits for it and must find it.
///
/// Writes of several budgets go in the order of their keys, as counting locks them.
#[must_use]
pub fn wipe(bucket: Bucket) -> Sql {
    Sql::new("UPDATE guesses SET failures = 0 WHERE bucket = {}").bind(bucket)
}

/// Takes back one failure in a budget.
#[must_use]
pub fn take_back(bucket: Bucket) -> Sql {
    Sql::new("UPDATE guesses SET failures = failures - 1 WHERE failures > 0 AND bucket = {}").bind(bucket)
}

fn bucket_rows(buckets: impl IntoIterator<Item = Bucket>) -> Rows {
    let mut rows = Rows::new(BUCKETS);
    for bucket in buckets {
        rows.push([bucket.into()]);
    }
    rows
}
