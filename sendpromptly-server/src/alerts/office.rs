//! What may be done with a project's destinations, for the command line and the console alike.

use std::collections::BTreeMap;

use sendpromptly_core::alert::Channel;
use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::id::{AlertId, MessageId, ProjectId};

use super::sender::{SendFailure, Sender};
use super::target::{CheckedTarget, Target};
use crate::platform::entropy;
use crate::projects::Office;
use crate::store::StoreError;
use crate::store::alert_queue::{AlertMessage, Content};
use crate::store::alerts::{Added, AlertMinutes, MOST, NewDestination};
use crate::vault::{Purpose, Vault, VaultError};

/// Why something is not done with a destination.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AlertError {
    /// The organization has no such project.
    #[error("there is no such project")]
    NoProject,
    /// The project has no such destination.
    #[error("there is no such destination of alerts")]
    NoDestination,
    /// There are as many as there may be.
    #[error("the project has {MOST} destinations of alerts already; remove one first")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// A destination that was just made.
#[derive(Debug, Clone)]
pub struct AddedDestination {
    /// Its id.
    pub id: AlertId,
    /// How alerts go.
    pub channel: Channel,
    /// What may be shown of where they go.
    pub shown: String,
    /// What a webhook's alerts are signed with, to be shown this once.
    pub secret: Option<SigningSecret>,
}

impl Office<'_> {
    /// Adds a destination of a project's alerts.
    ///
    /// # Errors
    /// [`AlertError`] by its cause.
    pub async fn add_alert(
        &self,
        vault: &Vault,
        project: ProjectId,
        checked: CheckedTarget,
        escalation: bool,
    ) -> Result<AddedDestination, AlertError> {
        if self.store.alert_minutes(self.scope, project).await?.is_none() {
            return Err(AlertError::NoProject); // before a data key is made for it
        }
        let id = AlertId::new(self.now, entropy::for_id());
        let target = checked.target;
        let plain = target.to_bytes();
        let sealed = vault
            .seal(Purpose::Alert(project), id.as_bytes(), &plain, self.now)
            .await?;
        let new = NewDestination {
            id,
            project,
            channel: target.channel(),
            sealed,
            shown: target.shown(),
            escalation,
            created_at: self.now,
        };
        match self.store.add_alert(self.scope, &new, self.origin).await? {
            Added::Done => Ok(AddedDestination {
                id,
                channel: new.channel,
                shown: new.shown,
                secret: target.secret().cloned(),
            }),
            Added::TooMany => Err(AlertError::TooMany),
            Added::NoProject => Err(AlertError::NoProject),
        }
    }

    /// Removes a destination.
    ///
    /// # Errors
    /// [`AlertError`] by its cause.
    pub async fn remove_alert(&self, project: ProjectId, id: AlertId) -> Result<(), AlertError> {
        let removed = self
            .store
            .remove_alert(self.scope, project, id, self.origin, self.now)
            .await?;
        if removed {
            Ok(())
        } else {
            Err(AlertError::NoDestination)
        }
    }

    /// Sends a test alert to a destination, and tells what became of it. It is not tried again.
    ///
    /// # Errors
    /// [`AlertError`] where there is no such destination, or it cannot be read.
    pub async fn try_alert(
        &self,
        vault: &Vault,
        sender: &Sender,
        project: ProjectId,
        id: AlertId,
    ) -> Result<Result<(), SendFailure>, AlertError> {
        let found = self.store.sealed_alert(self.scope, project, id).await?;
        let found = found.ok_or(AlertError::NoDestination)?;
        let stored = self.store.project(self.scope, project).await?;
        let stored = stored.ok_or(AlertError::NoProject)?;
        let plain = vault
            .open_sealed(Purpose::Alert(project), id.as_bytes(), &found.sealed)
            .await?;
        let target = match Target::from_bytes(found.channel, &plain, &sender.policy) {
            Ok(target) => target,
            Err(refused) => return Ok(Err(SendFailure::Final(refused.to_string()))),
        };
        // Before it is sent, which nobody could otherwise tell of where this is cut off.
        self.store
            .note_alert_test(self.scope, id, &found.shown, self.origin, self.now)
            .await?;
        let content = Content {
            organization: stored.organization,
            project,
            project_name: stored.name,
            mode: stored.mode,
            silence_minutes: None,
            counts: BTreeMap::new(),
            incidents: Vec::new(),
        };
        let alert = AlertMessage {
            id: MessageId::new(self.now, entropy::for_id()),
            made_at: self.now,
            content,
        };
        Ok(sender.send(&target, &alert, 1, self.now).await)
    }

    /// Sets after how many minutes a project alerts of what does not happen.
    ///
    /// # Errors
    /// [`AlertError`] by its cause.
    pub async fn set_alert_minutes(&self, project: ProjectId, after: AlertMinutes) -> Result<(), AlertError> {
        let set = self
            .store
            .set_alert_minutes(self.scope, project, after, self.origin, self.now)
            .await?;
        if set { Ok(()) } else { Err(AlertError::NoProject) }
    }
}
