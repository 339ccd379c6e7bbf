//! Rules about the provider network's addresses.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::super::address;
use super::super::problem::{FileId, Place, Problem};
use super::super::settings::ProviderPool;
use super::{Input, steps};

fn place(key: &'static str) -> Place {
    Place::value(FileId::CONFIGURATION, steps!["network", "provider", key])
}

/// The host's address on the provider network is one that a host can have, in a subnet of its own.
pub fn host(input: &Input<'_>, found: &mut Vec<Problem>) {
    let Some(address) = input.settings.network.provider.host_address() else { return };
    if let Some((wrong, help)) = wrong_host(address, input.settings.network.management.subnet) {
        let message = format!("the provider network's host address `{address}` {wrong}");
        found.push(Problem::new(place("address"), message).with_help(help));
    }
}

/// One address cannot be that of several hosts.
pub fn several(input: &Input<'_>, found: &mut Vec<Problem>) {
    let settings = input.settings;
    if settings.nodes.len() > 1 && settings.network.provider.address.is_some() {
        let message = "a host's address on the provider network, of several nodes";
        let help = "give `interface` instead, the same on each, and `pool` with the network's own gateway";
        found.push(Problem::new(place("address"), message).with_help(help));
    }
}

/// What is given away lies in the gateway's subnet, and is nobody's.
pub fn pool(input: &Input<'_>, found: &mut Vec<Problem>) {
    let network = &input.settings.network;
    let Some(ProviderPool { gateway, first, last }) = network.provider.pool else { return };
    let mut wrong = |message: String, help: String| {
        found.push(Problem::new(place("pool"), message).with_help(help));
    };
    if let Some((why, help)) = wrong_host(gateway, network.management.subnet) {
        wrong(format!("the provider network's gateway `{gateway}` {why}"), help);
        return;
    }
    let subnet = gateway.trunc();
    let is_free =
        |address: &Ipv4Addr| subnet.contains(address) && *address != subnet.network() && *address != subnet.broadcast();
    if first > last || !is_free(&first) || !is_free(&last) {
        let message = format!("`{first}` to `{last}` is no range of addresses in `{subnet}`");
        wrong(message, "the first one is not above the last one, and both can be hosts' of that subnet".to_owned());
        return;
    }
    let host = network.provider.address.map(|host| ("host", host.addr()));
    for (whose, address) in [Some(("gateway", gateway.addr())), host].into_iter().flatten() {
        if (first..=last).contains(&address) {
            let message = format!("`{first}` to `{last}` contains the {whose}'s address `{address}`");
            wrong(message, "leave out what somebody has".to_owned());
        }
    }
}

/// What is wrong with a host's address, and what helps.
fn wrong_host(address: Ipv4Net, management: Ipv4Net) -> Option<(String, String)> {
    let (management, subnet) = (management.trunc(), address.trunc());
    if address.prefix_len() > 29 || address.prefix_len() < 8 {
        let help = "expected a prefix length from 8 to 29".to_owned();
        Some((format!("is in a /{}", address.prefix_len()), help))
    } else if address.addr() == subnet.network() || address.addr() == subnet.broadcast() {
        let help = format!("did you mean `{}/{}`?", address::gateway(subnet), subnet.prefix_len());
        Some(("is not an address that a host can have".to_owned(), help))
    } else if subnet.contains(&management.network()) || management.contains(&subnet.network()) {
        let help = "give `network.provider` or `network.management.subnet` other addresses".to_owned();
        Some((format!("is in the management subnet `{management}`"), help))
    } else {
        None
    }
}
