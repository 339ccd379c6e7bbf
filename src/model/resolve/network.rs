//! Nodes, their networks, and who has which address there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::Resolver;
use crate::model::address;
use crate::model::catalog::{Attachment, Container, Part, Service};
use crate::model::desired::{Desired, DesiredNetwork, DesiredNode, DesiredProvider};
use crate::model::name::Name;
use crate::model::node::{Role, Site, Topology, hostname, name_on, number_of};
use crate::model::settings::Settings;

/// Addresses on the management network, by full container name.
pub(super) type Addresses = BTreeMap<String, Ipv4Addr>;

/// The nodes of a cloud: those of the settings, else the one that octo runs on.
pub(super) fn nodes(settings: &Settings, site: &Site) -> BTreeMap<Name, DesiredNode> {
    if settings.nodes.is_empty() {
        let roles = BTreeSet::from([Role::Control, Role::Compute]);
        let network = network(settings, &site.local, 0);
        return BTreeMap::from([(site.local.clone(), DesiredNode { number: 0, address: None, roles, network })]);
    }
    let all = settings.nodes.iter().enumerate().map(|(place, node)| {
        let number = number_of(place, node);
        let roles = node.roles.iter().copied().collect();
        let network = network(settings, &node.name, number);
        (node.name.clone(), DesiredNode { number, address: Some(node.address), roles, network })
    });
    all.collect()
}

/// The management network as a node has it.
pub(super) fn of_node(settings: &Settings, node: &Name, nodes: &BTreeMap<Name, DesiredNode>) -> DesiredNetwork {
    nodes.get(node).map_or_else(|| network(settings, node, 0), |node| node.network.clone())
}

fn network(settings: &Settings, node: &Name, number: u8) -> DesiredNetwork {
    let network = &settings.network;
    let topology = Topology::of(settings);
    let subnet = network.management.subnet.trunc();
    let range = match topology {
        Topology::Single => subnet,
        Topology::Several => address::node_range(subnet, number),
    };
    DesiredNetwork {
        name: name_on(&format!("{}-management", settings.cloud), node, topology),
        bridge: settings.bridge(),
        subnet,
        range,
        gateway: address::gateway(range),
        internal_vip: network.internal_vip.unwrap_or_else(|| address::internal_vip(subnet)),
        external_vip: network.external_vip,
        mtu: network.management.mtu,
    }
}

impl Resolver<'_> {
    /// The address plan: on each node that has it, a container has the same number in the node's range.
    pub(super) fn addresses(&self) -> Addresses {
        let containers = || {
            self.services.iter().flat_map(|(name, service)| {
                let attached = service.containers.iter();
                attached
                    .filter(|(_, container)| container.network == Attachment::Management)
                    .filter(|(_, container)| container.topology.is_none_or(|topology| topology == self.topology))
                    .map(move |(container_name, container)| (*name, container_name, container))
            })
        };
        let wanted =
            containers().map(|(name, part, container)| (self.base_name(name, part), container.address)).collect();
        let mut addresses = Addresses::new();
        for (node, found) in &self.nodes {
            let plan = address::plan(found.network.range, &wanted);
            for (name, part, container) in containers() {
                if self.nodes_with(&container.roles, container.topology).any(|other| other == node)
                    && let Some(address) = plan.get(&self.base_name(name, part))
                {
                    addresses.insert(self.full_name(name, part, node), *address);
                }
            }
        }
        addresses
    }

    pub(super) fn provider_network(&self) -> DesiredProvider {
        let provider = &self.settings.network.provider;
        DesiredProvider {
            bridge: provider.bridge.clone(),
            interface: provider.interface.clone(),
            // An address that only one machine may have.
            address: match self.topology {
                Topology::Single => provider.host_address(),
                Topology::Several => None,
            },
            pool: provider.pool,
        }
    }

    /// Host names of a service's own containers on all nodes, which the engine's name service does
    /// not know.
    pub(super) fn neighbours(
        &self,
        name: &Name,
        service: &Service,
        addresses: &Addresses,
    ) -> BTreeMap<String, Ipv4Addr> {
        if self.topology == Topology::Single {
            return BTreeMap::new();
        }
        let all = service
            .containers
            .keys()
            .flat_map(|container| self.nodes.keys().map(move |node| self.full_name(name, container, node)));
        all.filter_map(|full| Some((hostname(&full), *addresses.get(&full)?))).collect()
    }

    /// What a container on the host network listens on: the load balancer on the VIPs, others on
    /// every address. One without ports does not listen. Among several nodes a VIP may be elsewhere:
    /// what counts is where the node itself is asked.
    pub(super) fn host_ports(
        &self,
        service: &Service,
        container: &Container,
        desired: &Desired,
        node: &Name,
    ) -> BTreeSet<(Ipv4Addr, u16)> {
        if container.network != Attachment::Host || container.ports.is_empty() {
            return BTreeSet::new();
        }
        let own = desired.network_on(node).gateway;
        if service.provides != Some(Part::LoadBalancer) {
            if self.topology == Topology::Several {
                return container.ports.iter().map(|port| (own, *port)).collect();
            }
            return container.ports.iter().map(|port| (Ipv4Addr::UNSPECIFIED, *port)).collect();
        }
        let stats_port = self.settings.network.stats_port;
        if self.topology == Topology::Several {
            return BTreeSet::from([(own, stats_port)]);
        }
        let mut ports = BTreeSet::from([(desired.network.internal_vip, stats_port)]);
        for frontend in desired.frontends.values().map(|frontend| &frontend.frontend) {
            ports.insert((desired.network.internal_vip, frontend.port));
            if frontend.external {
                ports.insert((desired.network.external_vip, frontend.port));
            }
        }
        ports
    }
}
