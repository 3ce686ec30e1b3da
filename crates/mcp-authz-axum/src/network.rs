//! Networks by which requests and connections are counted for rate and connection limits.
//!
//! An IPv4 address is scarce, so each is counted by itself. An IPv6 subscriber line comes with 256 networks of 64 bits
//! (a /56) and a site with 65,536 (a /48), so the networks around a /64 are counted as well.

use std::net::{IpAddr, Ipv6Addr};

/// Prefix lengths at which an IPv6 address is counted.
const WIDTHS: [u32; 3] = [64, 56, 48];

/// Multiples of a limit that the networks of each width share, narrowest first.
pub(crate) const SHARES: [u16; 3] = [1, 2, 4];

/// Network, as its first address and its prefix length in bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Network {
    first: IpAddr,
    width: u32,
}

/// Returns the networks of an address, the narrowest first.
///
/// They are the address itself for IPv4, and its /64, /56 and /48 for IPv6.
pub(crate) fn networks(address: IpAddr) -> [Option<Network>; 3] {
    match address.to_canonical() {
        first @ IpAddr::V4(_) => [Some(Network { first, width: 32 }), None, None],
        IpAddr::V6(address) => {
            WIDTHS.map(|width| Some(Network { first: within(address, width), width }))
        }
    }
}

/// Returns the first address of the narrowest network around an address.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => within(address, 64),
    }
}

fn within(address: Ipv6Addr, width: u32) -> IpAddr {
    let mask = u128::MAX.unbounded_shl(128_u32.saturating_sub(width));
    Ipv6Addr::from_bits(address.to_bits() & mask).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-227
    #[test]
    fn an_address_of_ipv6_is_in_three_networks() {
        let of = |address: &str| networks(address.parse().unwrap());
        let [one, other] = ["2001:db8:1:2ff::1", "2001:db8:1:2ee::2"].map(of);
        assert_ne!(one[0], other[0]);
        assert_eq!((one[1], one[2]), (other[1], other[2]));
        let far = of("2001:db8:1:300::1");
        assert_ne!(one[1], far[1]);
        assert_eq!(one[2], far[2]);
        assert_ne!(one[2], of("2001:db8:2::1")[2]);
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("192.0.2.1").iter().flatten().count(), 1);
    }
}
