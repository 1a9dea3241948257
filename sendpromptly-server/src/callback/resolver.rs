//! From a host name to addresses that may be called: all of them, or the name is refused.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use super::address::AddressPolicy;
use super::target::TargetError;

/// The answer of a [`NameResolver`], still to come.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a host name.
pub trait NameResolver: fmt::Debug + Send + Sync + 'static {
    /// Looks up every address of `name`, of both families. An error or no address at all: the name does not resolve.
    fn lookup(&self, name: &str) -> Lookup;
}

/// The operating system's resolver (`getaddrinfo`), which reads `/etc/hosts` too.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl NameResolver for SystemResolver {
    fn lookup(&self, name: &str) -> Lookup {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why a name gives no address to call.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    /// At least one of its addresses is forbidden.
    #[error(transparent)]
    Refused(TargetError),
    /// It has no address, or the look-up failed.
    #[error("the name does not resolve")]
    Unresolvable,
}

/// Looks `name` up once and gives its addresses, if every one of them may be called.
pub(super) async fn allowed_addresses(
    name: &str,
    resolver: &dyn NameResolver,
    policy: &AddressPolicy,
) -> Result<Vec<IpAddr>, LookupError> {
    let addresses = resolver
        .lookup(name)
        .await
        .map_err(|_| LookupError::Unresolvable)?;
    if addresses.is_empty() {
        return Err(LookupError::Unresolvable);
    }
    for address in &addresses {
        policy.check(*address).map_err(|forbidden| {
            // The address stays unsaid: it would let a customer read an internal name server.
            LookupError::Refused(TargetError::ForbiddenName {
                host: name.to_owned(),
                forbidden,
            })
        })?;
    }
    Ok(addresses)
}

/// The resolver inside of the HTTP client: what it gives is checked, and is what gets connected to.
#[derive(Debug, Clone)]
pub(super) struct GuardedResolver {
    pub(super) policy: Arc<AddressPolicy>,
    pub(super) resolver: Arc<dyn NameResolver>,
}

impl reqwest::dns::Resolve for GuardedResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let Self { policy, resolver } = self.clone();
        Box::pin(async move {
            let addresses = allowed_addresses(name.as_str(), &*resolver, &policy).await?;
            // Port 0 stands for the URL's port.
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as reqwest::dns::Addrs)
        })
    }
}
