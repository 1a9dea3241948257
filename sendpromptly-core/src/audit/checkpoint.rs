//! Checkpoints: what a chain was at a time, signed with Ed25519 (RFC 8032) by a key outside the database.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::Head;
use crate::event::words;
use crate::hex;
use crate::id::OrganizationId;
use crate::time::Timestamp;

words! {
    /// Why a checkpoint was made.
    CheckpointKind {
        /// Once an hour, at a stop, at the end of an export.
        Periodic = "periodic",
        /// Entries up to this one were pruned.
        Prune = "prune",
        /// A restore went back to this entry.
        Restore = "restore",
    }
}

/// What a chain was at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose chain it is.
    pub organization: OrganizationId,
    /// Why it was made.
    pub kind: CheckpointKind,
    /// How many entries the chain had had.
    pub seq: u64,
    /// The hash of the last one.
    pub head: [u8; 32],
    /// When the checkpoint was made.
    pub at: Timestamp,
}

/// A checkpoint with its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The signature's 64 bytes.
    pub signature: [u8; 64],
}

/// The key that signs checkpoints. It does not print, and is wiped when dropped.
#[derive(Clone)]
pub struct AuditKey(SigningKey);

/// The key that checks them. Whoever verifies keeps a copy of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuditPublicKey(VerifyingKey);

impl Checkpoint {
    /// The checkpoint of a chain that ends here.
    #[must_use]
    pub const fn new(organization: OrganizationId, kind: CheckpointKind, head: Head, at: Timestamp) -> Self {
        Self {
            organization,
            kind,
            seq: head.seq,
            head: head.hash,
            at,
        }
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let kind = self.kind.as_str().as_bytes();
        [
            b"sendpromptly.audit.checkpoint.v1\0".as_slice(),
            self.organization.as_bytes(),
            &u32::try_from(kind.len()).unwrap_or(u32::MAX).to_be_bytes(),
            kind,
            &self.seq.to_be_bytes(),
            &self.head,
            &self.at.as_millis().to_be_bytes(),
        ]
        .concat()
    }
}

impl AuditKey {
    /// The key of this seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The key that checks what this one signs.
    #[must_use]
    pub fn public(&self) -> AuditPublicKey {
        AuditPublicKey(self.0.verifying_key())
    }

    /// Signs a checkpoint.
    #[must_use]
    pub fn sign(&self, checkpoint: Checkpoint) -> SignedCheckpoint {
        let signature = self.0.sign(&checkpoint.signed_bytes()).to_bytes();
        SignedCheckpoint {
            checkpoint,
            signature,
        }
    }
}

impl AuditPublicKey {
    /// Reads 64 lower-case hex digits; `None` where they are no key.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        VerifyingKey::from_bytes(&hex::decode(digits)?).ok().map(Self)
    }

    /// 64 lower-case hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0.as_bytes())
    }

    /// Whether a checkpoint was signed by the key that belongs to this one.
    #[must_use]
    pub fn has_signed(&self, signed: &SignedCheckpoint) -> bool {
        let signature = Signature::from_bytes(&signed.signature);
        self.0
            .verify_strict(&signed.checkpoint.signed_bytes(), &signature)
            .is_ok()
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditKey(..)")
    }
}

impl fmt::Debug for AuditPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuditPublicKey({})", self.to_hex())
    }
}
