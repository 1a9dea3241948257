//! An organization's chain of the audit log, read as it is now or as it was at the moment of a takeout.

use sea_orm::DatabaseExecutor;
use sendpromptly_core::audit::{Entry, ExportLine, Head, SignedCheckpoint};
use sendpromptly_core::id::OrganizationId;

use super::audit::{entry_of, head_of, seq_cell};
use super::rows::{self, Sql};
use super::takeout::Takeout;
use super::{Store, StoreError};

/// A chain, for reading.
#[derive(Debug)]
pub struct Chain<'a> {
    on: DatabaseExecutor<'a>,
    organization: OrganizationId,
}

impl Store {
    /// The chain of an organization, as it is whenever it is read.
    #[must_use]
    pub fn chain(&self, organization: OrganizationId) -> Chain<'_> {
        Chain {
            on: self.reader().into(),
            organization,
        }
    }
}

impl Takeout {
    /// The organization's chain, as it was when the takeout was begun.
    #[must_use]
    pub fn chain(&self) -> Chain<'_> {
        Chain {
            on: self.transaction().into(),
            organization: self.organization(),
        }
    }
}

impl Chain<'_> {
    /// Whose it is.
    #[must_use]
    pub const fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// Where it ends.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn head(&self) -> Result<Head, StoreError> {
        let query = Sql::new("SELECT seq, hash, at FROM audit_heads WHERE organization_id = {}");
        let row = query.bind(self.organization.as_bytes()).one(&self.on).await?;
        row.as_ref().map_or(Ok(Head::EMPTY), head_of)
    }

    /// The entries after this place, in order, at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn entries(&self, after: u64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let query = Sql::new(format!(
            "SELECT e.seq, e.id, e.at, e.actor, e.action, e.target, e.commitment, e.prev, e.hash, d.salt, d.details
             FROM audit_entries e
             LEFT JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
             WHERE e.organization_id = {{}} AND e.seq > {{}} ORDER BY e.seq LIMIT {limit}"
        ));
        let query = query.bind(self.organization.as_bytes()).bind(seq_cell(after));
        let found = query.all(&self.on).await?;
        found.iter().map(|row| entry_of(self.organization, row)).collect()
    }

    /// The checkpoint on which its last pruning ended, as it is stored: whoever reads it checks its signature.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn prune_checkpoint(&self) -> Result<Option<SignedCheckpoint>, StoreError> {
        let query = Sql::new("SELECT prune_checkpoint FROM audit_heads WHERE organization_id = {}");
        let row = query.bind(self.organization.as_bytes()).one(&self.on).await?;
        let line: Option<String> = row.map_or(Ok(None), |row| rows::get(&row, "prune_checkpoint"))?;
        Ok(line.and_then(|line| match ExportLine::parse(&line) {
            Ok(ExportLine::Checkpoint(signed)) => Some(signed),
            _ => None,
        }))
    }
}
