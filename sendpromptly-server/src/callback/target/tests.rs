//! URLs in every spelling.

mod saving;

use super::*;
use crate::callback::address::AllowedRange;
use proptest::prelude::*;

fn public() -> AddressPolicy {
    AddressPolicy::default()
}

fn development() -> AddressPolicy {
    AddressPolicy {
        allow_private: true,
        ..AddressPolicy::default()
    }
}

fn refusal(text: &str) -> TargetError {
    RepairUrl::parse(text, &public()).expect_err(text)
}

#[test]
fn takes_a_public_https_url_as_it_is() {
    for text in [
        "https://shop.example/repair",
        "https://shop.example:8443/repair?token=a%20b",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "https://xn--bcher-kva.example/",
        "https://shop.example./repair",
    ] {
        assert_eq!(RepairUrl::parse(text, &public()).unwrap().as_str(), text);
    }
}

#[test]
fn keeps_no_fragment() {
    let url = RepairUrl::parse("https://shop.example/repair#top", &public()).unwrap();
    assert_eq!(url.as_str(), "https://shop.example/repair");
}

#[test]
fn refuses_loopback_in_every_spelling() {
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7F.1",
        "0177.0.0.1",
        "0x7f.0.0.0x1",
        "00000177.0.0.01",
        "%31%32%37.0.0.1",
        "１２７.０.０.１",
        "127。0。0。1",
        "①②⑦.⓪.⓪.①",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001:0:7f00:1::80ff:fffe]",
        "[2a00::200:5efe:127.0.0.1]",
        "0",
        "0.0.0.0",
        "[::]",
    ] {
        let refused = refusal(&format!("https://{host}/repair"));
        assert!(
            matches!(refused, TargetError::ForbiddenAddress { .. }),
            "{host}: {refused}"
        );
    }
}

