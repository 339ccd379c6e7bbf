//! Rules about containers' fixed addresses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::super::address;
use super::super::catalog::Attachment;
use super::super::name::Name;
use super::super::problem::Problem;
use super::{Input, steps};

/// Containers of enabled services with a fixed address: service, container, last part.
fn fixed<'a>(input: &Input<'a>) -> impl Iterator<Item = (&'a Name, &'a Name, u8)> + use<'a> {
    input.enabled().flat_map(|(service, spec)| {
        let containers = spec.containers.iter().filter(|(_, container)| container.network == Attachment::Management);
        containers.filter_map(move |(name, container)| Some((service, name, container.address?)))
    })
}

/// The container that has an address by the address plan, as `<service>-<container>`.
pub(super) fn holder(input: &Input<'_>, address: Ipv4Addr) -> Option<String> {
    let cloud = &input.settings.cloud;
    let wanted = input.enabled().flat_map(|(service, spec)| {
        let containers = spec.containers.iter().filter(|(_, container)| container.network == Attachment::Management);
        containers.map(move |(name, container)| (format!("{cloud}-{service}-{name}"), container.address))
    });
    let plan = address::plan(input.settings.network.management.subnet, &wanted.collect());
    let (holder, _) = plan.iter().find(|(_, planned)| **planned == address)?;
    holder.strip_prefix(&format!("{cloud}-")).map(str::to_owned)
}

/// No two containers have one address.
pub fn collisions(input: &Input<'_>, found: &mut Vec<Problem>) {
    let mut holders: BTreeMap<u8, String> = BTreeMap::new();
    for (service, container, address) in fixed(input) {
        if let Some(holder) = holders.get(&address) {
            let place = input.service(service, steps!["containers", container, "address"]);
            let message = format!("address {address} of container `{service}-{container}` is that of `{holder}`");
            found.push(Problem::new(place, message).with_help("use a free one, or leave it out"));
        } else {
            holders.insert(address, format!("{service}-{container}"));
        }
    }
}
