//! What users do with their own accounts, which each of their organizations' audit logs tells.

use std::collections::BTreeMap;

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::{Draft, INSTANCE};
use sendpromptly_core::id::{OrganizationId, UserId};
use sendpromptly_core::time::Timestamp;

use super::audit::Drafts;
use super::retry::retried;
use super::rows::{self, Sql};
use super::{Store, StoreError};

impl Store {
    /// Makes these writes and tells of them in each of the user's organizations, all or nothing.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn commit_own_action(
        &self,
        user: UserId,
        writes: &[Sql],
        drafts: &[Draft],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        retried(|| async {
            let tx = self.begin().await?;
            let drafts = self.drafts_of_user(&tx, user, now, drafts.to_vec()).await?;
            self.write_audited(&tx, writes.to_vec(), &drafts).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// These drafts for each organization of the user; for the instance, where the user belongs to none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub(super) async fn drafts_of_user(
        &self,
        tx: &DatabaseTransaction,
        user: UserId,
        at: Timestamp,
        drafts: Vec<Draft>,
    ) -> Result<Drafts, StoreError> {
        if drafts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let query = Sql::new("SELECT organization_id FROM members WHERE user_id = {}");
        let found = query.bind(user.as_bytes()).all(tx).await?;
        let organization = |row| Ok(OrganizationId::from_bytes(rows::id(row, "organization_id")?));
        let mut organizations: Vec<_> = found
            .iter()
            .map(organization)
            .collect::<Result<_, StoreError>>()?;
        if organizations.is_empty() {
            organizations.push(INSTANCE);
        }
        let timed: Vec<_> = drafts.into_iter().map(|draft| (at, draft)).collect();
        let each = organizations.into_iter();
        Ok(each.map(|organization| (organization, timed.clone())).collect())
    }
}