#[test]
fn refuses_hosts_that_only_look_like_addresses() {
    for host in [
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[::1",
        "127.0.0.1.1",
        "256.0.0.1",
        "0x7f.0.0.0.1",
        "1.2.3.4.5",
        "[v1.a]",
    ] {
        let refused = refusal(&format!("https://{host}/repair"));
        assert!(matches!(refused, TargetError::Malformed(_)), "{host}: {refused}");
    }
}

#[test]
fn refuses_what_is_not_https() {
    for text in [
        "http://shop.example/",
        "HTTP://shop.example/",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "a:b",
    ] {
        assert_eq!(refusal(text), TargetError::NotHttps, "{text}");
    }
}

#[test]
fn an_opened_range_is_called_by_https_only() {
    let policy = AddressPolicy {
        allow_private: false,
        allowed_ranges: vec!["10.0.0.0/8".parse::<AllowedRange>().unwrap()],
    };
    assert!(RepairUrl::parse("https://10.1.2.3/", &policy).is_ok());
    assert_eq!(
        RepairUrl::parse("http://10.1.2.3/", &policy),
        Err(TargetError::NotHttps)
    );
}

#[test]
fn the_development_policy_takes_http_and_loopback() {
    assert!(RepairUrl::parse("http://127.0.0.1:3000/repair", &development()).is_ok());
    assert_eq!(
        RepairUrl::parse("ftp://127.0.0.1/", &development()),
        Err(TargetError::NotHttps)
    );
}

#[test]
fn a_url_that_was_taken_in_development_fails_the_strict_policy() {
    let url = RepairUrl::parse("https://127.0.0.1/", &development()).unwrap();
    assert!(matches!(
        url.check(&public()),
        Err(TargetError::ForbiddenAddress { .. })
    ));
    let url = RepairUrl::parse("http://shop.example/", &development()).unwrap();
    assert_eq!(url.check(&public()), Err(TargetError::NotHttps));
}

#[test]
fn refuses_credentials() {
    for text in [
        "https://user@shop.example/",
        "https://user:pw@shop.example/",
        "https://:pw@shop.example/",
    ] {
        assert_eq!(refusal(text), TargetError::Credentials, "{text}");
    }
}

#[test]
fn refuses_urls_without_a_host() {
    for text in [
        "https:///repair",
        "https://\\shop.example",
        "",
        "shop.example/repair",
        "/repair",
        "//shop.example/",
        "https://",
        "https://?a",
    ] {
        let refused = refusal(text);
        assert!(
            matches!(refused, TargetError::Malformed(_)),
            "{text:?}: {refused}"
        );
    }
}

#[test]
fn refuses_host_names_that_dns_cannot_hold() {
    let long_label = format!("https://{}.example/", "a".repeat(64));
    let long_name = format!("https://{}example/", "abcdefghi.".repeat(25));
    for text in [
        "https://a..b/",
        "https://-a.example/",
        "https://a!b.example/",
        &long_label,
        &long_name,
    ] {
        assert_eq!(refusal(text), TargetError::HostName, "{text}");
    }
}

#[test]
fn refuses_blanks_and_control_characters() {
    for text in [
        " https://shop.example/",
        "https://shop.example/a b",
        "https://shop\t.example/",
        "https://a\n.b/\u{7f}",
    ] {
        assert_eq!(refusal(text), TargetError::Blank, "{text:?}");
    }
}

#[test]
fn refuses_port_zero_and_takes_any_other() {
    assert_eq!(refusal("https://shop.example:0/"), TargetError::PortZero);
    assert!(matches!(
        refusal("https://shop.example:65536/"),
        TargetError::Malformed(_)
    ));
    assert!(RepairUrl::parse("https://shop.example:65535/", &public()).is_ok());
}

#[test]
fn bounds_the_length_as_given_and_as_written_out() {
    let fits = format!("https://shop.example/{}", "a".repeat(MAX_URL_BYTES - 21));
    assert!(RepairUrl::parse(&fits, &public()).is_ok());
    assert_eq!(refusal(&format!("{fits}a")), TargetError::TooLong);
    let grows = format!("https://shop.example/{}", "ü".repeat(800)); // %C3%BC each
    assert_eq!(refusal(&grows), TargetError::TooLong);
}

#[test]
fn neither_debug_nor_errors_show_path_or_query() {
    let url = RepairUrl::parse("https://shop.example:8443/hidden?token=hidden", &public()).unwrap();
    assert_eq!(format!("{url:?}"), "RepairUrl(https://shop.example:8443/…)");
    for text in [
        "http://shop.example/hidden?hidden#hidden",
        "https://10.0.0.1/hidden?hidden",
        "https://hidden:hidden@shop.example/hidden",
        "https://shop.example:0/hidden",
        "https://a..b/hidden",
        "https://[::1/hidden",
        "hidden",
    ] {
        let refused = refusal(text);
        assert!(
            !format!("{refused} {refused:?}").contains("hidden"),
            "{refused:?}"
        );
    }
}

#[test]
fn a_refused_address_is_named_with_its_kind() {
    assert_eq!(
        refusal("https://0x7f.1/repair").to_string(),
        "the repair URL leads to 127.0.0.1, a loopback address; it must lead to a public address"
    );
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC*") {
        let _ = RepairUrl::parse(&text, &public());
    }

    #[test]
    fn what_is_stored_parses_to_itself(path in "[a-zA-Z0-9/?&=%.ü\"<>|^`{}-]{0,40}") {
        if let Ok(url) = RepairUrl::parse(&format!("https://shop.example/{path}"), &public()) {
            prop_assert_eq!(RepairUrl::parse(url.as_str(), &public()), Ok(url));
        }
    }

    #[test]
    fn every_spelling_of_an_ipv4_address_is_judged_alike(bits: u32) {
        let [a, b, c, d] = bits.to_be_bytes();
        let verdict = public().check(IpAddr::from([a, b, c, d])).is_ok();
        let spellings = [
            format!("{a}.{b}.{c}.{d}"),
            format!("{bits}"),
            format!("{bits:#x}"),
            format!("0{bits:o}"),
            format!("{a:#x}.0{b:o}.{}", u32::from(c) << 8 | u32::from(d)),
            format!("{a}.{}", bits & 0xff_ffff),
            format!("[::ffff:{a}.{b}.{c}.{d}]"),
        ];
        for host in spellings {
            prop_assert_eq!(RepairUrl::parse(&format!("https://{host}/"), &public()).is_ok(), verdict, "{}", host);
        }
    }
}
