//! What was answered under an Idempotency-Key, kept for 24 hours.

use std::collections::HashMap;

use sendpromptly_core::dedupe::{Fingerprint, IDEMPOTENCY_KEPT};
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;

use super::old_rows::OldRows;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

/// Names a key inside its project: the project, and the digest of the key.
pub type KeyName = (ProjectId, [u8; 16]);

/// The answer that was given under a key.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// What was asked.
    pub fingerprint: Fingerprint,
    /// The body of the 202.
    pub answer: String,
    /// When.
    pub created_at: Timestamp,
}

/// An answer to remember.
#[derive(Debug, Clone)]
pub struct NewAnswer<'a> {
    /// The key.
    pub key: KeyName,
    /// What was asked.
    pub fingerprint: &'a Fingerprint,
    /// The body of the 202.
    pub answer: &'a str,
    /// When.
    pub created_at: Timestamp,
}

const KEYS: &[Column] = &[
    Column::new("project_id", Kind::Id),
    Column::new("key_digest", Kind::Id),
];

fn key_rows(keys: impl IntoIterator<Item = KeyName>) -> Rows {
    let mut rows = Rows::new(KEYS);
    for (project, digest) in keys {
        rows.push([project.as_bytes().into(), digest.into()]);
    }
    rows
}

impl Store {
    /// The answers given under these keys, those older than 24 hours too as long as they are stored.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn remembered(
        &self,
        keys: impl IntoIterator<Item = KeyName>,
    ) -> Result<HashMap<KeyName, Remembered>, StoreError> {
        let query = Sql::over(
            "SELECT i.project_id, i.key_digest, i.fingerprint, i.answer, i.created_at FROM {rows}
             JOIN idempotency i ON i.project_id = r.project_id AND i.key_digest = r.key_digest",
            key_rows(keys),
        );
        let mut found = HashMap::new();
        for row in query.all(&self.reader).await? {
            let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
            let fingerprint: Vec<u8> = rows::get(&row, "fingerprint")?;
            let fingerprint = fingerprint
                .try_into()
                .map_err(|_| StoreError::Corrupt("a fingerprint has 32 bytes".to_owned()))?;
            let remembered = Remembered {
                fingerprint: Fingerprint::from_bytes(fingerprint),
                answer: rows::get(&row, "answer")?,
                created_at: rows::time(&row, "created_at")?,
            };
            found.insert((project, rows::id(&row, "key_digest")?), remembered);
        }
        Ok(found)
    }
}

/// The answers that were given more than 24 hours ago.
#[must_use]
pub fn old_answers(now: Timestamp) -> OldRows {
    OldRows::up_to("idempotency", "created_at", expired_before(now))
}

/// Answers given at this time or earlier are no longer remembered.
fn expired_before(now: Timestamp) -> Timestamp {
    now.minus(IDEMPOTENCY_KEPT)
}

/// Makes room under keys whose answers are over 24 hours old.
#[must_use]
pub fn drop_expired(keys: impl IntoIterator<Item = KeyName>, now: Timestamp) -> Sql {
    Sql::over(
        "DELETE FROM idempotency WHERE created_at <= {} AND (project_id, key_digest) IN
         (SELECT r.project_id, r.key_digest FROM {rows})",
        key_rows(keys),
    )
    .bind(expired_before(now))
}

/// Remembers these answers. A key that is taken fails the whole statement.
#[must_use]
pub fn remember<'a>(answers: impl IntoIterator<Item = NewAnswer<'a>>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("key_digest", Kind::Id),
        Column::new("fingerprint", Kind::Bytes),
        Column::new("answer", Kind::Text),
        Column::new("created_at", Kind::Int),
    ];
    let mut rows = Rows::new(COLUMNS);
    for NewAnswer {
        key: (project, digest),
        fingerprint,
        answer,
        created_at,
    } in answers
    {
        rows.push([
            project.as_bytes().into(),
            digest.into(),
            fingerprint.as_bytes().into(),
            answer.into(),
            created_at.into(),
        ]);
    }
    Sql::over(
        "INSERT INTO idempotency (project_id, key_digest, fingerprint, answer, created_at)
         SELECT r.project_id, r.key_digest, r.fingerprint, r.answer, r.created_at FROM {rows}",
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Dialect;
    use crate::testing::{NOW, World};

    #[tokio::test]
    async fn room_is_made_under_the_keys_at_hand_and_not_looked_for_among_all_that_is_old() {
        let world = World::set_up().await;
        if world.store.dialect == Dialect::Postgres {
            return; // it weighs
        }
        let drop = drop_expired([(world.project, [1; 16])], NOW);
        let plan = drop.plan(world.store.reader()).await;
        assert!(plan.contains("(project_id=? AND key_digest=?)"), "{plan}");
    }
}
