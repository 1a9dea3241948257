//! Which addresses may be called: the globally reachable ones, and private ranges that the operator names.

mod special;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use special::SpecialBlock;

/// Why an address may not be called, in words: "a private address (RFC 1918)".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    what: &'static str,
    embedded_in: Option<&'static str>,
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.embedded_in {
            None => f.write_str(self.what),
            Some(outer) => write!(f, "{outer} that leads to {}", self.what),
        }
    }
}

/// Checks that `address` is globally reachable, so that calling it reaches the public internet and nothing else.
///
/// The IANA special-purpose address registries of both families decide. An IPv4-mapped address counts as the IPv4
/// address that it is; NAT64 (`64:ff9b::/96`) and ISATAP addresses must lead to a global IPv4 address. 6to4, Teredo,
/// IPv4-compatible and local NAT64 addresses are refused whatever they embed, for no public service lives there.
/// Stricter than the registries in one point: the anycast addresses within the IETF protocol assignments
/// (`192.0.0.0/24`, `2001::/23`) are refused, for they reach the nearest gateway.
///
/// # Errors
///
/// [`Forbidden`], which says what kind of address it is.
///
/// ```
/// use sendpromptly_server::callback::address::check_global;
///
/// assert!(check_global("93.184.216.34".parse()?).is_ok());
/// let refused = check_global("::ffff:10.0.0.1".parse()?).unwrap_err();
/// assert_eq!(refused.to_string(), "a private address (RFC 1918)");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn check_global(address: IpAddr) -> Result<(), Forbidden> {
    let address = address.to_canonical();
    check_embedded(address)?;
    match special::block_of(address) {
        None => Ok(()),
        Some(block) => Err(block.into()),
    }
}

/// Refuses an IPv6 address that a translator or a tunnel would turn into a call to a forbidden IPv4 address.
fn check_embedded(address: IpAddr) -> Result<(), Forbidden> {
    let IpAddr::V6(v6) = address else { return Ok(()) };
    let Some((inner, outer)) = embedded_v4(v6) else {
        return Ok(());
    };
    match special::block_of(IpAddr::V4(inner)) {
        None => Ok(()),
        Some(block) => Err(Forbidden {
            what: block.what,
            embedded_in: Some(outer),
        }),
    }
}

/// The IPv4 address within a NAT64 address under the well-known prefix (RFC 6052) or an ISATAP one (RFC 5214).
fn embedded_v4(address: Ipv6Addr) -> Option<(Ipv4Addr, &'static str)> {
    let outer = match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => "a NAT64 address",
        // The interface identifier is 0000:5efe or, for a globally unique IPv4 address, 0200:5efe.
        [.., 0x0 | 0x200, 0x5efe, _, _] => "an ISATAP address",
        _ => return None,
    };
    let [.., a, b, c, d] = address.octets();
    Some((Ipv4Addr::new(a, b, c, d), outer))
}

impl From<&SpecialBlock> for Forbidden {
    fn from(block: &SpecialBlock) -> Self {
        Self {
            what: block.what,
            embedded_in: None,
        }
    }
}

/// Which addresses callbacks may go to. The default lets global addresses through and no other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Lets every address through, and `http` as well as `https`: for development only (`--allow-private-callbacks`).
    pub allow_private: bool,
    /// Private ranges in which repair endpoints lie (`--callback-allow`). `https` is required there, too.
    pub allowed_ranges: Vec<AllowedRange>,
}

impl AddressPolicy {
    /// Checks that `address` may be called under this policy.
    ///
    /// # Errors
    ///
    /// [`Forbidden`], which says what kind of address it is.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        if self.allow_private {
            return Ok(());
        }
        let address = address.to_canonical();
        check_embedded(address)?;
        match special::block_of(address) {
            None => Ok(()),
            Some(block) if block.private && self.lists(address) => Ok(()),
            Some(block) => Err(block.into()),
        }
    }

    fn lists(&self, address: IpAddr) -> bool {
        self.allowed_ranges.iter().any(|range| range.0.contains(&address))
    }
}

/// A private range that an operator may open: within `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`,
/// `100.64.0.0/10` or `fc00::/7`. A metadata service's address within it stays closed.
///
/// ```
/// use sendpromptly_server::callback::AllowedRange;
///
/// assert!("10.20.0.0/16".parse::<AllowedRange>().is_ok());
/// assert!("127.0.0.0/8".parse::<AllowedRange>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedRange(IpNet);

impl TryFrom<IpNet> for AllowedRange {
    type Error = RangeError;

    fn try_from(range: IpNet) -> Result<Self, RangeError> {
        match special::block_around(range) {
            Some(block) if block.private => Ok(Self(range.trunc())),
            Some(block) => Err(RangeError::Never {
                range,
                what: block.what,
            }),
            None => Err(RangeError::NotPrivate { range }),
        }
    }
}

impl FromStr for AllowedRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let range = match text.parse::<IpAddr>() {
            Ok(single) => IpNet::from(single),
            Err(_) => text.parse().map_err(|_| RangeError::Malformed {
                text: text.to_owned(),
            })?,
        };
        Self::try_from(range)
    }
}

/// A range that cannot be opened for callbacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Not a network in CIDR notation.
    #[error("`{text}` is not an address range; write it like 10.20.0.0/16 or fd12:3456::/32")]
    Malformed {
        /// What was given.
        text: String,
    },
    /// Loopback, link-local, metadata and other addresses to which no callback ever goes.
    #[error("{range} cannot be opened for callbacks: {what} is never called; {PRIVATE_RANGES}")]
    Never {
        /// The range that was given.
        range: IpNet,
        /// What kind of address lies there.
        what: &'static str,
    },
    /// A range that is public, or reaches beyond the private ones.
    #[error("{range} is not a private range; {PRIVATE_RANGES}")]
    NotPrivate {
        /// The range that was given.
        range: IpNet,
    },
}

const PRIVATE_RANGES: &str =
    "a range must lie within 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7";
