//! Whose request it is, as an address, and through how many trusted proxies it came.

use std::net::IpAddr;

use hyper::header::HeaderMap;
use ipnet::IpNet;

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The client's address.
    pub client: IpAddr,
    /// How many trusted proxies it came through; none where the peer is the client, and the client's word about
    /// itself does not count.
    pub proxies: usize,
}

/// The client's address, and the way from there. `X-Forwarded-For` counts only as far as trusted proxies have
/// written it: from the right, the first address that is none of theirs.
#[must_use]
pub fn way(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Way {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(&address));
    let mut client = peer.to_canonical();
    if trusted.is_empty() || !is_trusted(client) {
        return Way { client, proxies: 0 };
    }
    let mut named = 0;
    for hop in written(headers, "x-forwarded-for") {
        let Ok(address) = hop.parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
        named += 1;
        if !is_trusted(client) {
            break;
        }
    }
    Way {
        client,
        proxies: named.max(1),
    }
}

/// The client's address, as [`way`] finds it.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    way(peer, headers, trusted).client
}

/// What proxies have written into a header, the nearest one's word first.
pub(super) fn written<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().rev();
    values
        .flat_map(|value| value.to_str().unwrap_or_default().rsplit(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &[&str]) -> (String, usize) {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let way = way(peer.parse().unwrap(), &headers, &trusted);
        (way.client.to_string(), way.proxies)
    }

    fn client(peer: &str, forwarded: &[&str]) -> String {
        found(peer, forwarded).0
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_client() {
        assert_eq!(client("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_a_client_wrote_itself_does_not_count() {
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            client("10.0.0.1", &["203.0.113.9", "198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(client("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(
            client("10.0.0.1", &["198.51.100.7, nonsense, 10.0.0.2"]),
            "10.0.0.2"
        );
    }

    #[test]
    fn trusted_proxies_on_the_way_are_counted() {
        let proxies = |peer: &str, forwarded: &[&str]| found(peer, forwarded).1;
        assert_eq!(proxies("192.0.2.1", &["198.51.100.7"]), 0);
        assert_eq!(proxies("10.0.0.1", &[]), 1);
        assert_eq!(proxies("10.0.0.1", &["198.51.100.7"]), 1);
        assert_eq!(proxies("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"]), 2);
    }
}
