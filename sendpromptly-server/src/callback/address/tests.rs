//! The registries row by row, the embedded forms, and the ranges that may be opened.

use super::*;
use proptest::prelude::*;

const GLOBAL: bool = true;
const REFUSED: bool = false;

/// Every row of both IANA special-purpose registries (as of October 2025), beside the multicast blocks, which have
/// registries of their own. `GLOBAL` where the registry says "globally reachable", but for the anycast addresses
/// within the IETF protocol assignments, which reach the nearest gateway. Two rows are left to the properties below:
/// `::ffff:0:0/96` and `64:ff9b::/96`, where the embedded IPv4 address decides.
const REGISTRY: [(&str, bool); 55] = [
    ("0.0.0.0/8", REFUSED),
    ("0.0.0.0/32", REFUSED),
    ("10.0.0.0/8", REFUSED),
    ("100.64.0.0/10", REFUSED),
    ("127.0.0.0/8", REFUSED),
    ("169.254.0.0/16", REFUSED),
    ("172.16.0.0/12", REFUSED),
    ("192.0.0.0/24", REFUSED),
    ("192.0.0.0/29", REFUSED),
    ("192.0.0.8/32", REFUSED),
    ("192.0.0.9/32", REFUSED),
    ("192.0.0.10/32", REFUSED),
    ("192.0.0.170/32", REFUSED),
    ("192.0.0.171/32", REFUSED),
    ("192.0.2.0/24", REFUSED),
    ("192.31.196.0/24", GLOBAL),
    ("192.52.193.0/24", GLOBAL),
    ("192.88.99.0/24", REFUSED),
    ("192.88.99.2/32", REFUSED),
    ("192.168.0.0/16", REFUSED),
    ("192.175.48.0/24", GLOBAL),
    ("198.18.0.0/15", REFUSED),
    ("198.51.100.0/24", REFUSED),
    ("203.0.113.0/24", REFUSED),
    ("224.0.0.0/4", REFUSED),
    ("240.0.0.0/4", REFUSED),
    ("255.255.255.255/32", REFUSED),
    ("::1/128", REFUSED),
    ("::/128", REFUSED),
    ("::/96", REFUSED),
    ("64:ff9b:1::/48", REFUSED),
    ("100::/64", REFUSED),
    ("100:0:0:1::/64", REFUSED),
    ("2001::/23", REFUSED),
    ("2001::/32", REFUSED),
    ("2001:1::1/128", REFUSED),
    ("2001:1::2/128", REFUSED),
    ("2001:1::3/128", REFUSED),
    ("2001:2::/48", REFUSED),
    ("2001:3::/32", REFUSED),
    ("2001:4:112::/48", REFUSED),
    ("2001:10::/28", REFUSED),
    ("2001:20::/28", REFUSED),
    ("2001:30::/28", REFUSED),
    ("2001:db8::/32", REFUSED),
    ("2002::/16", REFUSED),
    ("2620:4f:8000::/48", GLOBAL),
    ("3fff::/20", REFUSED),
    ("5f00::/16", REFUSED),
    ("fc00::/7", REFUSED),
    ("fe80::/10", REFUSED),
    ("fec0::/10", REFUSED),
    ("ff00::/8", REFUSED),
    ("::ffff:0:0:0/96", REFUSED), // IPv4-translated, RFC 2765
    ("4000::/2", REFUSED),
];

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn range(text: &str) -> AllowedRange {
    text.parse().unwrap()
}

fn reason(text: &str) -> String {
    check_global(address(text)).unwrap_err().to_string()
}

fn opening(ranges: &[&str]) -> AddressPolicy {
    AddressPolicy {
        allow_private: false,
        allowed_ranges: ranges.iter().map(|text| range(text)).collect(),
    }
}

fn middle(net: &IpNet) -> IpAddr {
    match net {
        IpNet::V4(net) => {
            let (first, last) = (u32::from(net.network()), u32::from(net.broadcast()));
            Ipv4Addr::from(first + (last - first) / 2).into()
        }
        IpNet::V6(net) => {
            let (first, last) = (u128::from(net.network()), u128::from(net.broadcast()));
            Ipv6Addr::from(first + (last - first) / 2).into()
        }
    }
}

