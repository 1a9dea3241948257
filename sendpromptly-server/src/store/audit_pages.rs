//! The audit log a page at a time, newest first, filtered by who, what, to what and when.
//!
//! Places in a chain and times rise together, so a time is turned into a place once, by halving, and needs no
//! index. One filter goes by its index. With several, the index of the first is read, so many entries at most;
//! where that was not enough, the page says how far it has looked.

use sendpromptly_core::audit::{Entry, Head};
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::time::Timestamp;

use super::audit::{entry_of, head_of, seq_cell, seq_of};
use super::rows::Sql;
use super::scope::OrganizationScope;
use super::{Store, StoreError};

#[cfg(test)]
mod tests;

/// Entries that a page looks at, where it cannot go by one index alone.
const LOOKED_AT: u32 = if cfg!(test) { 50 } else { 5_000 };

/// Which entries to give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those of this actor.
    pub actor: Option<String>,
    /// Only those of this action.
    pub action: Option<String>,
    /// Only those that were done to this.
    pub target: Option<String>,
    /// Only those of this time or later.
    pub from: Option<Timestamp>,
    /// Only those before this time.
    pub to: Option<Timestamp>,
}

/// Which part of them to give.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery {
    /// Only those before this place in the chain.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// A page of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries, newest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there is more to look at.
    pub next: Option<u64>,
    /// Whether the page ends because it has looked at enough, not because it is full.
    pub cut: bool,
}

/// How an organization's chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditStanding {
    /// Where it ends.
    pub head: Head,
    /// The last entry that a signed checkpoint outside the database vouches for; 0 before the first.
    pub signed: u64,
    /// The last entry that was dropped when its time was over; 0 before the first.
    pub pruned: u64,
}

impl AuditStanding {
    /// How many entries are stored.
    #[must_use]
    pub const fn stored(&self) -> u64 {
        self.head.seq.saturating_sub(self.pruned)
    }
}

/// A column that an index leads to, and the value that it must have.
type Wanted<'a> = (&'static str, &'static str, &'a str);

impl AuditFilter {
    /// What is wanted of columns; the one whose index is read stands first.
    fn wanted(&self) -> Vec<Wanted<'_>> {
        let columns = [
            ("target", "audit_entries_by_target", &self.target),
            ("actor", "audit_entries_by_actor", &self.actor),
            ("action", "audit_entries_by_action", &self.action),
        ];
        let wanted = columns.into_iter();
        wanted
            .filter_map(|(column, index, value)| Some((column, index, value.as_deref()?)))
            .collect()
    }
}

