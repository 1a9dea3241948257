//! Who asks, and over what kind of connection.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{FORWARDED, HOST, HeaderMap, VIA};
use ipnet::IpNet;

use super::client_address::{way, written};

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
        let way = way(peer, headers, trusted);
        let host = headers.get(HOST).and_then(|value| value.to_str().ok());
        Self {
            address: way.client,
            secure: match way.proxies {
                0 => tls,
                proxies => came_to_them_by_tls(headers, proxies, tls),
            },
            loopback: peer.is_loopback() && !is_forwarded(headers) && host.is_some_and(names_loopback),
        }
    }
}

/// Whether the client spoke TLS with the farthest of so many trusted proxies. Each of them adds its own word to
/// `X-Forwarded-Proto`, as it adds an address to `X-Forwarded-For`; or one has set it for all, and then there are
/// fewer words than proxies. What stands before theirs, a client has written. Where they say nothing, the last
/// part of the way stands for the whole.
fn came_to_them_by_tls(headers: &HeaderMap, proxies: usize, tls: bool) -> bool {
    let told = written(headers, "x-forwarded-proto").take(proxies).last();
    told.map_or(tls, |scheme| scheme.eq_ignore_ascii_case("https"))
}

/// A proxy on this machine that nobody has declared makes every client look as if it were here.
fn is_forwarded(headers: &HeaderMap) -> bool {
    let said = [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-real-ip",
    ];
    headers.contains_key(FORWARDED)
        || headers.contains_key(VIA)
        || said.iter().any(|name| headers.contains_key(*name))
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

    const FOR: &str = "x-forwarded-for";
    const PROTO: &str = "x-forwarded-proto";

    fn of(peer: &str, tls: bool, headers: &[(&'static str, &str)]) -> Client {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        Client::of(peer.parse().unwrap(), tls, &map, &trusted)
    }

    #[test]
    fn only_a_trusted_proxy_may_say_that_the_client_came_over_tls() {
        assert!(of("192.0.2.1:1", true, &[]).secure);
        assert!(of("10.0.0.1:1", false, &[(PROTO, "https")]).secure);
        assert!(of("10.0.0.1:1", false, &[(PROTO, "HTTPS")]).secure);
        assert!(!of("192.0.2.1:1", false, &[(PROTO, "https")]).secure);
        for other in ["http", "", "https:", "wss"] {
            assert!(!of("10.0.0.1:1", false, &[(PROTO, other)]).secure, "{other}");
        }
        assert!(!of("10.0.0.1:1", false, &[]).secure);
    }

    #[test]
    fn tls_between_proxy_and_server_does_not_make_the_client_secure() {
        assert!(!of("10.0.0.1:1", true, &[(PROTO, "http")]).secure);
        assert!(
            of("10.0.0.1:1", true, &[]).secure,
            "a machine that is trusted may be a client itself"
        );
        assert!(
            of("192.0.2.1:1", true, &[(PROTO, "http")]).secure,
            "not its word to say"
        );
    }

    #[test]
    fn the_word_of_the_proxy_that_the_client_came_to_counts() {
        let secure = |headers: &[(&'static str, &str)]| of("10.0.0.1:1", false, headers).secure;
        let two = (FOR, "198.51.100.7, 10.0.0.2");
        assert!(secure(&[two, (PROTO, "https, http")]), "plain inside the network");
        assert!(
            secure(&[two, (PROTO, "https"), (PROTO, "http")]),
            "in two headers"
        );
        assert!(!secure(&[two, (PROTO, "http, https")]));
        assert!(secure(&[two, (PROTO, "https")]), "set once for all");
        assert!(!secure(&[two, (PROTO, "http")]));
    }

    #[test]
    fn what_a_client_wrote_before_its_proxy_does_not_count() {
        let secure = |headers: &[(&'static str, &str)]| of("10.0.0.1:1", false, headers).secure;
        assert!(!secure(&[(FOR, "198.51.100.7"), (PROTO, "https, http")]));
        assert!(!secure(&[
            (FOR, "198.51.100.7"),
            (PROTO, "https"),
            (PROTO, "http")
        ]));
        let forged = (FOR, "10.0.0.9, 198.51.100.7, 10.0.0.2");
        assert!(!secure(&[forged, (PROTO, "https, http, http")]));
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
        assert!(!of("127.0.0.1:1", false, &[]).loopback);
    }

    #[test]
    fn what_a_proxy_on_this_machine_hands_on_is_not_loopback() {
        for by_proxy in [
            (FOR, "198.51.100.7"),
            (PROTO, "http"),
            ("forwarded", "for=198.51.100.7"),
            ("via", "1.1 proxy"),
            ("x-real-ip", "198.51.100.7"),
        ] {
            let headers = [("host", "127.0.0.1:8080"), by_proxy];
            assert!(!of("127.0.0.1:1", false, &headers).loopback, "{by_proxy:?}");
        }
    }
}
