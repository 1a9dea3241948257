//! Browsers in which a user has signed in before: what strangers do does not make these wait.

use std::time::Duration;

use sendpromptly_core::id::UserId;
use sendpromptly_core::time::Timestamp;

use super::old_rows::OldRows;
use super::rows::Sql;
use super::{Store, StoreError};

/// How long a browser in which nobody signs in stays known.
pub const KNOWN_FOR: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Browsers known for one user; beyond it the one that was seen least lately is forgotten.
const KNOWN_AT_MOST: u32 = 20;

/// The digest of a browser's token.
pub type DeviceDigest = [u8; 16];

impl Store {
    /// Whether this user has signed in with this browser, and not too long ago.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn is_known_device(
        &self,
        user: UserId,
        device: &DeviceDigest,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let query = Sql::new(
            "SELECT 1 AS found FROM known_devices WHERE token_digest = {} AND user_id = {} AND seen_at > {}",
        );
        let query = query.bind(device).bind(user.as_bytes()).bind(known_since(now));
        Ok(query.one(&self.reader).await?.is_some())
    }
}

/// The browsers in which nobody has signed in for long.
#[must_use]
pub fn old_devices(now: Timestamp) -> OldRows {
    OldRows::up_to("known_devices", "seen_at", known_since(now)).keyed_by("token_digest, user_id")
}

fn known_since(now: Timestamp) -> Timestamp {
    now.minus(KNOWN_FOR)
}

/// Makes a browser known for this user by a new token in place of the one it came with. The others for whom
/// it was known go along, so a copy of the old token is worth nothing from here on. A user's browsers beyond the
/// number that is kept are forgotten.
#[must_use]
pub fn remember(
    user: UserId,
    came_with: Option<&DeviceDigest>,
    new: &DeviceDigest,
    now: Timestamp,
) -> Vec<Sql> {
    let insert = Sql::new("INSERT INTO known_devices (token_digest, user_id, seen_at) VALUES ({}, {}, {})");
    let mut writes = vec![
        insert.bind(new).bind(user.as_bytes()).bind(now),
        forget_surplus(user, new),
    ];
    if let Some(old) = came_with {
        let others =
            Sql::new("UPDATE known_devices SET token_digest = {} WHERE token_digest = {} AND user_id <> {}");
        let own = Sql::new("DELETE FROM known_devices WHERE token_digest = {} AND user_id = {}");
        writes.push(others.bind(new).bind(old).bind(user.as_bytes()));
        writes.push(own.bind(old).bind(user.as_bytes()));
    }
    writes
}

fn forget_surplus(user: UserId, new: &DeviceDigest) -> Sql {
    let others = KNOWN_AT_MOST - 1;
    Sql::new(format!(
        "DELETE FROM known_devices WHERE user_id = {{}} AND token_digest <> {{}} AND token_digest NOT IN
         (SELECT token_digest FROM known_devices WHERE user_id = {{}} AND token_digest <> {{}}
          ORDER BY seen_at DESC LIMIT {others})"
    ))
    .bind(user.as_bytes())
    .bind(new)
    .bind(user.as_bytes())
    .bind(new)
}

/// Forgets all browsers of a user but this one.
#[must_use]
pub fn forget_others(user: UserId, except: Option<&DeviceDigest>) -> Sql {
    match except {
        None => Sql::new("DELETE FROM known_devices WHERE user_id = {}").bind(user.as_bytes()),
        Some(device) => Sql::new("DELETE FROM known_devices WHERE user_id = {} AND token_digest <> {}")
            .bind(user.as_bytes())
            .bind(device),
    }
}
