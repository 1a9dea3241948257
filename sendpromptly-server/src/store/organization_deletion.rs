//! Deleting an organization: ordered by an owner, carried out after a time of grace, and taken back until then.
//!
//! When it is carried out, nobody reaches the organization any more and its data keys are destroyed, with one
//! commit. What is left are rows that nothing opens: `purge.rs` removes those of its projects, and retention the
//! log and the organization itself.

use std::time::Duration;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::{Action, Draft, INSTANCE, Origin};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use super::audit::{self, Drafts};
use super::retry::retried;
use super::rows::{self, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError};

#[cfg(test)]
mod tests;

/// How long an order can be taken back.
pub const GRACE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long after its end an organization is removed: no request and no call of it is under way then.
const UNDER_WAY: Duration = Duration::from_secs(60 * 60);

/// Organizations that are due, or in which something was made while they were ended.
const DUE: &str = "o.deletion_due_at <= {} AND (o.deleted_at IS NULL OR EXISTS (
    SELECT 1 FROM projects l WHERE l.organization_id = o.id AND l.deleted_at IS NULL))";

/// Organizations that have ended and hold no project any more.
const ENDED: &str = "o.deletion_due_at IS NOT NULL AND o.deleted_at <= {} AND NOT EXISTS (
    SELECT 1 FROM projects p WHERE p.organization_id = o.id)";

/// Whether the deletion of an organization is ordered.
enum Order {
    None,
    Due(Timestamp),
}

impl Order {
    const fn due(self) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::Due(due) => Some(due),
        }
    }
}

/// What is left of an organization that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remains {
    /// The organization.
    pub organization: OrganizationId,
    /// The first entry of its log, where there is one.
    pub first: Option<u64>,
}

