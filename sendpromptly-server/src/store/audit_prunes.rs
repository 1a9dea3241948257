//! Pruning of the audit log: entries whose time is over go from the old end of a chain, and a signed checkpoint
//! stands where they ended. What is proven and signed before is in `retention/audit.rs`.

use sendpromptly_core::audit::{ExportLine, SignedCheckpoint};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use super::audit::{seq_cell, seq_of};
use super::rows::{self, Sql};
use super::{Store, StoreError};

/// A chain whose oldest entries are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldPart {
    /// Whose chain.
    pub organization: OrganizationId,
    /// Its first stored entry.
    pub first: u64,
    /// The last entry that is over; `None` where entries are missing between, so that it cannot be told.
    pub last: Option<u64>,
}

impl OldPart {
    /// How many entries are over.
    #[must_use]
    pub const fn count(&self) -> u64 {
        match self.last {
            Some(last) => (last + 1).saturating_sub(self.first),
            None => 0,
        }
    }
}

impl Store {
    /// The first chains, at most `most` of them, behind this one that have entries of before this time.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn chains_to_prune(
        &self,
        before: Timestamp,
        behind: Option<OrganizationId>,
        most: u32,
    ) -> Result<Vec<OldPart>, StoreError> {
        let bound = behind.map_or("", |_| "WHERE h.organization_id > {}");
        let mut query = Sql::new(format!(
            "SELECT f.organization_id, f.seq
             FROM (SELECT h.organization_id,
                    (SELECT min(x.seq) FROM audit_entries x WHERE x.organization_id = h.organization_id) AS seq
                   FROM audit_heads h {bound}) f
             JOIN audit_entries e ON e.organization_id = f.organization_id AND e.seq = f.seq
             WHERE e.at < {{}} ORDER BY f.organization_id LIMIT {{}}"
        ));
        if let Some(behind) = behind {
            query = query.bind(behind.as_bytes());
        }
        let mut parts = Vec::new();
        for row in query.bind(before).bind(most).all(&self.reader).await? {
            let organization = OrganizationId::from_bytes(rows::id(&row, "organization_id")?);
            let first_kept = self.place_in_time(organization, before).await?;
            parts.push(OldPart {
                organization,
                first: seq_of(&row, "seq")?,
                last: first_kept.map(|seq| seq.saturating_sub(1)),
            });
        }
        Ok(parts)
    }

    /// Drops the entries of a chain from its first one up to where this checkpoint stands, which must be on disk
    /// already; gives how many. None where the chain begins elsewhere by now: another node was faster.
    ///
    /// # Errors
    /// [`StoreError`] by its cause; nothing is dropped then.
    pub async fn prune_entries(&self, first: u64, upto: &SignedCheckpoint) -> Result<u64, StoreError> {
        let organization = upto.checkpoint.organization.as_bytes();
        let last = upto.checkpoint.seq;
        let tx = self.begin().await?;
        let lock = self.dialect.for_update_of("h");
        let head = Sql::new(format!(
            "SELECT h.seq FROM audit_heads h WHERE h.organization_id = {{}}{lock}"
        ));
        head.bind(organization).one(&tx).await?;
        // In a statement of its own: on PostgreSQL it then sees what another node has done until it got the lock.
        let begin =
            Sql::new("SELECT coalesce(min(seq), 0) AS seq FROM audit_entries WHERE organization_id = {}");
        let begin = begin.bind(organization).one(&tx).await?;
        if begin.map_or(Ok(0), |row| seq_of(&row, "seq"))? != first {
            tx.rollback().await?;
            return Ok(0);
        }
        let allow = Sql::new("INSERT INTO audit_prunes (organization_id, seq) VALUES ({}, {})");
        allow.bind(organization).bind(seq_cell(last)).run(&tx).await?;
        let mut dropped = 0;
        for table in ["audit_details", "audit_entries"] {
            let delete = Sql::new(format!(
                "DELETE FROM {table} WHERE organization_id = {{}} AND seq <= {{}}"
            ));
            dropped = delete.bind(organization).bind(seq_cell(last)).run(&tx).await?;
        }
        let forbid = Sql::new("DELETE FROM audit_prunes WHERE organization_id = {}");
        forbid.bind(organization).run(&tx).await?;
        let note = Sql::new(
            "UPDATE audit_heads SET pruned_seq = {}, prune_checkpoint = {} WHERE organization_id = {}",
        );
        note.bind(seq_cell(last))
            .bind(ExportLine::Checkpoint(*upto).to_json())
            .bind(organization)
            .run(&tx)
            .await?;
        tx.commit().await?;
        Ok(dropped)
    }
}
