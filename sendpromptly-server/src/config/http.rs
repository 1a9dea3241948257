//! How the API is reached.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::Url;

use super::options;
use super::sources::Reader;
use super::value::{self, NotAllowed};
use crate::http::tls::TlsFiles;

/// How the API is reached.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How it is reached from outside, without a slash at its end.
    pub public_url: Option<String>,
    /// HTTPS, where this server speaks it itself.
    pub tls: Option<TlsConfig>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count.
    pub trusted_proxies: Vec<IpNet>,
    /// Requests a second for each project; 0 for no limit.
    pub rate_limit: u32,
}

/// HTTPS of the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Where certificate and key lie.
    pub files: TlsFiles,
    /// Where plain HTTP is sent on to HTTPS.
    pub redirect_listen: Option<SocketAddr>,
}

impl HttpConfig {
    /// How links lead here, without a slash at their end: as it is reached from outside, or at this address.
    #[must_use]
    pub fn base_url(&self, address: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let own = || format!("{scheme}://{address}");
        self.public_url.clone().unwrap_or_else(own)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let listen = reader.one(&options::LISTEN, str::parse);
        let public_url = reader.optional(&options::PUBLIC_URL, origin);
        let tls = read_tls(reader);
        let trusted_proxies = reader.many(&options::TRUSTED_PROXY, network);
        let rate_limit = reader.one(&options::RATE_LIMIT, |text| value::number(text, 0..=1_000_000));
        Some(Self {
            listen: listen?,
            public_url: public_url?,
            tls: tls?,
            trusted_proxies: trusted_proxies?,
            rate_limit: rate_limit?,
        })
    }
}

/// Certificate and key stand together, and sending on to HTTPS needs both.
fn read_tls(reader: &mut Reader<'_>) -> Option<Option<TlsConfig>> {
    let certificate = reader.optional(&options::TLS_CERT, value::path);
    let key = reader.optional(&options::TLS_KEY, value::path);
    let redirect_listen = reader.optional(&options::REDIRECT_LISTEN, str::parse);
    let (certificate, key, redirect_listen) = (certificate?, key?, redirect_listen?);
    let (alone, needs) = match (certificate, key, redirect_listen) {
        (None, None, None) => return Some(None),
        (Some(certificate), Some(key), redirect_listen) => {
            let files = TlsFiles { certificate, key };
            return Some(Some(TlsConfig {
                files,
                redirect_listen,
            }));
        }
        (Some(_), None, _) => (&options::TLS_CERT, "--tls-key"),
        (None, Some(_), _) => (&options::TLS_KEY, "--tls-cert"),
        (None, None, Some(_)) => (&options::REDIRECT_LISTEN, "--tls-cert and --tls-key"),
    };
    if let Some(source) = reader.source(alone) {
        reader.refuse(alone, source, format_args!("given together with {needs}"));
    }
    None
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
