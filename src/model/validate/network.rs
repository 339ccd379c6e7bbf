//! Rules about subnets and VIPs.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::address;
use super::super::problem::{FileId, Place, Problem};
use super::{Input, addresses, steps};

/// Networks that mean something else to every host.
const RESERVED: &[(&str, Ipv4Net)] = &[
    ("addresses of this host", Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8)),
    ("loopback addresses", Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    ("link-local addresses", Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
    ("multicast addresses", Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)),
    ("reserved addresses", Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4)),
];

/// The management subnet has a size that the address plan fits in, and is free to be used.
pub fn subnet(input: &Input<'_>, found: &mut Vec<Problem>) {
    let subnet = input.settings.network.management.subnet;
    let place = || Place::value(FileId::CONFIGURATION, steps!["network", "management", "subnet"]);
    if !(16..=24).contains(&subnet.prefix_len()) {
        found.push(
            Problem::new(place(), format!("the management subnet is a /{}", subnet.prefix_len()))
                .with_help("expected a prefix length from 16 to 24"),
        );
        return;
    }
    if subnet.addr() != subnet.network() {
        found.push(
            Problem::new(place(), format!("`{subnet}` is an address within a subnet, not the subnet"))
                .with_help(format!("did you mean `{}`?", subnet.trunc())),
        );
    }
    for (what, reserved) in RESERVED {
        if reserved.contains(&subnet.network()) || subnet.contains(&reserved.network()) {
            found.push(
                Problem::new(place(), format!("the management subnet `{subnet}` is made of {what} ({reserved})"))
                    .with_help("use a private one: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16"),
            );
        }
    }
}

/// The internal VIP is a free address of the management subnet.
pub fn internal_vip(input: &Input<'_>, found: &mut Vec<Problem>) {
    let Some(vip) = input.settings.network.internal_vip else { return };
    let subnet = input.settings.network.management.subnet.trunc();
    let wrong = if !subnet.contains(&vip) {
        format!("is not in the management subnet `{subnet}`")
    } else if vip == subnet.network() || vip == subnet.broadcast() {
        "is not an address that a host can have".to_owned()
    } else if vip == address::gateway(subnet) {
        "is that of the bridge itself".to_owned()
    } else if let Some(container) = addresses::holder(input, vip) {
        format!("is that of container `{container}`")
    } else {
        return;
    };
    let place = Place::value(FileId::CONFIGURATION, steps!["network", "internal_vip"]);
    let usual = address::internal_vip(subnet);
    found.push(
        Problem::new(place, format!("the internal VIP `{vip}` {wrong}"))
            .with_help(format!("leave it out: it is `{usual}` then")),
    );
}

/// The external VIP is an address outside the management subnet.
pub fn external_vip(input: &Input<'_>, found: &mut Vec<Problem>) {
    let vip = input.settings.network.external_vip;
    let subnet = input.settings.network.management.subnet;
    let (wrong, help) = if subnet.contains(&vip) {
        (format!("is in the management subnet `{subnet}`"), "that one is for containers: use an address of the host")
    } else if vip.is_unspecified() {
        ("means every address".to_owned(), "name one address of the host, so that no more is open than you want")
    } else if vip.is_multicast() || vip.is_broadcast() {
        ("is not an address that a host can have".to_owned(), "use an address of the host")
    } else {
        return;
    };
    let place = Place::value(FileId::CONFIGURATION, steps!["network", "external_vip"]);
    found.push(Problem::new(place, format!("the external VIP `{vip}` {wrong}")).with_help(help));
}
