//! Organizations that let in only members with a second factor.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::id::UserId;
use sendpromptly_core::time::Timestamp;

use crate::store::rows::{self, Sql};
use crate::store::scope::OrganizationScope;
use crate::store::{Store, StoreError, audit};

/// How requiring a second factor, or no longer requiring one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requiring {
    /// It is so now.
    Done,
    /// It was so before.
    AlreadySo,
    /// The one who asks for it has no second factor.
    NoFactor,
}

impl Store {
    /// Lets in only members with a second factor, or again all of them. It holds on every node at once.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn require_second_factor(
        &self,
        scope: OrganizationScope,
        by: UserId,
        required: bool,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<Requiring, StoreError> {
        let tx = self.begin().await?;
        if required && !self.lock_second_factor(&tx, by).await? {
            return Ok(Requiring::NoFactor);
        }
        let update = Sql::new(
            "UPDATE organizations SET requires_second_factor = {} WHERE id = {} AND requires_second_factor <> {}",
        );
        let update = update.bind(required).bind(scope.as_bytes()).bind(required);
        if update.run(&tx).await? == 0 {
            return Ok(Requiring::AlreadySo);
        }
        let word = if required { "required" } else { "optional" };
        let more = [("second_factor", word)];
        let draft = Draft::new(origin, Action::OrganizationChanged, scope.id(), &more);
        let drafts = audit::drafts_of(scope.id(), now, vec![draft]);
        self.write_audited(&tx, Vec::new(), &drafts).await?;
        tx.commit().await?;
        Ok(Requiring::Done)
    }

    /// How many members of an organization have no second factor.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn members_without_second_factor(&self, scope: OrganizationScope) -> Result<u32, StoreError> {
        let query = Sql::new(
            "SELECT count(*) AS n FROM members m LEFT JOIN second_factors f ON f.user_id = m.user_id
             WHERE m.organization_id = {} AND f.user_id IS NULL",
        );
        let row = query.bind(scope.as_bytes()).one(&self.reader).await?;
        row.map_or(Ok(0), |row| rows::count(&row, "n"))
    }

    /// Whether an organization of the user requires a second factor.
    pub(super) async fn must_have_second_factor(
        &self,
        tx: &DatabaseTransaction,
        user: UserId,
    ) -> Result<bool, StoreError> {
        let query = Sql::new(
            "SELECT 1 AS found FROM members m JOIN organizations o ON o.id = m.organization_id
             WHERE m.user_id = {} AND o.requires_second_factor = 1 LIMIT 1",
        );
        Ok(query.bind(user.as_bytes()).one(tx).await?.is_some())
    }
}
