//! Who asks, and over what kind of connection.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HOST, HeaderMap};
use ipnet::IpNet;

use super::client_address::client_address;

/// The client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// Whether it came over TLS, to this server or to a trusted proxy before it.
    pub secure: bool,
    /// Whether it is on this machine and names this machine, where plain HTTP is safe.
    pub loopback: bool,
}

impl Client {
    /// The client behind this peer. `tls` is whether the peer speaks TLS with this server.
    #[must_use]
    pub fn of(peer: SocketAddr, tls: bool, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.ip().to_canonical();
        let by_proxy = trusted.iter().any(|range| range.contains(&peer));
        let forwarded = headers
            .get("x-forwarded-proto")
            .and_then(|value| value.to_str().ok());
        let host = headers
            .get(HOST)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        Self {
            address: client_address(peer, headers, trusted),
            secure: tls || (by_proxy && forwarded == Some("https")),
            loopback: peer.is_loopback() && names_loopback(host),
        }
    }
}

fn names_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, tls: bool, headers: &[(&'static str, &str)]) -> Client {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Client::of(peer.parse().unwrap(), tls, &map, &["10.0.0.0/8".parse().unwrap()])
    }

    #[test]
    fn only_a_trusted_proxy_may_say_that_the_client_came_over_tls() {
        let https = ("x-forwarded-proto", "https");
        assert!(of("192.0.2.1:1", true, &[]).secure);
        assert!(of("10.0.0.1:1", false, &[https]).secure);
        assert!(!of("10.0.0.1:1", false, &[("x-forwarded-proto", "http")]).secure);
        assert!(!of("192.0.2.1:1", false, &[https]).secure);
    }

    #[test]
    fn loopback_is_both_the_peer_and_the_name_it_asks_for() {
        for host in [
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "LOCALHOST",
            "127.0.0.1",
        ] {
            assert!(of("127.0.0.1:1", false, &[("host", host)]).loopback, "{host}");
            assert!(!of("192.0.2.1:1", false, &[("host", host)]).loopback, "{host}");
        }
        for host in [
            "pay.example.com",
            "localhost.example.com:80",
            "",
            "127.0.0.1.nip.io:1",
        ] {
            assert!(!of("127.0.0.1:1", false, &[("host", host)]).loopback, "{host}");
        }
    }
}
