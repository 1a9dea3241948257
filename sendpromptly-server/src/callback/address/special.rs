//! The blocks of both address families that are not the public internet, as a table.
//!
//! Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190), the IANA IPv6 Address
//! Space registry (only `2000::/3` is allocated for global unicast), and the clouds' documented metadata addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A block of addresses that are not globally reachable.
#[derive(Debug)]
pub(super) struct SpecialBlock {
    net: IpNet,
    /// What such an address is, with its article: "a loopback address".
    pub(super) what: &'static str,
    /// Whether an operator may open it.
    pub(super) private: bool,
}

/// The block in which `address` lies; none for a global address. IPv4-mapped addresses must be unmapped before.
pub(super) fn block_of(address: IpAddr) -> Option<&'static SpecialBlock> {
    if is_nat64(address) {
        return None; // its embedded IPv4 address decides
    }
    BLOCKS.iter().find(|block| block.net.contains(&address))
}

/// The first block that holds all of `range`.
pub(super) fn block_around(range: IpNet) -> Option<&'static SpecialBlock> {
    BLOCKS.iter().find(|block| block.net.contains(&range))
}

fn is_nat64(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if matches!(v6.segments(), [0x64, 0xff9b, 0, 0, 0, 0, ..]))
}

const METADATA: &str = "the address of a cloud's metadata service";
const PRIVATE: &str = "a private address (RFC 1918)";
const DOCUMENTATION: &str = "an address for documentation";

/// The first block that holds an address counts, so the narrower ones stand first.
static BLOCKS: [SpecialBlock; 46] = [
    // Metadata services outside of the link-local blocks.
    never(v4([100, 100, 100, 200], 32), METADATA), // Alibaba Cloud
    never(v4([168, 63, 129, 16], 32), METADATA),   // Azure
    never(v4([192, 0, 0, 192], 32), METADATA),     // Oracle Cloud (classic)
    never(v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), METADATA), // AWS
    never(v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), METADATA), // Google Cloud
    never(v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), METADATA), // Oracle Cloud
    never(v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), METADATA), // Scaleway
    never(v6([0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 0x1], 128), METADATA), // Akamai
    never(v6([0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200], 128), METADATA), // Alibaba Cloud
    // IPv4.
    never(v4([0, 0, 0, 0], 32), "the unspecified address"),
    never(v4([0, 0, 0, 0], 8), "an address of \"this network\" (RFC 791)"),
    may_open(v4([10, 0, 0, 0], 8), PRIVATE),
    may_open(v4([100, 64, 0, 0], 10), "a carrier-grade NAT address (RFC 6598)"),
    never(v4([127, 0, 0, 0], 8), "a loopback address"),
    never(v4([169, 254, 0, 0], 16), "a link-local address"),
    may_open(v4([172, 16, 0, 0], 12), PRIVATE),
    never(v4([192, 0, 0, 0], 24), "an IETF protocol address (RFC 6890)"),
    never(v4([192, 0, 2, 0], 24), DOCUMENTATION),
    never(v4([192, 88, 99, 0], 24), "a 6to4 relay address (RFC 7526)"),
    may_open(v4([192, 168, 0, 0], 16), PRIVATE),
    never(v4([198, 18, 0, 0], 15), "an address for benchmarks (RFC 2544)"),
    never(v4([198, 51, 100, 0], 24), DOCUMENTATION),
    never(v4([203, 0, 113, 0], 24), DOCUMENTATION),
    never(v4([224, 0, 0, 0], 4), "a multicast address"),
    never(v4([255, 255, 255, 255], 32), "the broadcast address"),
    never(v4([240, 0, 0, 0], 4), "a reserved address (RFC 1112)"),
    // IPv6.
    never(v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "the unspecified address"),
    never(v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "a loopback address"),
    never(
        v6([0, 0, 0, 0, 0, 0, 0, 0], 96),
        "an IPv4-compatible address (RFC 4291)",
    ),
    never(
        v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
        "a local NAT64 address (RFC 8215)",
    ),
    never(
        v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64),
        "a discard address (RFC 6666)",
    ),
    never(
        v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32),
        "a Teredo address (RFC 4380)",
    ),
    never(
        v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48),
        "an address for benchmarks (RFC 5180)",
    ),
    never(
        v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
        "an IETF protocol address (RFC 2928)",
    ),
    never(v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), DOCUMENTATION),
    never(v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "a 6to4 address (RFC 3056)"),
    never(v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), DOCUMENTATION),
    never(
        v6([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16),
        "a segment routing address (RFC 9602)",
    ),
    may_open(
        v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
        "a unique local address (RFC 4193)",
    ),
    never(v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "a link-local address"),
    never(
        v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
        "a site-local address (RFC 3879)",
    ),
    never(v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "a multicast address"),
    // All that is not 2000::/3, the global unicast block.
    never(v6([0x0000, 0, 0, 0, 0, 0, 0, 0], 3), RESERVED_V6),
    never(v6([0x4000, 0, 0, 0, 0, 0, 0, 0], 2), RESERVED_V6),
    never(v6([0x8000, 0, 0, 0, 0, 0, 0, 0], 2), RESERVED_V6),
    never(v6([0xc000, 0, 0, 0, 0, 0, 0, 0], 2), RESERVED_V6),
];

const RESERVED_V6: &str = "an address outside the global unicast block 2000::/3";

const fn never(net: IpNet, what: &'static str) -> SpecialBlock {
    SpecialBlock {
        net,
        what,
        private: false,
    }
}

const fn may_open(net: IpNet, what: &'static str) -> SpecialBlock {
    SpecialBlock {
        net,
        what,
        private: true,
    }
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix))
}