impl Store {
    /// Orders the deletion of an organization. Gives when it will be carried out, which a second order leaves as it
    /// is; `None` where there is no such organization.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn order_deletion(
        &self,
        scope: OrganizationScope,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        retried(|| async {
            let tx = self.begin().await?;
            let due = match self.lock_order(&tx, scope).await? {
                Some(Order::None) => now.plus(GRACE),
                other => {
                    // At once: who carries orders out passes over one that is locked.
                    tx.rollback().await?;
                    return Ok(other.and_then(Order::due));
                }
            };
            let order = Sql::new("UPDATE organizations SET deletion_due_at = {} WHERE id = {}");
            let order = order.bind(due).bind(scope.as_bytes());
            let text = due.to_string();
            let more = [("due_at", text.as_str())];
            let draft = Draft::new(origin, Action::OrganizationDeletionOrdered, scope.id(), &more);
            let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
            self.write_audited(&tx, vec![order], &drafts).await?;
            tx.commit().await?;
            Ok(Some(due))
        })
        .await
    }

    /// Takes the order to delete an organization back. Gives whether there was one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn keep_organization(
        &self,
        scope: OrganizationScope,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| async {
            let tx = self.begin().await?;
            let Some(Order::Due(_)) = self.lock_order(&tx, scope).await? else {
                tx.rollback().await?;
                return Ok(false);
            };
            let keep = Sql::new("UPDATE organizations SET deletion_due_at = NULL WHERE id = {}");
            let draft = Draft::new(origin, Action::OrganizationKept, scope.id(), &[]);
            let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
            self.write_audited(&tx, vec![keep.bind(scope.as_bytes())], &drafts)
                .await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Whether the deletion of an organization is ordered, under its lock; `None` where there is no such
    /// organization, or its deletion was carried out.
    async fn lock_order(
        &self,
        tx: &DatabaseTransaction,
        scope: OrganizationScope,
    ) -> Result<Option<Order>, StoreError> {
        let lock = self.dialect.for_update_of("o");
        let query = Sql::new(format!(
            "SELECT o.deletion_due_at FROM organizations o WHERE o.id = {{}} AND o.deleted_at IS NULL{lock}"
        ));
        let row = query.bind(scope.as_bytes()).one(tx).await?;
        row.map(|row| {
            let due = rows::optional_time(&row, "deletion_due_at")?;
            Ok(due.map_or(Order::None, Order::Due))
        })
        .transpose()
    }

    /// Carries out one order that is due at this time: its members are none any more, its projects are deleted, and
    /// their data keys destroyed. Its log and the instance's tell of it. Gives whether one was due.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn end_due_organization(&self, origin: &Origin, now: Timestamp) -> Result<bool, StoreError> {
        if self.organizations_due(now).await? == 0 {
            return Ok(false); // a look spares SQLite's one writer a transaction
        }
        let tx = self.begin().await?;
        let lock = self.dialect.for_update_skip_locked("o");
        let next = Sql::new(format!(
            "SELECT o.id FROM organizations o WHERE {DUE} ORDER BY o.deletion_due_at LIMIT 1{lock}"
        ));
        let Some(row) = next.bind(now).one(&tx).await? else {
            return Ok(false);
        };
        let organization = OrganizationId::from_bytes(rows::id(&row, "id")?);
        for end in ends(organization, now) {
            end.run(&tx).await?;
        }
        let draft = Draft::new(origin, Action::OrganizationDeleted, organization, &[]);
        let told = [organization, INSTANCE].map(|chain| (chain, vec![(now, draft.clone())]));
        self.write_audited(&tx, Vec::new(), &Drafts::from(told)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// How many orders are due at this time.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn organizations_due(&self, now: Timestamp) -> Result<u64, StoreError> {
        let query = Sql::new(format!("SELECT count(*) AS n FROM organizations o WHERE {DUE}"));
        let row = query.bind(now).one(&self.reader).await?;
        row.map_or(Ok(0), |row| rows::count(&row, "n").map(u64::from))
    }

    /// What is left of an organization that ended an hour ago and holds no project any more, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn organization_to_remove(&self, now: Timestamp) -> Result<Option<Remains>, StoreError> {
        let query = Sql::new(format!(
            "SELECT o.id, (SELECT min(e.seq) FROM audit_entries e WHERE e.organization_id = o.id) AS first
             FROM organizations o WHERE {ENDED} ORDER BY o.deleted_at LIMIT 1"
        ));
        let row = query.bind(ended_by(now)).one(&self.reader).await?;
        row.map(|row| {
            let first: Option<i64> = rows::get(&row, "first")?;
            Ok(Remains {
                organization: OrganizationId::from_bytes(rows::id(&row, "id")?),
                first: first.map(i64::unsigned_abs),
            })
        })
        .transpose()
    }

    /// Removes an organization that has ended, of which nothing is left but its row. Its chain's head stays: with
    /// the signed checkpoint outside the database it proves the log that was.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn remove_organization(&self, organization: OrganizationId) -> Result<(), StoreError> {
        let remove = Sql::new("DELETE FROM organizations WHERE id = {} AND deleted_at IS NOT NULL");
        self.commit_together(vec![remove.bind(organization.as_bytes())])
            .await
    }

    /// How many rows are left of organizations that ended an hour ago and hold no project any more.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count_of_remains(&self, now: Timestamp) -> Result<u64, StoreError> {
        let query = Sql::new(format!(
            "SELECT (SELECT count(*) FROM organizations o WHERE {ENDED})
                + (SELECT count(*) FROM audit_entries e JOIN organizations o ON o.id = e.organization_id
                   WHERE {ENDED}) AS n"
        ));
        let by = ended_by(now);
        let row = query.bind(by).bind(by).one(&self.reader).await?;
        row.map_or(Ok(0), |row| rows::count(&row, "n").map(u64::from))
    }
}

fn ended_by(now: Timestamp) -> Timestamp {
    now.minus(UNDER_WAY)
}

/// Begins the time of grace of every order anew, as part of a restore: an order may have been taken back since.
pub fn begin_grace_anew(now: Timestamp) -> Sql {
    let due = now.plus(GRACE);
    let anew = Sql::new(
        "UPDATE organizations SET deletion_due_at = {} WHERE deletion_due_at < {} AND deleted_at IS NULL",
    );
    anew.bind(due).bind(due)
}

/// What ends an organization, in this order. Keys go before what they sealed.
fn ends(organization: OrganizationId, now: Timestamp) -> Vec<Sql> {
    let of_it = |text: &str| Sql::new(text).bind(organization.as_bytes());
    let mark = Sql::new("UPDATE organizations SET deleted_at = {} WHERE id = {}");
    // A repair URL may hold a secret, and nobody calls it any more.
    let projects = Sql::new(
        "UPDATE projects SET deleted_at = {}, repair_url = NULL WHERE organization_id = {} AND deleted_at IS NULL",
    );
    vec![
        mark.bind(now).bind(organization.as_bytes()),
        of_it(
            "DELETE FROM data_keys WHERE scope = 'project' AND scope_id IN
             (SELECT p.id FROM projects p WHERE p.organization_id = {})",
        ),
        projects.bind(now).bind(organization.as_bytes()),
        of_it(
            "DELETE FROM links WHERE subject_id IN
             (SELECT i.id FROM invitations i WHERE i.organization_id = {})",
        ),
        of_it("DELETE FROM invitations WHERE organization_id = {}"),
        of_it("DELETE FROM members WHERE organization_id = {}"),
    ]
}
