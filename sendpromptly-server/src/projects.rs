//! What may be done with projects, their API keys and signing secrets, for the command line and the console alike.

use std::fmt;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::credential::{ApiKey, SigningSecret};
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::{KeyId, ProjectId};
use sendpromptly_core::project::{EventsKept, Name, Overlap, Timeout, UnaskedOrders};
use sendpromptly_core::time::Timestamp;

use crate::callback::{AddressPolicy, RepairUrl, SystemResolver, TargetError};
use crate::platform::entropy;
use crate::store::api_keys::NewKey;
use crate::store::projects::{Project, ProjectChange, UrlChange};
use crate::store::scope::OrganizationScope;
use crate::store::signing_secrets::Rotation;
use crate::store::snapshots::Era;
use crate::store::{Store, StoreError};
use crate::vault::{Vault, VaultError};

pub mod trial;

/// Why something is not done with a project.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// There is no such organization.
    #[error("there is no such organization")]
    NoOrganization,
    /// The organization has no such project.
    #[error("there is no such project")]
    NoProject,
    /// The project has no such API key.
    #[error("there is no such API key")]
    NoKey,
    /// A third live secret would make callbacks that no documented verifier has to take.
    #[error("two signing secrets are live already; wait until the older one ends, or end all others at once")]
    TwoLive,
    /// Nobody can be called.
    #[error("the project has no repair URL to call; set one first")]
    NoRepairUrl,
    /// Nothing can be signed.
    #[error("the project has no live signing secret; make one first")]
    NoSecret,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// A repair URL that may be called, as far as can be told now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedUrl {
    url: RepairUrl,
    /// What its owner should know: that its host does not resolve now.
    pub warning: Option<String>,
}

impl CheckedUrl {
    /// Checks a repair URL before it is saved.
    ///
    /// # Errors
    /// [`TargetError`] where it could never be called.
    pub async fn check(text: &str, policy: &AddressPolicy) -> Result<Self, TargetError> {
        let url = RepairUrl::parse(text, policy)?;
        let warning = url.check_before_saving(policy, &SystemResolver).await?.warning();
        Ok(Self { url, warning })
    }
}

impl From<CheckedUrl> for UrlChange {
    fn from(checked: CheckedUrl) -> Self {
        Self::Set {
            url: checked.url.as_str().to_owned(),
            origin: checked.url.origin(),
        }
    }
}

/// A project in the making.
#[derive(Debug, Clone)]
pub struct NewProject {
    /// Its name.
    pub name: Name,
    /// Whether it watches real money. It stays so: test data is never mixed with live data.
    pub mode: Mode,
    /// Where its callbacks go.
    pub repair_url: Option<CheckedUrl>,
    /// How long an event waits for its result.
    pub timeout: Timeout,
}

/// A project that was just made, with what is shown this once.
pub struct Created {
    /// The project.
    pub project: Project,
    /// Its first API key.
    pub api_key: ApiKey,
    /// What its callbacks are signed with.
    pub signing_secret: SigningSecret,
}

/// A signing secret that was just made, to be shown this once.
pub struct Rotated {
    /// The secret.
    pub signing_secret: SigningSecret,
    /// When those before it end.
    pub previous_expires_at: Timestamp,
}

/// Where somebody works on an organization's projects.
#[derive(Debug, Clone, Copy)]
pub struct Office<'a> {
    /// Where they are stored.
    pub store: &'a Store,
    /// Whose projects.
    pub scope: OrganizationScope,
    /// Who asks.
    pub origin: &'a Origin,
    /// When.
    pub now: Timestamp,
}

impl Office<'_> {
    /// Makes a project with its first API key and signing secret.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn create(&self, vault: &Vault, new: NewProject) -> Result<Created, ProjectError> {
        if !self.store.has_organization(self.scope.id()).await? {
            return Err(ProjectError::NoOrganization);
        }
        let project = Project {
            id: ProjectId::new(self.now, entropy::for_id()),
            organization: self.scope.id(),
            name: new.name.into_string(),
            mode: new.mode,
            repair_url: new.repair_url.map(|checked| checked.url.as_str().to_owned()),
            timeout_minutes: new.timeout.minutes(),
            reprocess_timeouts: UnaskedOrders::default().number(),
            keep_answers: true,
            keep_snapshots: false,
            send_payload: false,
            snapshot_era: Era::default(),
            events_kept_days: EventsKept::default().days(),
            created_at: self.now,
        };
        let (api_key, stored) = self.new_key(project.id);
        let (signing_secret, sealed) = vault.new_secret(project.id, self.now).await?;
        self.store
            .create_project(&project, &stored, &sealed, self.origin)
            .await?;
        Ok(Created {
            project,
            api_key,
            signing_secret,
        })
    }

    /// Changes a project's settings, and gives it as it is then.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn change(&self, project: ProjectId, change: &ProjectChange) -> Result<Project, ProjectError> {
        let changed = self
            .store
            .change_project(self.scope, project, change, self.origin, self.now)
            .await?;
        changed.ok_or(ProjectError::NoProject)
    }

    /// Makes a further API key of a project.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn create_key(&self, project: ProjectId) -> Result<(KeyId, ApiKey), ProjectError> {
        let (key, new) = self.new_key(project);
        if !self.store.create_key(self.scope, &new, self.origin).await? {
            return Err(ProjectError::NoProject);
        }
        Ok((new.id, key))
    }

    /// Revokes an API key; gives since when it is revoked.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn revoke_key(&self, project: ProjectId, key: KeyId) -> Result<Timestamp, ProjectError> {
        let revoked = self
            .store
            .revoke_key(self.scope, project, key, self.origin, self.now)
            .await?;
        revoked.ok_or(ProjectError::NoKey)
    }

    /// Makes a new signing secret; the one before it signs for a while longer.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn rotate_secret(
        &self,
        vault: &Vault,
        project: ProjectId,
        overlap: Overlap,
    ) -> Result<Rotated, ProjectError> {
        if self.store.project(self.scope, project).await?.is_none() {
            return Err(ProjectError::NoProject);
        }
        let (signing_secret, sealed) = vault.new_secret(project, self.now).await?;
        let rotation = self
            .store
            .rotate_secret(self.scope, &sealed, overlap, self.origin)
            .await?;
        match rotation {
            Rotation::Done { previous_expires_at } => Ok(Rotated {
                signing_secret,
                previous_expires_at,
            }),
            Rotation::TwoLive => Err(ProjectError::TwoLive),
            Rotation::NoProject => Err(ProjectError::NoProject),
        }
    }

    /// Deletes a project. Its keys open nothing from now on; what it held is removed within two hours.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn delete(&self, project: ProjectId) -> Result<(), ProjectError> {
        let deleted = self
            .store
            .delete_project(self.scope, project, self.origin, self.now)
            .await?;
        if deleted {
            Ok(())
        } else {
            Err(ProjectError::NoProject)
        }
    }

    fn new_key(&self, project: ProjectId) -> (ApiKey, NewKey) {
        let key = ApiKey::generate(entropy::bytes());
        let stored = NewKey {
            id: KeyId::new(self.now, entropy::for_id()),
            project,
            hash: key.hash(),
            hint: key.hint().to_owned(),
            created_at: self.now,
        };
        (key, stored)
    }
}

impl fmt::Debug for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Created").field(&self.project).finish()
    }
}

impl fmt::Debug for Rotated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rotated(..)")
    }
}
