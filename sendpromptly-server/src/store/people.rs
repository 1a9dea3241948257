//! Users by name: their e-mail addresses, for pages that tell who did something.

use std::collections::HashMap;

use sendpromptly_core::id::UserId;

use super::rows::{self, Column, Kind, Rows, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError};

impl Store {
    /// The e-mail addresses of those among these users who are members of the organization.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn emails_of(
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
            "SELECT u.id, u.email FROM {rows} JOIN members m ON m.organization_id = {} AND m.user_id = r.id
             JOIN users u ON u.id = m.user_id",
            wanted,
        );
        let found = query.bind(scope.as_bytes()).all(&self.reader).await?;
        let of = |row| Ok((UserId::from_bytes(rows::id(row, "id")?), rows::get(row, "email")?));
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
