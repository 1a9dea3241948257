//! What may be done with a project's endpoints for providers, for the command line and the console alike.

use std::fmt;

use sendpromptly_core::event::Provider;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::intake::Mapping;
use sendpromptly_core::project::Overlap;
use sendpromptly_core::time::Timestamp;
use zeroize::Zeroizing;

use crate::platform::entropy;
use crate::projects::{Office, ProjectError};
use crate::store::provider_intake::ProviderSecret;
use crate::store::signing_secrets::Rotation;
use crate::vault::{Purpose, Vault};

pub mod signature;

/// The fewest and the most characters of a secret.
const LENGTH: std::ops::RangeInclusive<usize> = 16..=255;

/// The secret by which a provider signs what it sends. It never prints.
#[derive(Clone)]
pub struct IntakeSecret(Zeroizing<String>);

/// A text that is no secret of this provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeSecretError {
    /// It is not one of Stripe's.
    #[error(
        "an endpoint's signing secret of Stripe starts with whsec_; copy it from the endpoint's page at Stripe"
    )]
    NotStripes,
    /// It is too short, too long, or holds other characters.
    #[error("the secret must be 16 to 255 visible ASCII characters")]
    Characters,
}

impl IntakeSecret {
    /// Reads a secret as its owner has copied it.
    ///
    /// # Errors
    /// [`IntakeSecretError`].
    pub fn parse(provider: Provider, text: &str) -> Result<Self, IntakeSecretError> {
        let text = text.trim();
        if provider == Provider::Stripe && !text.starts_with("whsec_") {
            return Err(IntakeSecretError::NotStripes);
        }
        if !LENGTH.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IntakeSecretError::Characters);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for IntakeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntakeSecret(..)")
    }
}

impl Office<'_> {
    /// Takes a provider's events for a project by this secret from now on; those before it count for a while longer.
    /// Gives when they end.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn set_provider_secret(
        &self,
        vault: &Vault,
        project: ProjectId,
        provider: Provider,
        secret: &IntakeSecret,
        overlap: Overlap,
    ) -> Result<Timestamp, ProjectError> {
        if self.store.project(self.scope, project).await?.is_none() {
            return Err(ProjectError::NoProject);
        }
        let id = entropy::ordered_id(self.now);
        let purpose = Purpose::ProviderSecret(project);
        let sealed = vault.seal(purpose, &id, secret.0.as_bytes(), self.now).await?;
        let new = ProviderSecret {
            id,
            project,
            provider,
            sealed,
            created_at: self.now,
            expires_at: None,
        };
        let set = self
            .store
            .set_provider_secret(self.scope, &new, overlap, self.origin)
            .await?;
        match set {
            Rotation::Done { previous_expires_at } => Ok(previous_expires_at),
            Rotation::TwoLive => Err(ProjectError::TwoLive),
            Rotation::NoProject => Err(ProjectError::NoProject),
        }
    }

    /// Takes no more of a provider's events for a project.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn stop_provider(&self, project: ProjectId, provider: Provider) -> Result<(), ProjectError> {
        let stopped = self
            .store
            .stop_provider_intake(self.scope, project, provider, self.origin, self.now)
            .await?;
        if stopped {
            Ok(())
        } else {
            Err(ProjectError::NoProject)
        }
    }

    /// Says what a provider's events mean for a project; `None` for what they mean unless a project says so.
    ///
    /// # Errors
    /// [`ProjectError`] by its cause.
    pub async fn map_provider(
        &self,
        project: ProjectId,
        provider: Provider,
        mapping: Option<&Mapping>,
    ) -> Result<(), ProjectError> {
        let mapped = self
            .store
            .map_provider(self.scope, project, provider, mapping, self.origin, self.now)
            .await?;
        if mapped {
            Ok(())
        } else {
            Err(ProjectError::NoProject)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_what_its_provider_gives_out() {
        let stripe = |text: &str| IntakeSecret::parse(Provider::Stripe, text).map(|_| ());
        let shopify = |text: &str| IntakeSecret::parse(Provider::Shopify, text).map(|_| ());
        assert_eq!(stripe(" whsec_0123456789\n"), Ok(()));
        assert_eq!(stripe("sk_live_0123456789"), Err(IntakeSecretError::NotStripes));
        assert_eq!(stripe("whsec_"), Err(IntakeSecretError::Characters));
        assert_eq!(shopify("0123456789abcdef"), Ok(()));
        for wrong in [
            "",
            "short",
            "with space 0123456789",
            "ünïcödé-0123456789",
            &"x".repeat(256),
        ] {
            assert_eq!(shopify(wrong), Err(IntakeSecretError::Characters), "{wrong:?}");
        }
        let secret = IntakeSecret::parse(Provider::Shopify, "0123456789abcdef").unwrap();
        assert_eq!(format!("{secret:?}"), "IntakeSecret(..)");
    }
}
