//! Which keys have signed checkpoints. It proves nothing, for who writes the database can write this; it tells of a key
//! that was lost or put in another's place by mistake.

use sendpromptly_core::audit::AuditPublicKey;
use sendpromptly_core::time::Timestamp;

use super::rows::{self, Sql};
use super::{Store, StoreError};

impl Store {
    /// The public halves of the keys that have signed checkpoints of this store, the one used last first, in hex
    /// digits.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn audit_keys(&self) -> Result<Vec<String>, StoreError> {
        let query = Sql::new("SELECT public_key FROM audit_keys ORDER BY last_used_at DESC, public_key");
        let found = query.all(&self.reader).await?;
        found.iter().map(|row| rows::get(row, "public_key")).collect()
    }
}

/// Notes that this key has signed a checkpoint.
pub(super) fn note(key: &AuditPublicKey, at: Timestamp) -> Sql {
    let note = Sql::new(
        "INSERT INTO audit_keys (public_key, last_used_at) VALUES ({}, {})
         ON CONFLICT (public_key) DO UPDATE SET last_used_at = excluded.last_used_at",
    );
    note.bind(key.to_hex()).bind(at)
}
