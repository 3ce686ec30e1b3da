//! IP addresses that are not globally reachable, as a defence against SSRF.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns `true` if an address is not the address of one public host.
///
/// That is every block that the IANA special-purpose registries do not call globally reachable (loopback, private,
/// shared, link-local, documentation, benchmarking, discard, segment routing), the blocks set aside for protocols
/// (192.0.0.0/24 and `2001::/23`, whose few reachable addresses belong to the nearest relay), multicast, and reserved.
///
/// Forms that carry an IPv4 address are judged by that address: mapped, compatible, and translated (RFC 6052, RFC
/// 2765). Forms that lead through a relay count as local: 6to4, Teredo and local-use NAT64.
///
/// A host applies it to the addresses that a name resolves to, before it connects (RFC 9728 §7.7, client ID metadata
/// documents §6.5).
///
/// # Examples
///
/// ```
/// use oauth_types::is_local_ip;
///
/// assert!(is_local_ip("169.254.169.254".parse()?) && is_local_ip("::ffff:10.0.0.1".parse()?));
/// assert!(!is_local_ip("1.1.1.1".parse()?));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[must_use]
pub fn is_local_ip(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_local_v4(address),
        IpAddr::V6(address) => is_local_v6(address),
    }
}

fn is_local_v4(ip: Ipv4Addr) -> bool {
    // C-AUTHZ-7, A-CIMD-1
    match ip.octets() {
        // This network, private, loopback, multicast, reserved and broadcast.
        [0 | 10 | 127 | 224.., ..] => true,
        // Shared between a provider and its customers (RFC 6598).
        [100, 64..128, ..] => true,
        // Link-local and private.
        [169, 254, ..] | [172, 16..32, ..] | [192, 168, ..] => true,
        // Protocol assignments, and the relays of 6to4 (RFC 7526).
        [192, 0, 0, _] | [192, 88, 99, _] => true,
        // Benchmarking (RFC 2544).
        [198, 18 | 19, ..] => true,
        // Documentation (RFC 5737).
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    }
}

fn is_local_v6(ip: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_local_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        // IPv4-compatible (which includes :: and ::1), mapped, translated, and the well-known NAT64 prefix.
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0, 0xFFFF, high, low]
        | [0, 0, 0, 0, 0xFFFF, 0, high, low]
        | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => v4(high, low),
        // Local-use NAT64, protocol assignments with Teredo, and 6to4.
        [0x64, 0xFF9B, 1, ..] | [0x2001, ..0x200, ..] | [0x2002, ..] => true,
        // Discard-only (RFC 6666), and the dummy prefix (RFC 9780).
        [0x100, 0, 0, 0 | 1, ..] => true,
        // Documentation (RFC 3849, RFC 9637).
        [0x2001, 0xDB8, ..] | [0x3FFF, ..0x1000, ..] => true,
        // Segment routing (RFC 9602).
        [0x5F00, ..] => true,
        // Unique local, link-local, site-local, multicast.
        [0xFC00..=0xFDFF | 0xFE80..=0xFEFF | 0xFF00.., ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks that are not globally reachable (IANA), and others that belong to no public host.
    const LOCAL: [&str; 27] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        // Includes 192.0.0.9 and 192.0.0.10, which lead to the nearest relay.
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        // Includes the anycast, AS112, ORCHID and DRIP blocks, in which no host has an address.
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];

    /// Blocks that the registries call globally reachable, and addresses of public hosts.
    const PUBLIC: [&str; 8] = [
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.175.48.0/24",
        "1.1.1.1/32",
        "8.8.8.8/32",
        "2620:4f:8000::/48",
        "2606:4700::1111/128",
        "2a00::/16",
    ];

    /// Prefixes of forms that carry an IPv4 address in their last 32 bits.
    const CARRIERS: [&str; 4] = ["::", "::ffff:", "::ffff:0:", "64:ff9b::"];

    /// Returns the first and last address of a block, and the addresses just outside it.
    fn edges(block: &str) -> ([IpAddr; 2], Vec<IpAddr>) {
        let (address, length) = block.split_once('/').unwrap();
        let (address, length) = (address.parse().unwrap(), length.parse::<u32>().unwrap());
        let (first, size, all): (u128, u128, u128) = match address {
            IpAddr::V4(v4) => (v4.to_bits().into(), 1 << (32 - length), (u32::MAX).into()),
            IpAddr::V6(v6) => (v6.to_bits(), 1 << (128 - length), u128::MAX),
        };
        let ip = |bits: u128| match address {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::from_bits(bits.try_into().unwrap())),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::from_bits(bits)),
        };
        let last = first + (size - 1);
        let outside = [first.checked_sub(1), last.checked_add(1).filter(|bits| *bits <= all)];
        ([ip(first), ip(last)], outside.into_iter().flatten().map(ip).collect())
    }

    fn is_listed(address: IpAddr) -> bool {
        LOCAL.iter().any(|block| {
            let ([first, last], _) = edges(block);
            first.is_ipv4() == address.is_ipv4() && (first..=last).contains(&address)
        })
    }

    /// C-AUTHZ-7
    #[test]
    fn every_special_purpose_block_is_local_up_to_its_edges() {
        for block in LOCAL {
            let (inside, outside) = edges(block);
            assert!(inside.into_iter().all(is_local_ip), "{block}");
            for address in outside {
                assert_eq!(is_local_ip(address), is_listed(address), "{block}: {address}");
            }
        }
        for block in PUBLIC {
            let (inside, _) = edges(block);
            assert!(!inside.into_iter().any(is_local_ip), "{block}");
        }
    }

    /// C-AUTHZ-7
    #[test]
    fn a_form_that_carries_an_address_is_judged_by_it() {
        for block in LOCAL.iter().chain(&PUBLIC) {
            let (inside, outside) = edges(block);
            for v4 in inside.into_iter().chain(outside).filter(IpAddr::is_ipv4) {
                for form in CARRIERS {
                    let address = format!("{form}{v4}").parse().unwrap();
                    assert_eq!(is_local_ip(address), is_local_ip(v4), "{address}");
                }
            }
        }
        for local in ["::", "::1", "::ffff:7f00:1", "64:ff9b::7f00:1", "2002:101:101::", "2001::1"]
        {
            assert!(is_local_ip(local.parse().unwrap()), "{local}");
        }
    }
}
