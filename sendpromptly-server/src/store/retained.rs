//! When retention last began.

use sendpromptly_core::time::Timestamp;

use super::rows::{self, Sql};
use super::{Store, StoreError};

impl Store {
    /// When retention last began; `None` before it ever did.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn retained_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = Sql::new("SELECT at FROM retained WHERE one = 1");
        let row = query.one(&self.reader).await?;
        row.map(|row| rows::time(&row, "at")).transpose()
    }

    /// Notes that retention begins.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn note_retained(&self, at: Timestamp) -> Result<(), StoreError> {
        let note = Sql::new(
            "INSERT INTO retained (one, at) VALUES (1, {}) ON CONFLICT (one) DO UPDATE SET at = excluded.at",
        );
        self.commit_together(vec![note.bind(at)]).await
    }
}
