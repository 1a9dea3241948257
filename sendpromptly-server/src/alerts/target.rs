//! Where alerts go: checked when it is saved, sealed for the store, and checked again when it is used.

use std::fmt;

use sendpromptly_core::alert::Channel;
use sendpromptly_core::credential::{ENTROPY, SigningSecret};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::account::email::Email;
use crate::callback::{AddressPolicy, NameCheck, RepairUrl, SystemResolver, TargetError};
use crate::platform::entropy;

/// Where alerts go. A URL may be a secret, so it does not print.
#[derive(Clone)]
pub enum Target {
    /// To an e-mail address.
    Email(Email),
    /// To an incoming webhook of Slack.
    Slack(RepairUrl),
    /// To a webhook that checks our signature.
    Webhook {
        /// Its URL.
        url: RepairUrl,
        /// What alerts are signed with.
        secret: SigningSecret,
    },
}

/// A target that may be saved.
#[derive(Debug, Clone)]
pub struct CheckedTarget {
    /// The target.
    pub target: Target,
    /// What its owner should know: that its host does not resolve now.
    pub warning: Option<String>,
}

/// Why something is no target, in words that say what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct TargetRefused {
    words: String,
    /// Whether the address itself is wrong, wherever it leads.
    pub is_ill_formed: bool,
}

/// What is sealed of a target.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    to: &'a str,
    secret: Option<&'a str>,
}

impl CheckedTarget {
    /// Checks where alerts are to go, before it is saved. A URL is held to the rules of repair URLs. A webhook gets a
    /// new secret.
    ///
    /// # Errors
    /// [`TargetRefused`] where nothing could ever go there.
    pub async fn check(channel: Channel, text: &str, policy: &AddressPolicy) -> Result<Self, TargetRefused> {
        let secret = SigningSecret::generate(entropy::bytes::<ENTROPY>());
        let target = Target::parse(channel, text, Some(secret), policy)?;
        let name = match &target {
            Target::Email(_) => NameCheck::Allowed,
            Target::Slack(url) | Target::Webhook { url, .. } => {
                let checked = url.check_before_saving(policy, &SystemResolver).await;
                checked.map_err(TargetRefused::from)?
            }
        };
        let warning = match name {
            NameCheck::Allowed => None,
            NameCheck::Unresolvable { host } => Some(format!(
                "the host {host} does not resolve now; it is saved, and looked up again at each alert"
            )),
        };
        Ok(Self { target, warning })
    }
}

impl Target {
    fn parse(
        channel: Channel,
        text: &str,
        secret: Option<SigningSecret>,
        policy: &AddressPolicy,
    ) -> Result<Self, TargetRefused> {
        let url = || RepairUrl::parse(text, policy).map_err(TargetRefused::from);
        match channel {
            Channel::Email => Email::parse(text)
                .map(Self::Email)
                .map_err(|error| TargetRefused {
                    words: format!("the address {error}"),
                    is_ill_formed: true,
                }),
            Channel::Slack => url().map(Self::Slack),
            Channel::Webhook => Ok(Self::Webhook {
                url: url()?,
                secret: secret.ok_or_else(TargetRefused::unreadable)?,
            }),
        }
    }

    /// How alerts get there.
    #[must_use]
    pub const fn channel(&self) -> Channel {
        match self {
            Self::Email(_) => Channel::Email,
            Self::Slack(_) => Channel::Slack,
            Self::Webhook { .. } => Channel::Webhook,
        }
    }

    /// What of it may be shown: an e-mail address, or a URL's scheme and host.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Email(email) => email.as_str().to_owned(),
            Self::Slack(url) | Self::Webhook { url, .. } => url.origin(),
        }
    }

    /// What a webhook's alerts are signed with, to be shown once.
    #[must_use]
    pub const fn secret(&self) -> Option<&SigningSecret> {
        match self {
            Self::Webhook { secret, .. } => Some(secret),
            Self::Email(_) | Self::Slack(_) => None,
        }
    }

    /// The bytes to be sealed.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let to = match self {
            Self::Email(email) => email.as_str(),
            Self::Slack(url) | Self::Webhook { url, .. } => url.as_str(),
        };
        let kept = Kept {
            to,
            secret: self.secret().map(SigningSecret::expose),
        };
        Zeroizing::new(serde_json::to_vec(&kept).unwrap_or_default()) // texts always serialize
    }

    /// Reads what was sealed. It is checked again: the server may have been started under another policy since.
    ///
    /// # Errors
    /// [`TargetRefused`] where nothing may go there now.
    pub fn from_bytes(channel: Channel, bytes: &[u8], policy: &AddressPolicy) -> Result<Self, TargetRefused> {
        let kept: Kept<'_> = serde_json::from_slice(bytes).map_err(|_| TargetRefused::unreadable())?;
        let secret = kept.secret.map(SigningSecret::parse).transpose();
        let secret = secret.map_err(|_| TargetRefused::unreadable())?;
        Self::parse(channel, kept.to, secret, policy)
    }
}

impl TargetRefused {
    fn unreadable() -> Self {
        Self {
            words: "what is stored of it cannot be read; remove it and add it again".to_owned(),
            is_ill_formed: false,
        }
    }
}

impl From<TargetError> for TargetRefused {
    fn from(error: TargetError) -> Self {
        Self {
            is_ill_formed: error.is_ill_formed(),
            words: error
                .to_string()
                .replace("repair URL", "URL")
                .replace("shop.example/repair", "alerts.example/hook")
                .replace("callbacks are", "alerts to a webhook are"),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.channel())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_target_is_read_as_it_was_sealed_and_shows_no_more_than_its_host() {
        let policy = AddressPolicy::default();
        let url = "https://192.0.43.8/services/T0/B0/canary";
        for channel in [Channel::Slack, Channel::Webhook] {
            let checked = CheckedTarget::check(channel, url, &policy).await.unwrap();
            assert_eq!(checked.target.shown(), "https://192.0.43.8");
            assert!(!format!("{checked:?}").contains("canary"));
            let read = Target::from_bytes(channel, &checked.target.to_bytes(), &policy).unwrap();
            assert_eq!(read.to_bytes(), checked.target.to_bytes());
            assert_eq!(read.secret().is_some(), channel == Channel::Webhook);
        }
        let email = CheckedTarget::check(Channel::Email, "ops@example.com", &policy).await;
        assert_eq!(email.unwrap().target.shown(), "ops@example.com");
    }

    #[tokio::test]
    async fn what_no_callback_may_reach_no_alert_does() {
        let policy = AddressPolicy::default();
        for (wrong, words) in [
            ("http://192.0.43.8/hook", "the URL must begin with https://"),
            ("https://127.0.0.1/hook", "the URL leads to 127.0.0.1"),
            ("https://169.254.169.254/", "it must lead to a public address"),
            ("https://me:secret@192.0.43.8/", "must not hold a user name"),
        ] {
            let refused = CheckedTarget::check(Channel::Slack, wrong, &policy).await;
            let refused = refused.unwrap_err().to_string();
            assert!(
                refused.contains(words) && !refused.contains("secret@"),
                "{refused}"
            );
        }
        let refused = CheckedTarget::check(Channel::Email, "ops", &policy)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("must be an e-mail address"),
            "{refused}"
        );
    }
}
