//! The audit log's chains: linking new entries to them, and where they end.
//!
//! A chain's head is locked last of all locks, and its entries are linked under that lock; so the entries of
//! one organization are in one order, whatever node wrote them.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::audit::{AuditPublicKey, Details, Draft, Entry, Head, chain};
use sendpromptly_core::id::{AuditId, OrganizationId};
use sendpromptly_core::time::Timestamp;

use super::retry::TRIES;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError, audit_keys};
use crate::platform::entropy;

/// Drafts on their way into the log, by organization, each with the time of its decision.
pub type Drafts = BTreeMap<OrganizationId, Vec<(Timestamp, Draft)>>;

const ORGANIZATIONS: &[Column] = &[Column::new("organization_id", Kind::Id)];

impl Store {
    /// Locks the heads of these organizations' chains and gives the statements that append the drafts. They
    /// must run in this transaction.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn chain_drafts(
        &self,
        tx: &DatabaseTransaction,
        drafts: &Drafts,
    ) -> Result<Vec<Sql>, StoreError> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let heads = self.lock_heads(tx, drafts).await?;
        let mut entries = Vec::new();
        let mut new_heads = Vec::new();
        for (organization, drafts) in drafts {
            let mut head = heads.get(organization).copied().unwrap_or(Head::EMPTY);
            for (at, draft) in drafts {
                let (new, next) = chain(*organization, head, [draft], *at, entropy::bytes);
                entries.extend(new);
                head = next;
            }
            new_heads.push((*organization, head));
        }
        Ok(vec![
            insert_entries(&entries),
            insert_details(&entries),
            put_heads(&new_heads),
        ])
    }

    /// A chain's first entry needs a head as well, or two who both find none would link to the same place.
    async fn lock_heads(
        &self,
        tx: &DatabaseTransaction,
        drafts: &Drafts,
    ) -> Result<BTreeMap<OrganizationId, Head>, StoreError> {
        let heads = self.lock_known_heads(tx, drafts).await?;
        let new = drafts
            .keys()
            .filter(|organization| !heads.contains_key(*organization));
        let new: Vec<_> = new.map(|organization| (*organization, Head::EMPTY)).collect();
        if new.is_empty() {
            return Ok(heads);
        }
        Sql::over(format!("{INSERT_HEADS} DO NOTHING"), head_rows(&new))
            .run(tx)
            .await?;
        self.lock_known_heads(tx, drafts).await
    }

    async fn lock_known_heads(
        &self,
        tx: &DatabaseTransaction,
        drafts: &Drafts,
    ) -> Result<BTreeMap<OrganizationId, Head>, StoreError> {
        let mut wanted = Rows::new(ORGANIZATIONS);
        for organization in drafts.keys() {
            wanted.push([organization.as_bytes().into()]);
        }
        let lock = self.dialect.for_update_of("h");
        let query = Sql::over(
            format!(
                "SELECT h.organization_id, h.seq, h.hash, h.at
                 FROM {{rows}} JOIN audit_heads h ON h.organization_id = r.organization_id
                 ORDER BY h.organization_id{lock}"
            ),
            wanted,
        );
        query
            .all(tx)
            .await?
            .iter()
            .map(|row| Ok((organization_of(row)?, head_of(row)?)))
            .collect()
    }

    /// The places of these organizations' heads; a chain without entries has none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn audit_seqs(
        &self,
        organizations: &[OrganizationId],
    ) -> Result<HashMap<OrganizationId, u64>, StoreError> {
        let mut wanted = Rows::new(ORGANIZATIONS);
        for organization in organizations {
            wanted.push([organization.as_bytes().into()]);
        }
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let query = Sql::over(
            "SELECT h.organization_id, h.seq FROM {rows}
             JOIN audit_heads h ON h.organization_id = r.organization_id",
            wanted,
        );
        let found = query.all(&self.reader).await?;
        found
            .iter()
            .map(|row| Ok((organization_of(row)?, seq_of(row, "seq")?)))
            .collect()
    }

    /// The heads of all chains that have entries.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn audit_heads(&self) -> Result<Vec<(OrganizationId, Head)>, StoreError> {
        let query =
            Sql::new("SELECT organization_id, seq, hash, at FROM audit_heads ORDER BY organization_id");
        let found = query.all(&self.reader).await?;
        found
            .iter()
            .map(|row| Ok((organization_of(row)?, head_of(row)?)))
            .collect()
    }

    /// The heads of the chains that have grown since their last checkpoint.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn heads_to_checkpoint(&self) -> Result<Vec<(OrganizationId, Head)>, StoreError> {
        let query = Sql::new(
            "SELECT organization_id, seq, hash, at FROM audit_heads WHERE seq > checkpoint_seq
             ORDER BY organization_id",
        );
        let found = query.all(&self.reader).await?;
        found
            .iter()
            .map(|row| Ok((organization_of(row)?, head_of(row)?)))
            .collect()
    }

    /// Whether a checkpoint of any chain was written.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn has_checkpoints(&self) -> Result<bool, StoreError> {
        let query = Sql::new("SELECT 1 AS found FROM audit_heads WHERE checkpoint_seq > 0 LIMIT 1");
        Ok(query.one(&self.reader).await?.is_some())
    }

    /// Notes up to where checkpoints were written, and by which key they were signed.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_checkpoints(
        &self,
        heads: &[(OrganizationId, Head)],
        key: &AuditPublicKey,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const COLUMNS: &[Column] = &[
            Column::new("organization_id", Kind::Id),
            Column::new("seq", Kind::Int),
        ];
        let mut rows = Rows::new(COLUMNS);
        for (organization, head) in heads {
            rows.push([organization.as_bytes().into(), seq_cell(head.seq)]);
        }
        let update = Sql::over(
            "UPDATE audit_heads SET checkpoint_seq = r.seq FROM {rows}
             WHERE audit_heads.organization_id = r.organization_id AND audit_heads.checkpoint_seq < r.seq",
            rows,
        );
        self.commit_together(vec![update, audit_keys::note(key, now)])
            .await
    }

    /// Commits these writes and the drafts that tell of them, all or nothing.
    ///
    /// # Errors
    /// [`StoreError`] by its cause; [`StoreError::Taken`] where a unique key of the writes is taken.
    pub async fn commit_audited(&self, writes: &[Sql], drafts: &Drafts) -> Result<(), StoreError> {
        let mut left = TRIES;
        loop {
            left -= 1;
            match self.try_commit_audited(writes, drafts).await {
                // Taken may also be a chain's first entry, which another process wrote in between.
                Err(StoreError::Again(_) | StoreError::Taken(_)) if left > 0 => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_commit_audited(&self, writes: &[Sql], drafts: &Drafts) -> Result<(), StoreError> {
        let tx = self.begin().await?;
        self.write_audited(&tx, writes.to_vec(), drafts).await?;
        Ok(tx.commit().await?)
    }

    /// Makes these writes, and then links the drafts that tell of them, in this transaction: what the writes lock
    /// is locked before the heads.
    ///
    /// # Errors
    /// [`StoreError`] by its cause; the transaction is then undone.
    pub async fn write_audited(
        &self,
        tx: &DatabaseTransaction,
        writes: Vec<Sql>,
        drafts: &Drafts,
    ) -> Result<(), StoreError> {
        rows::write_together(tx, writes).await?;
        let audit = self.chain_drafts(tx, drafts).await?;
        rows::write_together(tx, audit).await
    }
}

/// Drafts of one organization, all of one time.
#[must_use]
pub fn drafts_of(organization: OrganizationId, at: Timestamp, drafts: Vec<Draft>) -> Drafts {
    BTreeMap::from([(
        organization,
        drafts.into_iter().map(|draft| (at, draft)).collect(),
    )])
}

fn insert_entries(entries: &[Entry]) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("organization_id", Kind::Id),
        Column::new("seq", Kind::Int),
        Column::new("id", Kind::Id),
        Column::new("at", Kind::Int),
        Column::new("actor", Kind::Text),
        Column::new("action", Kind::Text),
        Column::new("target", Kind::Text),
        Column::new("commitment", Kind::Bytes),
        Column::new("prev", Kind::Bytes),
        Column::new("hash", Kind::Bytes),
    ];
    let mut rows = Rows::new(COLUMNS);
    for entry in entries {
        rows.push([
            entry.organization.as_bytes().into(),
            seq_cell(entry.seq),
            entry.id.as_bytes().into(),
            entry.at.into(),
            entry.actor.as_str().into(),
            entry.action.as_str().into(),
            entry.target.as_str().into(),
            entry.commitment.into(),
            entry.prev.into(),
            entry.hash.into(),
        ]);
    }
    Sql::over(
        "INSERT INTO audit_entries (organization_id, seq, id, at, actor, action, target, commitment, prev, hash)
         SELECT r.organization_id, r.seq, r.id, r.at, r.actor, r.action, r.target, r.commitment, r.prev, r.hash
         FROM {rows}",
        rows,
    )
}

