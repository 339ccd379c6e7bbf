//! The address plan: who has which address on the management network. Pure: the same catalog and
//! subnet give the same addresses on every machine and in every run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};

/// The host numbers that containers may have within their node's range. Below are the gateway and
/// the VIPs, above are those that the engine hands out to jobs.
pub const CONTAINER_NUMBERS: std::ops::RangeInclusive<u8> = 10..=239;

/// The bridge's own address: the first of the subnet.
pub fn gateway(subnet: Ipv4Net) -> Ipv4Addr {
    nth(subnet, 1)
}

/// The internal VIP, unless the operator sets one: the second of the subnet.
pub fn internal_vip(subnet: Ipv4Net) -> Ipv4Addr {
    nth(subnet, 2)
}

/// The range of a node among several: the /24 of its number. The first /24, of number 0, is
/// nobody's: the internal VIP is in it.
pub fn node_range(subnet: Ipv4Net, number: u8) -> Ipv4Net {
    let first = nth(subnet, u32::from(number) << 8);
    Ipv4Net::new(first, NODE_PREFIX).unwrap_or(subnet)
}

/// The prefix length of a node's range among several.
pub const NODE_PREFIX: u8 = 24;

/// Addresses for containers by full name. A number from the catalog is kept; the others are
/// derived from the name, so that a further container moves none but one whose number it takes.
pub fn plan(subnet: Ipv4Net, wanted: &BTreeMap<String, Option<u8>>) -> BTreeMap<String, Ipv4Addr> {
    let mut taken: BTreeSet<u8> = wanted.values().flatten().copied().collect();
    let mut addresses = BTreeMap::new();
    for (name, number) in wanted {
        let number = number.or_else(|| free_number(name, &taken));
        if let Some(number) = number {
            taken.insert(number);
            addresses.insert(name.clone(), nth(subnet, u32::from(number)));
        }
    }
    addresses
}

/// The number that a name's digest points to, or the next that is free.
fn free_number(name: &str, taken: &BTreeSet<u8>) -> Option<u8> {
    let span = CONTAINER_NUMBERS.end() - CONTAINER_NUMBERS.start() + 1;
    let first = Sha256::digest(name.as_bytes()).first().copied().unwrap_or_default() % span;
    (0..span)
        .map(|step| CONTAINER_NUMBERS.start() + ((u16::from(first) + u16::from(step)) % u16::from(span)) as u8)
        .find(|number| !taken.contains(number))
}

fn nth(subnet: Ipv4Net, number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()).wrapping_add(number))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn addresses_are_distinct_and_inside(names in proptest::collection::btree_set("[a-z]{1,8}", 0..60)) {
            let subnet: Ipv4Net = "10.9.8.0/24".parse().unwrap();
            let wanted = names.iter().enumerate().map(|(place, name)| {
                (name.clone(), (place % 7 == 0).then_some(100 + place as u8))
            }).collect();
            let addresses = plan(subnet, &wanted);
            prop_assert_eq!(addresses.len(), names.len());
            let distinct: BTreeSet<_> = addresses.values().collect();
            prop_assert_eq!(distinct.len(), names.len());
            for address in addresses.values() {
                prop_assert!(CONTAINER_NUMBERS.contains(&address.octets()[3]));
            }
        }

        #[test]
        fn a_further_container_moves_at_most_one(names in proptest::collection::btree_set("[a-z]{1,8}", 1..20)) {
            let subnet: Ipv4Net = "10.9.8.0/24".parse().unwrap();
            let mut wanted: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), None)).collect();
            let before = plan(subnet, &wanted);
            wanted.insert("zzzzzzzzz".to_owned(), None);
            let after = plan(subnet, &wanted);
            let moved = before.iter().filter(|(name, address)| after.get(*name) != Some(address)).count();
            prop_assert_eq!(moved, 0, "a name that sorts last moves nobody");
        }
    }
}
