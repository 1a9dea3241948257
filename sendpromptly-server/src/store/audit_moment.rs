//! A chain of the audit log, read as it is now or as it was at the moment of an export.

use sendpromptly_core::audit::{Entry, Head, SignedCheckpoint};
use sendpromptly_core::id::OrganizationId;

use super::audit::{read_entries, read_head};
use super::audit_prunes::read_prune_checkpoint;
use super::takeout::Takeout;
use super::{Store, StoreError};

/// As of when a chain is read.
#[derive(Debug)]
pub enum Moment<'a> {
    /// As it is whenever it is read.
    Now(Store),
    /// As it was when this was begun.
    Of(&'a Takeout),
}

impl Moment<'_> {
    /// The head of a chain.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn audit_head(&self, organization: OrganizationId) -> Result<Head, StoreError> {
        match self {
            Self::Now(store) => store.audit_head(organization).await,
            Self::Of(takeout) => read_head(takeout.transaction(), organization).await,
        }
    }

    /// The entries of a chain after this place, in order, at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn audit_entries(
        &self,
        organization: OrganizationId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        match self {
            Self::Now(store) => store.audit_entries(organization, after, limit).await,
            Self::Of(takeout) => read_entries(takeout.transaction(), organization, after, limit).await,
        }
    }

    /// The checkpoint on which a chain's last pruning ended.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn prune_checkpoint(
        &self,
        organization: OrganizationId,
    ) -> Result<Option<SignedCheckpoint>, StoreError> {
        match self {
            Self::Now(store) => store.prune_checkpoint(organization).await,
            Self::Of(takeout) => read_prune_checkpoint(takeout.transaction(), organization).await,
        }
    }
}
