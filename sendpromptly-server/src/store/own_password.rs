//! A user's change of the own password.

use sendpromptly_core::audit::{Action, Draft, Origin};
use sendpromptly_core::time::Timestamp;

use super::known_devices::{self, DeviceDigest};
use super::rows::Sql;
use super::sessions::{self, SessionId, SessionToken};
use super::users::StoredUser;
use super::{Store, StoreError, links, second_factors};
use crate::account::link::LinkKind;

/// A change of a password, from the browser in which it is made.
#[derive(Debug)]
pub struct PasswordChange<'a> {
    /// The user, with the password that was checked.
    pub user: &'a StoredUser,
    /// The hash of the new password, in PHC form.
    pub hash: &'a str,
    /// The session, which goes on.
    pub session: SessionId,
    /// Its token from now on.
    pub token: &'a SessionToken,
    /// What is known of the browser; others are strangers from now on.
    pub device: Option<&'a DeviceDigest>,
    /// Who asks, and from where.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

impl Store {
    /// Changes a password: every other session ends, every other browser is a stranger again, links that were
    /// mailed are void, and these writes are made with it. Gives whether it was done; it is not where the password was changed since it was
    /// checked.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn change_password(
        &self,
        change: &PasswordChange<'_>,
        writes: &[Sql],
    ) -> Result<bool, StoreError> {
        let (user, now) = (change.user.id, change.now);
        let update = Sql::new("UPDATE users SET password_hash = {} WHERE id = {} AND password_hash = {}");
        let update = update
            .bind(change.hash)
            .bind(user.as_bytes())
            .bind(change.user.password_hash.as_str());
        let tx = self.begin().await?;
        if update.run(&tx).await? != 1 {
            return Ok(false);
        }
        let mut all = vec![
            sessions::end_others(user, Some(change.session)),
            sessions::rotate(change.session, change.token),
            known_devices::forget_others(user, change.device),
            links::void(LinkKind::Reset, user.as_bytes(), now),
            links::void(LinkKind::ChangeEmail, user.as_bytes(), now),
            second_factors::forget_proposals(user),
        ];
        all.extend_from_slice(writes);
        let draft = Draft::new(change.origin, Action::PasswordChanged, user, &[]);
        let drafts = self.drafts_of_user(&tx, user, now, vec![draft]).await?;
        self.write_audited(&tx, all, &drafts).await?;
        tx.commit().await?;
        Ok(true)
    }
}
