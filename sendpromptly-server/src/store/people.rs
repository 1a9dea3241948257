//! Users by name: their e-mail addresses, for pages that tell who did something.

use std::collections::HashMap;

use sendpromptly_core::id::UserId;

use super::rows::{self, Column, Kind, Rows, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError};

impl Store {
    /// What to call those among these users who are members of the organization, by their e-mail addresses, and
    /// those who are deleted, who have none.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn names_of(
        &self,
        scope: OrganizationScope,
        users: impl IntoIterator<Item = UserId>,
    ) -> Result<HashMap<UserId, String>, StoreError> {
        const COLUMNS: &[Column] = &[Column::new("id", Kind::Id)];
        let mut wanted = Rows::new(COLUMNS);
        for user in users {
            wanted.push([user.as_bytes().into()]);
        }
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let query = Sql::over(
            "SELECT r.id, u.email FROM {rows}
             LEFT JOIN users u ON u.id = r.id
             LEFT JOIN members m ON m.organization_id = {} AND m.user_id = r.id
             WHERE m.user_id IS NOT NULL OR u.id IS NULL",
            wanted,
        );
        let found = query.bind(scope.as_bytes()).all(&self.reader).await?;
        let of = |row| {
            let user = UserId::from_bytes(rows::id(row, "id")?);
            let email: Option<String> = rows::get(row, "email")?;
            Ok((user, email.unwrap_or_else(|| format!("deleted user ({user})"))))
        };
        found.iter().map(of).collect()
    }

    /// The user whose e-mail address has this key.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn user_of_email(&self, key: &str) -> Result<Option<UserId>, StoreError> {
        let query = Sql::new("SELECT id FROM users WHERE email_key = {}");
        let row = query.bind(key).one(&self.reader).await?;
        row.map(|row| Ok(UserId::from_bytes(rows::id(&row, "id")?)))
            .transpose()
    }

    /// The e-mail addresses of an organization's members, at most so many.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn member_addresses(
        &self,
        scope: OrganizationScope,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let query = Sql::new(format!(
            "SELECT u.email FROM members m JOIN users u ON u.id = m.user_id
             WHERE m.organization_id = {{}} ORDER BY u.email LIMIT {limit}"
        ));
        let found = query.bind(scope.as_bytes()).all(&self.reader).await?;
        found.iter().map(|row| rows::get(row, "email")).collect()
    }
}
