//! The repair URL: one type from validation to dial, so that what was checked is what is called.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use rustls::pki_types::DnsName;
use url::{Host, Url};

use super::address::{AddressPolicy, Forbidden};
use super::resolver::{LookupError, NameResolver, allowed_addresses};

/// A URL's greatest length in bytes, as given and as written out.
pub const MAX_URL_BYTES: usize = 2048;

/// How long a look-up may take when a URL is saved; past it, the name counts as one that does not resolve.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// A URL that may be called under the policy that it was parsed with.
///
/// Its path and query may hold a secret: `Debug` shows the [`origin`](Self::origin) only, and no error repeats more.
///
/// ```
/// use sendpromptly_server::callback::{AddressPolicy, RepairUrl};
///
/// let policy = AddressPolicy::default();
/// let url = RepairUrl::parse("https://shop.example/repair?token=1", &policy)?;
/// assert_eq!(url.origin(), "https://shop.example");
/// assert!(RepairUrl::parse("https://0x7f.1/repair", &policy).is_err());
/// # Ok::<(), sendpromptly_server::callback::TargetError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct RepairUrl(Url);

impl RepairUrl {
    /// Parses `text` and checks all that needs no name server: the form, the scheme, and a literal address in any
    /// of its spellings. A fragment is dropped. A stored URL is parsed again before a call, for the policy may have
    /// changed.
    ///
    /// # Errors
    ///
    /// [`TargetError`], which says what is wrong and what would be right.
    pub fn parse(text: &str, policy: &AddressPolicy) -> Result<Self, TargetError> {
        if text.len() > MAX_URL_BYTES {
            return Err(TargetError::TooLong);
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(TargetError::Blank);
        }
        let mut url = Url::parse(text).map_err(TargetError::Malformed)?;
        url.set_fragment(None);
        let url = Self(url);
        url.check(policy)?;
        // The parser takes any number of slashes, either way round, and the path's first part for the host.
        let after_slashes = text.split_once("://").map_or("", |(_, rest)| rest);
        if after_slashes.starts_with(['/', '\\']) {
            return Err(TargetError::Malformed(url::ParseError::EmptyHost));
        }
        url.check_form()?;
        Ok(url)
    }

    /// What depends on the policy: the scheme and a literal address.
    pub(super) fn check(&self, policy: &AddressPolicy) -> Result<(), TargetError> {
        match self.0.scheme() {
            "https" => {}
            "http" if policy.allow_private => {}
            _ => return Err(TargetError::NotHttps),
        }
        match self.literal() {
            Some(address) => check_literal(address, policy),
            None => Ok(()),
        }
    }

    fn check_form(&self) -> Result<(), TargetError> {
        let Self(url) = self;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Credentials);
        }
        match url.host() {
            None => return Err(TargetError::Malformed(url::ParseError::EmptyHost)),
            Some(Host::Domain(name)) if DnsName::try_from(name).is_err() => {
                return Err(TargetError::HostName);
            }
            Some(_) => {}
        }
        if url.port() == Some(0) {
            return Err(TargetError::PortZero);
        }
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(TargetError::TooLong);
        }
        // The HTTP library has a grammar of its own; better refused here than at each call.
        url.as_str()
            .parse::<hyper::Uri>()
            .map_err(|_| TargetError::Unsendable)?;
        Ok(())
    }

    /// Looks the host up once more than a call does: when the URL is saved, so that a mistake shows at once.
    ///
    /// # Errors
    ///
    /// [`TargetError::ForbiddenName`] where any of the name's addresses may not be called.
    pub async fn check_before_saving(
        &self,
        policy: &AddressPolicy,
        resolver: &dyn NameResolver,
    ) -> Result<NameCheck, TargetError> {
        self.check(policy)?;
        let Some(name) = self.0.domain() else {
            return Ok(NameCheck::Allowed);
        };
        let looked_up = tokio::time::timeout(LOOKUP_TIMEOUT, allowed_addresses(name, resolver, policy)).await;
        match looked_up {
            Ok(Ok(_)) => Ok(NameCheck::Allowed),
            Ok(Err(LookupError::Refused(error))) => Err(error),
            Ok(Err(LookupError::Unresolvable)) | Err(_) => Ok(NameCheck::Unresolvable {
                host: name.to_owned(),
            }),
        }
    }

    /// The whole URL, normalized: to be stored and called, not to be logged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Scheme, host and port (where it is not the scheme's own): what logs and messages may show.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    fn literal(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }
}

/// Checks an address that stands for itself: a literal one, or a connection's peer.
pub(super) fn check_literal(address: IpAddr, policy: &AddressPolicy) -> Result<(), TargetError> {
    policy
        .check(address)
        .map_err(|forbidden| TargetError::ForbiddenAddress { address, forbidden })
}

impl fmt::Debug for RepairUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepairUrl({}/…)", self.origin())
    }
}

/// What a look-up on saving found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a name that does not resolve is saved with a warning"]
pub enum NameCheck {
    /// Every address of the host may be called.
    Allowed,
    /// The name has no address now. It is saved, and checked at each call; [`warning`](Self::warning) says so.
    Unresolvable {
        /// The host's name.
        host: String,
    },
}

impl NameCheck {
    /// The sentence to show whoever saves the URL, if there is need for one.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::Allowed => None,
            Self::Unresolvable { host } => Some(format!(
                "the repair URL's host {host} does not resolve now; it is saved, and looked up again at each callback"
            )),
        }
    }
}

impl TargetError {
    /// Whether the URL itself is wrong, wherever it leads.
    #[must_use]
    pub const fn is_ill_formed(&self) -> bool {
        match self {
            Self::ForbiddenAddress { .. } | Self::ForbiddenName { .. } => false,
            Self::TooLong
            | Self::Blank
            | Self::Malformed(_)
            | Self::NotHttps
            | Self::Credentials
            | Self::HostName
            | Self::PortZero
            | Self::Unsendable => true,
        }
    }
}

/// Why a URL is not called. The sentences name the host at most, never path or query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Longer than [`MAX_URL_BYTES`].
    #[error("the repair URL is longer than {MAX_URL_BYTES} bytes")]
    TooLong,
    /// White space or a control character.
    #[error(
        "the repair URL holds a space or a control character; write them percent-encoded or leave them out"
    )]
    Blank,
    /// Not an absolute URL with a host.
    #[error("the repair URL is not well-formed ({0}); write it like https://shop.example/repair")]
    Malformed(url::ParseError),
    /// Another scheme than `https`.
    #[error("the repair URL must begin with https://")]
    NotHttps,
    /// A user name or a password before the host.
    #[error("the repair URL must not hold a user name or password; callbacks are signed instead")]
    Credentials,
    /// A host that can be no DNS name.
    #[error("the repair URL's host is not a valid host name; write it like https://shop.example/repair")]
    HostName,
    /// Port 0, which nothing listens on.
    #[error("the repair URL's port must be from 1 to 65535")]
    PortZero,
    /// A character that cannot stand in an HTTP request.
    #[error("the repair URL holds a character that HTTP does not allow; write it percent-encoded")]
    Unsendable,
    /// A literal address that may not be called.
    #[error("the repair URL leads to {address}, {forbidden}; it must lead to a public address")]
    ForbiddenAddress {
        /// The address in its usual spelling.
        address: IpAddr,
        /// Why not.
        forbidden: Forbidden,
    },
    /// A name with at least one address that may not be called.
    #[error("the repair URL's host {host} has {forbidden}; all its addresses must be public")]
    ForbiddenName {
        /// The host's name.
        host: String,
        /// Why not.
        forbidden: Forbidden,
    },
}
