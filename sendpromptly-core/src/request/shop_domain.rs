//! A shop's domain: a host name with a dot.

use std::net::Ipv4Addr;

/// Whether a text is a host name with a dot (RFC 1123, section 2.1), and neither an address nor with a port.
pub(crate) fn is_shop_domain(text: &str) -> bool {
    let labels = || text.split('.');
    text.len() <= 253
        && labels().count() >= 2
        && labels().all(is_label)
        && text.parse::<Ipv4Addr>().is_err()
        // No top-level domain is a number; what ends in one is an address in another spelling.
        && labels().next_back().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        && bytes[0] != b'-'
        && bytes[bytes.len() - 1] != b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_name_with_a_dot_is_a_shop_domain() {
        for right in [
            "example.myshopify.com",
            "a.b",
            "xn--bcher-kva.example",
            "1shop.example",
        ] {
            assert!(is_shop_domain(right), "{right}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for wrong in [
            "",
            "shop",
            "shop.",
            ".shop",
            "a..b",
            "a.b:443",
            "127.0.0.1",
            "[::1]",
            "1.2",
            "-a.b",
            "a-.b",
            "a_b.c",
            &long,
        ] {
            assert!(!is_shop_domain(wrong), "{wrong}");
        }
    }
}