#[test]
fn first_middle_and_last_address_of_every_registry_row_follow_the_registry() {
    for (row, global) in REGISTRY {
        let net: IpNet = row.parse().unwrap();
        for address in [net.network(), middle(&net), net.broadcast()] {
            assert_eq!(check_global(address).is_ok(), global, "{address} in {row}");
        }
    }
}

#[test]
fn addresses_next_to_the_refused_blocks_are_global() {
    let neighbours = "
        1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255
        128.0.0.0 168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255
        172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0
        192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0
        203.0.112.255 203.0.114.0 223.255.255.255
        2000:: 2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff
        2001:db9:: 2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003::
        3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    ";
    for text in neighbours.split_whitespace() {
        assert_eq!(check_global(address(text)), Ok(()), "{text}");
    }
}

#[test]
fn well_known_public_addresses_are_global() {
    for text in [
        "93.184.216.34",
        "8.8.8.8",
        "2606:2800:220:1:248:1893:25c8:1946",
        "2a00:1450:4001::200e",
    ] {
        assert_eq!(check_global(address(text)), Ok(()), "{text}");
    }
}

#[test]
fn the_reason_names_the_kind_of_address() {
    assert_eq!(reason("127.0.0.1"), "a loopback address");
    assert_eq!(reason("::1"), "a loopback address");
    assert_eq!(reason("0.0.0.0"), "the unspecified address");
    assert_eq!(reason("::"), "the unspecified address");
    assert_eq!(reason("100.64.0.1"), "a carrier-grade NAT address (RFC 6598)");
    assert_eq!(reason("255.255.255.255"), "the broadcast address");
    assert_eq!(
        reason("64:ff9b::10.0.0.1"),
        "a NAT64 address that leads to a private address (RFC 1918)"
    );
    assert_eq!(
        reason("2a00::5efe:127.0.0.1"),
        "an ISATAP address that leads to a loopback address"
    );
    assert_eq!(
        reason("4000::1"),
        "an address outside the global unicast block 2000::/3"
    );
}

#[test]
fn metadata_services_are_refused_by_name() {
    let services = [
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:c1::a9fe:a9fe",
        "fd00:42::42",
        "fd00:a9fe:a9fe::1",
        "fd00:100::100:200",
    ];
    for text in services {
        assert_eq!(
            reason(text),
            "the address of a cloud's metadata service",
            "{text}"
        );
    }
    assert_eq!(reason("169.254.169.254"), "a link-local address");
}

#[test]
fn isatap_counts_in_both_forms_of_its_interface_identifier() {
    for text in [
        "2a00::5efe:192.168.0.1",
        "2a00::200:5efe:192.168.0.1",
        "fd12::5efe:192.168.0.1",
    ] {
        assert!(check_global(address(text)).is_err(), "{text}");
    }
    assert_eq!(check_global(address("2a00::200:5efe:93.184.216.34")), Ok(()));
    assert_eq!(
        check_global(address("2a00::100:5efe:192.168.0.1")),
        Ok(()),
        "not an ISATAP identifier"
    );
}

#[test]
fn tunnels_without_public_services_are_refused_whatever_they_embed() {
    for text in [
        "2002:808:808::1",
        "2001:0:808:808::1",
        "::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
    ] {
        assert!(check_global(address(text)).is_err(), "{text}");
    }
}

#[test]
fn an_opened_range_lets_its_own_addresses_through_and_no_others() {
    let policy = opening(&["10.20.0.0/16", "fd12:3456::/32"]);
    for text in [
        "10.20.0.1",
        "10.20.255.255",
        "::ffff:10.20.0.1",
        "fd12:3456::1",
        "93.184.216.34",
    ] {
        assert_eq!(policy.check(address(text)), Ok(()), "{text}");
    }
    for text in [
        "10.21.0.1",
        "fd12:3457::1",
        "127.0.0.1",
        "64:ff9b::10.20.0.1",
        "fd12:3456::5efe:127.0.0.1",
    ] {
        assert!(policy.check(address(text)).is_err(), "{text}");
    }
}

#[test]
fn a_metadata_address_stays_closed_within_an_opened_range() {
    let policy = opening(&["fc00::/7", "100.64.0.0/10"]);
    assert_eq!(policy.check(address("fd00:ec3::1")), Ok(()));
    assert_eq!(policy.check(address("100.100.100.201")), Ok(()));
    assert!(policy.check(address("fd00:ec2::254")).is_err());
    assert!(policy.check(address("100.100.100.200")).is_err());
}