impl Store {
    /// How an organization's chain stands.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn audit_standing(&self, scope: OrganizationScope) -> Result<AuditStanding, StoreError> {
        let query = Sql::new(
            "SELECT seq, hash, at, checkpoint_seq, pruned_seq FROM audit_heads WHERE organization_id = {}",
        );
        let row = query.bind(scope.as_bytes()).one(&self.reader).await?;
        let Some(row) = row else {
            return Ok(AuditStanding {
                head: Head::EMPTY,
                signed: 0,
                pruned: 0,
            });
        };
        Ok(AuditStanding {
            head: head_of(&row)?,
            signed: seq_of(&row, "checkpoint_seq")?,
            pruned: seq_of(&row, "pruned_seq")?,
        })
    }

    /// A page of an organization's entries.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn audit_page(
        &self,
        scope: OrganizationScope,
        filter: &AuditFilter,
        page: PageQuery,
    ) -> Result<AuditPage, StoreError> {
        let (first, end) = tokio::try_join!(
            self.place_of_bound(scope, filter.from),
            self.place_of_bound(scope, filter.to)
        )?;
        let wanted = filter.wanted();
        let places = (
            first.unwrap_or(0),
            end.unwrap_or(u64::MAX).min(page.before.unwrap_or(u64::MAX)),
        );
        let mut entries = self.entries_like(scope, &wanted, places, page.limit + 1).await?;
        if entries.len() > page.limit as usize {
            entries.truncate(page.limit as usize);
            let next = entries.last().map(|entry| entry.seq);
            return Ok(AuditPage {
                entries,
                next,
                cut: false,
            });
        }
        let next = self.looked_back_to(scope, &wanted, places).await?;
        Ok(AuditPage {
            entries,
            next,
            cut: next.is_some(),
        })
    }

    async fn place_of_bound(
        &self,
        scope: OrganizationScope,
        at: Option<Timestamp>,
    ) -> Result<Option<u64>, StoreError> {
        match at {
            Some(at) => self.place_in_time(scope.id(), at).await,
            None => Ok(None),
        }
    }

    /// The place of the first entry of this time or later, or after the last one. `None` for a chain that has no
    /// head, or where entries are missing. One query halves the chain until it is found.
    pub(super) async fn place_in_time(
        &self,
        organization: OrganizationId,
        at: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let query = Sql::new(
            "WITH RECURSIVE part(low, high) AS (
                SELECT coalesce((SELECT min(e.seq) FROM audit_entries e WHERE e.organization_id = h.organization_id),
                        h.seq + 1), h.seq + 1
                FROM audit_heads h WHERE h.organization_id = {}
                UNION ALL
                SELECT CASE WHEN m.at < {} THEN m.seq + 1 ELSE part.low END,
                    CASE WHEN m.at < {} THEN part.high ELSE m.seq END
                FROM part JOIN audit_entries m ON m.organization_id = {} AND m.seq = (part.low + part.high) / 2
                WHERE part.low < part.high)
             SELECT low AS seq FROM part WHERE low >= high",
        );
        let query = query
            .bind(organization.as_bytes())
            .bind(at)
            .bind(at)
            .bind(organization.as_bytes());
        let row = query.one(&self.reader).await?;
        row.map(|row| seq_of(&row, "seq")).transpose()
    }

    /// The newest entries from one place to before another that are as wanted.
    async fn entries_like(
        &self,
        scope: OrganizationScope,
        wanted: &[Wanted<'_>],
        places: (u64, u64),
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        let (inner, inner_limit) = self.looked_at(wanted, "*", limit);
        let rest: String = wanted
            .iter()
            .skip(1)
            .map(|(column, ..)| format!(" AND e.{column} = {{}}"))
            .collect();
        let mut query = Sql::new(format!(
            "SELECT e.seq, e.id, e.at, e.actor, e.action, e.target, e.commitment, e.prev, e.hash, d.salt, d.details
             FROM ({inner} LIMIT {inner_limit}) e
             LEFT JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
             WHERE true{rest} ORDER BY e.seq DESC LIMIT {limit}"
        ));
        query = bind_looked_at(query, scope, wanted, places);
        for (_, _, value) in wanted.iter().skip(1) {
            query = query.bind(*value);
        }
        let found = query.all(&self.reader).await?;
        found.iter().map(|row| entry_of(scope.id(), row)).collect()
    }

    /// Where to go on looking, where not every entry has been looked at.
    async fn looked_back_to(
        &self,
        scope: OrganizationScope,
        wanted: &[Wanted<'_>],
        places: (u64, u64),
    ) -> Result<Option<u64>, StoreError> {
        if wanted.len() < 2 {
            return Ok(None);
        }
        let (inner, _) = self.looked_at(wanted, "seq", 0);
        // The last of those that were looked at, where another one follows it.
        let query = Sql::new(format!("{inner} LIMIT 2 OFFSET {}", LOOKED_AT - 1));
        let found = bind_looked_at(query, scope, wanted, places)
            .all(&self.reader)
            .await?;
        match found.as_slice() {
            [last, _] => seq_of(last, "seq").map(Some),
            _ => Ok(None),
        }
    }

    /// The query for the entries that are looked at, newest first, and how many they are. Its values are bound by
    /// [`bind_looked_at`].
    fn looked_at(&self, wanted: &[Wanted<'_>], columns: &str, limit: u32) -> (String, u32) {
        let (index, condition) = match wanted.first() {
            Some((column, index, _)) => (self.dialect.by_index(index), format!(" AND {column} = {{}}")),
            None => (String::new(), String::new()),
        };
        let limit = if wanted.len() < 2 { limit } else { LOOKED_AT };
        let query = format!(
            "SELECT {columns} FROM audit_entries{index}
             WHERE organization_id = {{}} AND seq >= {{}} AND seq < {{}}{condition} ORDER BY seq DESC"
        );
        (query, limit)
    }
}

fn bind_looked_at(query: Sql, scope: OrganizationScope, wanted: &[Wanted<'_>], places: (u64, u64)) -> Sql {
    let query = query.bind(scope.as_bytes());
    let query = query.bind(seq_cell(places.0)).bind(seq_cell(places.1));
    match wanted.first() {
        Some((_, _, value)) => query.bind(*value),
        None => query,
    }
}
