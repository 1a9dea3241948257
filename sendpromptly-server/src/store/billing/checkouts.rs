//! Where an organization is about to subscribe: at one checkout at a time.

use sea_orm::QueryResult;
use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::time::Timestamp;

use crate::store::audit::drafts_of;
use crate::store::retry::retried;
use crate::store::rows::{self, Sql};
use crate::store::scope::OrganizationScope;
use crate::store::{Store, StoreError};

/// A checkout of Stripe's, by which an organization subscribes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCheckout {
    /// Stripe's id of it; earlier versions noted none.
    pub session: Option<String>,
    /// The address of its page.
    pub url: String,
    /// Up to when it can be paid there.
    pub expires_at: Timestamp,
}

impl Store {
    /// Notes the checkout at which somebody goes on to subscribe an organization, in place of the one that was begun
    /// before, and tells the audit log. `false` where nothing was noted: the organization is subscribed, or somebody
    /// else has begun another one.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn begin_checkout(
        &self,
        scope: OrganizationScope,
        before: Option<&OpenCheckout>,
        checkout: &OpenCheckout,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retried(|| self.try_begin_checkout(scope, before, checkout, origin, now)).await
    }

    async fn try_begin_checkout(
        &self,
        scope: OrganizationScope,
        before: Option<&OpenCheckout>,
        checkout: &OpenCheckout,
        origin: &Origin,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tx = self.begin().await?;
        let note = Sql::new(
            "UPDATE organizations SET checkout_session = {}, checkout_url = {}, checkout_expires_at = {}
             WHERE id = {}
             AND (subscription_status IS NULL OR subscription_status IN ('canceled', 'incomplete'))
             AND COALESCE(checkout_url, '') IN ({}, {})",
        );
        let note = note.bind(checkout.session.as_deref()).bind(checkout.url.as_str());
        let note = note.bind(checkout.expires_at).bind(scope.as_bytes());
        let note = note
            .bind(before.map_or("", |before| before.url.as_str()))
            .bind(checkout.url.as_str());
        if note.run(&tx).await? == 0 {
            tx.rollback().await?;
            return Ok(false);
        }
        let draft = Draft::new(origin, Action::CheckoutStarted, scope.id(), &[]);
        let drafts = drafts_of(scope.id(), now, vec![draft]);
        self.write_audited(&tx, Vec::new(), &drafts).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The checkout that is noted in an organization's row.
pub(super) fn open_checkout(row: &QueryResult) -> Result<Option<OpenCheckout>, StoreError> {
    let session = rows::get(row, "checkout_session")?;
    let url: Option<String> = rows::get(row, "checkout_url")?;
    let expires_at = rows::optional_time(row, "checkout_expires_at")?;
    Ok(url.zip(expires_at).map(|(url, expires_at)| OpenCheckout {
        session,
        url,
        expires_at,
    }))
}
