//! Where a request over plain HTTP is sent on to.

use hyper::Request;
use hyper::header::{HOST, HeaderValue};

use crate::http::ApiError;

/// The usual port of HTTPS, which a URL leaves out.
const HTTPS: u16 = 443;

/// The most characters of a host name (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Where requests are sent on to: the same path and query there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To this origin, whatever host a request names.
    Origin(String),
    /// To this port of the host that the request names.
    SameHost(u16),
}

impl Target {
    /// To the public URL where there is one of HTTPS, else to the port that speaks HTTPS.
    #[must_use]
    pub fn new(public_url: Option<&str>, port: u16) -> Self {
        match public_url {
            Some(url) if url.starts_with("https://") => Self::Origin(url.trim_end_matches('/').to_owned()),
            _ => Self::SameHost(port),
        }
    }

    /// The `Location` for this request, whose host is settled.
    ///
    /// # Errors
    /// [`ApiError::BadHost`] where the request must name its host and does not.
    pub fn of<B>(&self, request: &Request<B>) -> Result<HeaderValue, ApiError> {
        let origin = match self {
            Self::Origin(origin) => origin.clone(),
            Self::SameHost(port) => {
                let host = host_of(request).ok_or(ApiError::BadHost)?;
                match *port {
                    HTTPS => format!("https://{host}"),
                    port => format!("https://{host}:{port}"),
                }
            }
        };
        // `OPTIONS *` and `CONNECT` have no path.
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path } else { "/" };
        HeaderValue::try_from(format!("{origin}{path}")).map_err(|_| ApiError::BadRequest)
    }
}

/// The host that `Host` names, without its port.
fn host_of<B>(request: &Request<B>) -> Option<&str> {
    let host = request.headers().get(HOST)?.to_str().ok()?;
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, "0"),
    };
    let port_is_one = port.parse::<u16>().is_ok() && port.bytes().all(|byte| byte.is_ascii_digit());
    (port_is_one && is_host(name)).then_some(name)
}

/// Nothing but a name or an address: what else could stand in a `Location` is not to be chosen by a client.
fn is_host(name: &str) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(inner) && !label.starts_with('-')
    };
    name.len() <= MAX_HOST && name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}
