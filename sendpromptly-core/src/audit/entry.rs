//! Entries, each of which commits to the one before.

use sha2::{Digest, Sha256};

use super::Draft;
use crate::id::{AuditId, OrganizationId};
use crate::time::Timestamp;

/// What may have to be erased some day, apart from the chain, which only commits to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Random bytes, so that the commitment does not give short details away.
    pub salt: [u8; 32],
    /// A JSON object.
    pub text: String,
}

/// An entry of an organization's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose chain it is.
    pub organization: OrganizationId,
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// Its id.
    pub id: AuditId,
    /// When; never before the entry before it.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// The id of what it was done to.
    pub target: String,
    /// What the entry says of its details.
    pub commitment: [u8; 32],
    /// The hash of the entry before; zeros in the first.
    pub prev: [u8; 32],
    /// Its own hash.
    pub hash: [u8; 32],
    /// The details, unless they were erased.
    pub details: Option<Details>,
}

/// Where a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The last entry's place; 0 for an empty chain.
    pub seq: u64,
    /// The last entry's hash; zeros for an empty chain.
    pub hash: [u8; 32],
    /// The last entry's time.
    pub at: Timestamp,
}

impl Head {
    /// The head of a chain without entries.
    pub const EMPTY: Self = Self {
        seq: 0,
        hash: [0; 32],
        at: Timestamp::from_millis(i64::MIN),
    };
}

impl Details {
    /// What a chain holds in place of the details.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(b"sendpromptly.audit.details.v1\0")
            .chain_update(self.salt)
            .chain_update(self.text.as_bytes())
            .finalize()
            .into()
    }
}

impl Entry {
    /// The hash that its fields have.
    #[must_use]
    pub fn computed_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new()
            .chain_update(b"sendpromptly.audit.v1\0")
            .chain_update(self.organization.as_bytes())
            .chain_update(self.seq.to_be_bytes())
            .chain_update(self.prev)
            .chain_update(self.at.as_millis().to_be_bytes());
        for text in [&self.actor, &self.action, &self.target] {
            hash.update(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            hash.update(text.as_bytes());
        }
        hash.chain_update(self.commitment).finalize().into()
    }

    /// The head of a chain that ends with this entry.
    #[must_use]
    pub const fn as_head(&self) -> Head {
        Head {
            seq: self.seq,
            hash: self.hash,
            at: self.at,
        }
    }
}

/// Links drafts to the end of a chain; gives the entries and the chain's new head. `entropy` is asked for 42
/// random bytes an entry: a salt, and ten for its id.
pub fn chain<'a>(
    organization: OrganizationId,
    head: Head,
    drafts: impl IntoIterator<Item = &'a Draft>,
    now: Timestamp,
    mut entropy: impl FnMut() -> [u8; 42],
) -> (Vec<Entry>, Head) {
    let mut head = head;
    let mut entries = Vec::new();
    for draft in drafts {
        let random = entropy();
        let details = Details {
            salt: std::array::from_fn(|index| random[index]),
            text: draft.details.clone(),
        };
        let at = now.max(head.at);
        let mut entry = Entry {
            organization,
            seq: head.seq + 1,
            id: AuditId::new(at, std::array::from_fn(|index| random[32 + index])),
            at,
            actor: draft.actor.to_string(),
            action: draft.action.as_str().to_owned(),
            target: draft.target.clone(),
            commitment: details.commitment(),
            prev: head.hash,
            hash: [0; 32],
            details: Some(details),
        };
        entry.hash = entry.computed_hash();
        head = entry.as_head();
        entries.push(entry);
    }
    (entries, head)
}
