//! Whether a request that changes something comes from a page of this console.

use hyper::header::{HOST, HeaderMap, ORIGIN};

use crate::http::Client;

/// Whether an unsafe request may be handled: `Sec-Fetch-Site` says that it comes from this origin, or, from a
/// browser that does not say, `Origin` is this one. A client that sends neither is no browser of today; then
/// the form's token alone decides.
#[must_use]
pub fn is_own(headers: &HeaderMap, client: &Client) -> bool {
    let text = |value: Option<&hyper::header::HeaderValue>| {
        value.map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase())
    };
    if let Some(site) = text(headers.get("sec-fetch-site")) {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = text(headers.get(ORIGIN)) else {
        return true;
    };
    let scheme = if client.secure { "https" } else { "http" };
    let host = text(headers.get(HOST)).unwrap_or_default();
    origin == format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        map.insert(HOST, "pay.example.com".parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let client = Client {
            address: [192, 0, 2, 1].into(),
            secure: true,
            loopback: false,
        };
        is_own(&map, &client)
    }

    #[test]
    fn another_site_is_refused_whatever_else_it_says() {
        assert!(own(&[("sec-fetch-site", "same-origin")]));
        assert!(!own(&[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://pay.example.com")
        ]));
        assert!(!own(&[("sec-fetch-site", "same-site")]));
    }

    #[test]
    fn without_sec_fetch_site_the_origin_must_be_this_one() {
        assert!(own(&[("origin", "https://pay.example.com")]));
        for other in [
            "http://pay.example.com",
            "https://pay.example.com:444",
            "https://example.com",
            "null",
        ] {
            assert!(!own(&[("origin", other)]), "{other}");
        }
        assert!(own(&[]));
    }
}
