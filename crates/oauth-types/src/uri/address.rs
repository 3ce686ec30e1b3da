//! Addresses that the public internet does not lead to.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is this machine's, or on a network of its own: loopback, private (RFC 1918, RFC 4193,
/// RFC 6598), link-local, unspecified, or else not one public host's (IANA special-purpose registries:
/// benchmarking, protocol assignments, multicast, reserved, broadcast). Forms that carry an IPv4 address count
/// as what they carry: mapped, compatible, translated (RFC 6052, RFC 8215, RFC 2765) and 6to4. Teredo
/// (RFC 4380) hides where it leads and counts as local.
///
/// A host checks with it what a name resolves to, before it connects (RFC 9728 §7.7).
#[must_use]
pub fn is_local_ip(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_local_v4(address),
        IpAddr::V6(address) => is_local_v6(address),
    }
}

fn is_local_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_benchmarking = first == 198 && matches!(second, 18 | 19);
    let is_assignment = (first, second, third) == (192, 0, 0);
    let is_multicast_or_reserved = first >= 224;
    ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || first == 0
        || is_shared
        || is_benchmarking
        || is_assignment
        || is_multicast_or_reserved
}

fn is_local_v6(ip: Ipv6Addr) -> bool {
    let [first, second, third, .., high, low] = ip.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_local_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        // IPv4-compatible (which :: and ::1 look like), mapped, translated, and the well-known NAT64 prefix.
        [0, 0, 0, 0, 0, 0, ..]
        | [0, 0, 0, 0, 0, 0xFFFF, ..]
        | [0, 0, 0, 0, 0xFFFF, 0, ..]
        | [0x64, 0xFF9B, 0, 0, 0, 0, ..] => v4(high, low),
        // 6to4
        [0x2002, ..] => v4(second, third),
        // Local-use NAT64 and Teredo.
        [0x64, 0xFF9B, 1, ..] | [0x2001, 0, ..] => true,
        // Unique local, link-local, site-local, multicast.
        _ => {
            first & 0xFE00 == 0xFC00 || matches!(first & 0xFFC0, 0xFE80 | 0xFEC0) || first >= 0xFF00
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_nobody_elses_are_local() {
        for local in [
            "127.0.0.1",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "192.0.0.8",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::127.0.0.1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1.1.1.1",
            "2002:7f00:1::",
            "2001::1",
        ] {
            assert!(is_local_ip(local.parse().unwrap()), "{local}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.255",
            "2001:db8::1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert!(!is_local_ip(public.parse().unwrap()), "{public}");
        }
    }
}
