//! Which addresses are local, against the tables of IANA's registries read as text.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use oauth_types::is_local_ip;

/// The special-purpose blocks that are not globally reachable, those that are set aside for protocols as a whole,
/// what leads through relays, and multicast.
const LOCAL: &str = "
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7
    fe80::/10 fec0::/10 ff00::/8";

/// Blocks whose last 32 bits are an IPv4 address.
const CARRIERS: &str = "::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96";

/// The bits of an address, counted from the left, after a mark of its family.
fn bits(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => format!("4{:032b}", v4.to_bits()),
        IpAddr::V6(v6) => format!("6{:0128b}", v6.to_bits()),
    }
}

fn prefixes(blocks: &str) -> Vec<String> {
    let prefix = |block: &str| {
        let (address, length) = block.split_once('/').unwrap();
        let length: usize = length.parse().unwrap();
        bits(address.parse().unwrap())[..=length].to_owned()
    };
    blocks.split_whitespace().map(prefix).collect()
}

static TABLES: LazyLock<[Vec<String>; 2]> = LazyLock::new(|| [LOCAL, CARRIERS].map(prefixes));

fn reference(address: IpAddr) -> bool {
    let [local, carriers] = &*TABLES;
    let own = bits(address);
    if carriers.iter().any(|prefix| own.starts_with(prefix)) {
        let carried = u32::from_str_radix(&own[97..], 2).unwrap();
        return reference(Ipv4Addr::from_bits(carried).into());
    }
    local.iter().any(|prefix| own.starts_with(prefix))
}

#[derive(Arbitrary, Debug)]
enum Input {
    V4(u32),
    V6(u128),
    /// An address in a block of either table, by its place there.
    Special(u8, u128),
}

fuzz_target!(|input: Input| {
    let address = match input {
        Input::V4(bits) => Ipv4Addr::from_bits(bits).into(),
        Input::V6(bits) => Ipv6Addr::from_bits(bits).into(),
        Input::Special(place, host) => {
            let blocks: Vec<_> = TABLES.iter().flatten().collect();
            let prefix = blocks[usize::from(place) % blocks.len()];
            let (family, network) = prefix.split_at(1);
            let host = format!("{host:0128b}");
            if family == "4" {
                let all = format!("{network}{}", &host[96 + network.len()..]);
                Ipv4Addr::from_bits(u32::from_str_radix(&all, 2).unwrap()).into()
            } else {
                let all = format!("{network}{}", &host[network.len()..]);
                Ipv6Addr::from_bits(u128::from_str_radix(&all, 2).unwrap()).into()
            }
        }
    };
    assert_eq!(is_local_ip(address), reference(address), "{address}");
});