fn insert_details(entries: &[Entry]) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("organization_id", Kind::Id),
        Column::new("seq", Kind::Int),
        Column::new("salt", Kind::Bytes),
        Column::new("details", Kind::Text),
    ];
    let mut rows = Rows::new(COLUMNS);
    for entry in entries {
        let Some(details) = &entry.details else { continue };
        rows.push([
            entry.organization.as_bytes().into(),
            seq_cell(entry.seq),
            details.salt.into(),
            details.text.as_str().into(),
        ]);
    }
    Sql::over(
        "INSERT INTO audit_details (organization_id, seq, salt, details)
         SELECT r.organization_id, r.seq, r.salt, r.details FROM {rows}",
        rows,
    )
}

const INSERT_HEADS: &str = "INSERT INTO audit_heads (organization_id, seq, hash, at, checkpoint_seq)
     SELECT r.organization_id, r.seq, r.hash, r.at, 0 FROM {rows} WHERE true ON CONFLICT (organization_id)";

fn put_heads(heads: &[(OrganizationId, Head)]) -> Sql {
    let update = "DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = excluded.at";
    Sql::over(format!("{INSERT_HEADS} {update}"), head_rows(heads))
}

fn head_rows(heads: &[(OrganizationId, Head)]) -> Rows {
    const COLUMNS: &[Column] = &[
        Column::new("organization_id", Kind::Id),
        Column::new("seq", Kind::Int),
        Column::new("hash", Kind::Bytes),
        Column::new("at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for (organization, head) in heads {
        rows.push([
            organization.as_bytes().into(),
            seq_cell(head.seq),
            head.hash.into(),
            head.at.into(),
        ]);
    }
    rows
}

pub(super) fn seq_cell(seq: u64) -> rows::Cell {
    rows::Cell::Int(i64::try_from(seq).unwrap_or(i64::MAX))
}

pub(super) fn seq_of(row: &QueryResult, column: &str) -> Result<u64, StoreError> {
    let seq: i64 = rows::get(row, column)?;
    u64::try_from(seq).map_err(|_| StoreError::Corrupt(format!("{seq} is no place in a chain")))
}

fn hash_of(row: &QueryResult, column: &str) -> Result<[u8; 32], StoreError> {
    let bytes: Vec<u8> = rows::get(row, column)?;
    bytes
        .try_into()
        .map_err(|_| StoreError::Corrupt(format!("{column} has not 32 bytes")))
}

fn organization_of(row: &QueryResult) -> Result<OrganizationId, StoreError> {
    Ok(OrganizationId::from_bytes(rows::id(row, "organization_id")?))
}

pub(super) fn head_of(row: &QueryResult) -> Result<Head, StoreError> {
    Ok(Head {
        seq: seq_of(row, "seq")?,
        hash: hash_of(row, "hash")?,
        at: rows::time(row, "at")?,
    })
}

pub(super) fn entry_of(organization: OrganizationId, row: &QueryResult) -> Result<Entry, StoreError> {
    let text: Option<String> = rows::get(row, "details")?;
    let details = match text {
        Some(text) => Some(Details {
            salt: hash_of(row, "salt")?,
            text,
        }),
        None => None,
    };
    Ok(Entry {
        organization,
        seq: seq_of(row, "seq")?,
        id: AuditId::from_bytes(rows::id(row, "id")?),
        at: rows::time(row, "at")?,
        actor: rows::get(row, "actor")?,
        action: rows::get(row, "action")?,
        target: rows::get(row, "target")?,
        commitment: hash_of(row, "commitment")?,
        prev: hash_of(row, "prev")?,
        hash: hash_of(row, "hash")?,
        details,
    })
}

#[cfg(test)]
mod tests;