#[test]
fn the_development_policy_lets_all_through() {
    let policy = AddressPolicy {
        allow_private: true,
        ..AddressPolicy::default()
    };
    for text in ["127.0.0.1", "::1", "10.0.0.1", "169.254.1.1"] {
        assert_eq!(policy.check(address(text)), Ok(()), "{text}");
    }
}

#[test]
fn private_ranges_may_be_opened() {
    let ranges = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.7.0/24",
        "100.64.0.0/10",
        "fc00::/7",
        "10.1.2.3",
    ];
    for text in ranges {
        assert!(text.parse::<AllowedRange>().is_ok(), "{text}");
    }
    assert_eq!(range("10.1.2.3/8"), range("10.0.0.0/8"), "host bits do not count");
}

#[test]
fn ranges_that_are_never_called_cannot_be_opened() {
    let ranges = [
        "127.0.0.0/8",
        "127.0.0.1",
        "::1/128",
        "169.254.0.0/16",
        "169.254.169.254/32",
        "fe80::/10",
        "fd00:ec2::254/128",
        "fd00:ec2::/32",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0/8",
        "224.0.0.0/4",
        "64:ff9b::/96",
        "::ffff:10.0.0.0/104",
    ];
    for text in ranges {
        let refused = text.parse::<AllowedRange>().unwrap_err();
        assert!(matches!(refused, RangeError::Never { .. }), "{text}: {refused}");
    }
}

#[test]
fn ranges_that_reach_beyond_the_private_ones_cannot_be_opened() {
    for text in [
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/7",
        "172.16.0.0/11",
        "93.184.216.0/24",
        "2a00::/16",
        "f000::/4",
    ] {
        let refused = text.parse::<AllowedRange>().unwrap_err();
        assert!(
            matches!(refused, RangeError::NotPrivate { .. } | RangeError::Never { .. }),
            "{text}: {refused}"
        );
    }
}

#[test]
fn a_refused_range_is_named_with_what_would_be_right() {
    let refused = "127.0.0.0/8".parse::<AllowedRange>().unwrap_err().to_string();
    assert_eq!(
        refused,
        "127.0.0.0/8 cannot be opened for callbacks: a loopback address is never called; a range must lie within \
         10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7"
    );
    let refused = "ten".parse::<AllowedRange>().unwrap_err().to_string();
    assert_eq!(
        refused,
        "`ten` is not an address range; write it like 10.20.0.0/16 or fd12:3456::/32"
    );
}

proptest! {
    #[test]
    fn mapped_and_nat64_addresses_are_judged_as_the_ipv4_address_they_lead_to(bits: u32) {
        let plain = check_global(Ipv4Addr::from(bits).into());
        let mapped = Ipv6Addr::from(0xffff_0000_0000_u128 | u128::from(bits));
        let nat64 = Ipv6Addr::from((0x64_ff9b_u128 << 96) | u128::from(bits));
        prop_assert_eq!(check_global(mapped.into()), plain);
        prop_assert_eq!(check_global(nat64.into()).is_ok(), plain.is_ok());
    }

    #[test]
    fn nothing_outside_global_unicast_but_mapped_and_nat64_is_global(bits: u128) {
        let address = Ipv6Addr::from(bits);
        prop_assume!(bits >> 125 != 1 && bits >> 32 != 0xffff && bits >> 32 != 0x64_ff9b << 64);
        prop_assert!(check_global(address.into()).is_err());
    }

    #[test]
    fn no_set_of_opened_ranges_opens_what_is_never_called(
        third in 0u8..=255, prefix in 12u8..=32, loopback in 0x7f00_0000u32..=0x7fff_ffff,
        link_local in 0xa9fe_0000u32..=0xa9fe_ffff,
    ) {
        let private: IpNet = format!("172.16.{third}.0/{prefix}").parse().unwrap();
        let mut policy = opening(&["10.0.0.0/8", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"]);
        policy.allowed_ranges.push(AllowedRange::try_from(private).unwrap());
        prop_assert!(policy.check(Ipv4Addr::from(loopback).into()).is_err());
        prop_assert!(policy.check(Ipv4Addr::from(link_local).into()).is_err());
    }
}
