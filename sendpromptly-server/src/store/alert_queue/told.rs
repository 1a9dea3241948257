//! Forgetting news that nobody is still to be told.

use crate::store::rows::{self, Column, Kind, Rows, Sql};
use crate::store::{Store, StoreError};

/// News that are forgotten together.
const BATCH: usize = 200;

const KEYS: &[Column] = &[
    Column::new("project_id", Kind::Id),
    Column::new("escalation", Kind::Int),
    Column::new("number", Kind::Int),
];

impl Store {
    /// Forgets news that every destination of theirs was told, or that have none any more, once that is noted; a batch at
    /// most. Gives whether there may be more.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn forget_told_news(&self) -> Result<bool, StoreError> {
        let over = Sql::new(format!(
            "SELECT n.project_id, n.escalation, n.number FROM alert_news n WHERE NOT EXISTS
                (SELECT 1 FROM alert_destinations d
                 WHERE d.project_id = n.project_id AND d.escalation = n.escalation AND d.told_to < n.number)
                AND NOT EXISTS (SELECT 1 FROM told_messages m WHERE m.project_id = n.project_id
                    AND m.escalation = n.escalation AND m.noted_to < n.number AND m.told_to >= n.number)
             LIMIT {BATCH}"
        ));
        let found = over.all(&self.reader).await?;
        let mut keys = Rows::new(KEYS);
        for row in &found {
            let number: i64 = rows::get(row, "number")?;
            keys.push([
                rows::id(row, "project_id")?.into(),
                rows::count(row, "escalation")?.into(),
                number.into(),
            ]);
        }
        if keys.is_empty() {
            return Ok(false);
        }
        let forget = Sql::over(
            "DELETE FROM alert_news WHERE (project_id, escalation, number) IN
                (SELECT r.project_id, r.escalation, r.number FROM {rows})",
            keys,
        );
        let tx = self.begin().await?;
        forget.run(&tx).await?;
        tx.commit().await?;
        Ok(found.len() >= BATCH)
    }
}
