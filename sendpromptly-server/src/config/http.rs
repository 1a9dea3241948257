//! How the API is reached.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::Url;

use super::options;
use super::sources::Reader;
use super::value::{self, NotAllowed};

/// How the API is reached.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How it is reached from outside, without a slash at its end.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests a second for each project; 0 for no limit.
    pub rate_limit: u32,
}

impl HttpConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let listen = reader.one(&options::LISTEN, str::parse);
        let public_url = reader.optional(&options::PUBLIC_URL, origin);
        let trusted_proxies = reader.many(&options::TRUSTED_PROXY, network);
        let rate_limit = reader.one(&options::RATE_LIMIT, |text| value::number(text, 0..=1_000_000));
        Some(Self {
            listen: listen?,
            public_url: public_url?,
            trusted_proxies: trusted_proxies?,
            rate_limit: rate_limit?,
        })
    }
}

fn network(text: &str) -> Result<IpNet, ipnet::AddrParseError> {
    match text.parse::<IpAddr>() {
        Ok(single) => Ok(single.into()),
        Err(_) => text.parse(),
    }
}

fn origin(text: &str) -> Result<String, NotAllowed> {
    let url = Url::parse(text).map_err(|_| NotAllowed)?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if bare {
        Ok(url.origin().ascii_serialization())
    } else {
        Err(NotAllowed)
    }
}
