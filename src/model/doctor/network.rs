//! Findings about networks: the kernel, ports, addresses, names and what is far away.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::{Facts, Finding, KernelFeature};
use crate::model::node::Role;
use crate::model::observed::{OccupiedKind, is_here};
use crate::model::settings::{NodeSettings, Settings};

/// The network of a cloud, as a machine needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedNetwork {
    /// The bridge.
    pub bridge: String,
    /// The management subnet.
    pub subnet: Ipv4Net,
    /// The address for users, if it is the machine's concern.
    pub external_vip: Option<ExternalVip>,
    /// The MTU that configuration.yaml asks for.
    pub mtu: Option<u16>,
}

/// The address for users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalVip {
    /// The machine has it.
    Fixed(Ipv4Addr),
    /// It moves between machines, and has to be in a network of each.
    Moving(Ipv4Addr),
}

impl WantedNetwork {
    /// What settings ask of a node; of the machine that octo runs on for none.
    pub fn of(settings: &Settings, node: Option<&NodeSettings>) -> Self {
        let network = &settings.network;
        let vip = network.external_vip;
        let external_vip = match node {
            Some(node) if !node.roles.contains(&Role::Control) => None,
            // Whether there is an interface of that name, nobody here knows.
            Some(_) if network.external_interface.is_some() => None,
            Some(_) if !vip.is_loopback() => Some(ExternalVip::Moving(vip)),
            _ => Some(ExternalVip::Fixed(vip)),
        };
        let management = &network.management;
        Self { bridge: settings.bridge(), subnet: management.subnet, external_vip, mtu: management.mtu }
    }
}

/// What the kernel can do.
pub(super) fn kernel(facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<_> = facts
        .kernel
        .iter()
        .map(|(feature, present)| match (feature, present) {
            (KernelFeature::Bridge, true) => Finding::ok("kernel", "has bridges"),
            (KernelFeature::Bridge, false) => Finding::failure("kernel", "has no bridges", "modprobe bridge"),
            (KernelFeature::Veth, true) => Finding::ok("kernel", "has pairs of virtual interfaces"),
            (KernelFeature::Veth, false) => {
                Finding::failure("kernel", "has no pairs of virtual interfaces", "modprobe veth")
            }
            (KernelFeature::Firewall, true) => Finding::ok("kernel", "has nftables or iptables"),
            (KernelFeature::Firewall, false) => Finding::failure(
                "kernel",
                "has neither nftables nor iptables, which the engine needs",
                "modprobe nf_tables",
            ),
            (KernelFeature::OpenVswitch, true) => Finding::ok("kernel", "moves the packets of Open vSwitch"),
            (KernelFeature::OpenVswitch, false) => {
                Finding::ok("kernel", "has no Open vSwitch: instances' packets are moved by a process, more slowly")
            }
            (KernelFeature::BridgeFirewall, true) => Finding::ok("kernel", "bridged packets pass the firewall"),
            (KernelFeature::BridgeFirewall, false) => Finding::ok("kernel", "bridged packets do not pass the firewall"),
        })
        .collect();
    match facts.ip_forward {
        Some(true) => findings.push(Finding::ok("forwarding", "on")),
        Some(false) => findings.push(Finding::warning(
            "forwarding",
            "off: containers reach nothing outside this machine",
            "sysctl -w net.ipv4.ip_forward=1",
        )),
        None => {}
    }
    findings
}

/// Ports, subnets, the VIP, the MTU, the host's own name.
pub(super) fn addresses(facts: &Facts) -> Vec<Finding> {
    let mut findings = ports(facts);
    if let Some(network) = &facts.network {
        findings.extend(overlap(facts, network));
        findings.extend(vip(facts, network));
        findings.extend(mtu(facts, network));
    }
    match &facts.host_name {
        Some((name, true)) => findings.push(Finding::ok("host name", format!("{name} resolves"))),
        Some((name, false)) => findings.push(Finding::warning(
            "host name",
            format!("{name} does not resolve, which makes some programs wait"),
            format!("echo '127.0.1.1 {name}' >> /etc/hosts"),
        )),
        None => {}
    }
    findings
}

/// Ports that the cloud wants and others have.
pub(super) fn ports(facts: &Facts) -> Vec<Finding> {
    let Some(taken) = &facts.taken_ports else { return Vec::new() };
    if taken.is_empty() {
        return vec![Finding::ok("ports", "free, or this cloud's")];
    }
    taken
        .iter()
        .map(|((address, port), who)| {
            Finding::failure(
                "ports",
                format!("{address}:{port} is taken by {who}"),
                format!("stop what listens there (ss -ltnp 'sport = :{port}'), or change the port in services.yaml"),
            )
        })
        .collect()
}

fn overlap(facts: &Facts, network: &WantedNetwork) -> Option<Finding> {
    if facts.occupied.is_empty() {
        return None;
    }
    let mut others = facts.occupied.iter().filter(|other| other.interface != network.bridge);
    Some(match others.find(|other| other.collides(network.subnet)) {
        Some(other) => Finding::failure(
            "subnet",
            format!("{} overlaps {other}", network.subnet),
            "choose another `network.management.subnet` in configuration.yaml",
        ),
        None => Finding::ok("subnet", format!("{} overlaps nothing", network.subnet)),
    })
}

fn vip(facts: &Facts, network: &WantedNetwork) -> Option<Finding> {
    if facts.occupied.is_empty() {
        return None;
    }
    Some(match network.external_vip.as_ref()? {
        ExternalVip::Fixed(vip) if is_here(*vip, &facts.occupied) => {
            Finding::ok("external VIP", format!("{vip} is on this machine"))
        }
        ExternalVip::Fixed(vip) => Finding::failure(
            "external VIP",
            format!("{vip} is no address of this machine"),
            "set `network.external_vip` in configuration.yaml to an address that `ip -4 address` shows",
        ),
        ExternalVip::Moving(vip) => moving_vip(*vip, facts, &network.bridge),
    })
}

/// An interface that has a network with the VIP takes it, as the container does that moves it.
fn moving_vip(vip: Ipv4Addr, facts: &Facts, bridge: &str) -> Finding {
    let others = facts.occupied.iter().filter(|other| other.kind == OccupiedKind::Link && other.interface != bridge);
    match others.filter(|other| other.network.contains(&vip)).max_by_key(|other| other.network.prefix_len()) {
        Some(other) => Finding::ok("external VIP", format!("{vip} is in the subnet of {}", other.interface)),
        None => Finding::failure(
            "external VIP",
            format!("no interface has a subnet with {vip}: it cannot move here"),
            "set `network.external_vip` in configuration.yaml to a free address of a network that all control nodes \
             have, or `network.external_interface` to the interface that it belongs on",
        ),
    }
}

fn mtu(facts: &Facts, network: &WantedNetwork) -> Option<Finding> {
    let (wanted, host) = (network.mtu?, facts.default_mtu?);
    Some(if u32::from(wanted) > host {
        Finding::warning(
            "MTU",
            format!("{wanted} on the management network, {host} on the default route"),
            format!("set `network.management.mtu: {host}` in configuration.yaml"),
        )
    } else {
        Finding::ok("MTU", format!("{wanted}, the default route has {host}"))
    })
}

/// Registries and mirrors.
pub(super) fn reach(facts: &Facts) -> Vec<Finding> {
    facts
        .reached
        .iter()
        .map(|(address, result)| match result {
            Ok(()) => Finding::ok("reach", format!("{address} answers")),
            Err(reason) => Finding::warning(
                "reach",
                format!("{address} does not answer: {reason}"),
                "set mirrors and proxies under `build` in configuration.yaml",
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Level, examine};
    use super::*;
    use crate::model::name::Name;
    use crate::model::observed::Occupied;

    fn facts(external_vip: &str, addresses: &[(&str, &str)]) -> Facts {
        let network = WantedNetwork {
            bridge: "octo-lab".to_owned(),
            subnet: "10.203.0.0/24".parse().unwrap(),
            external_vip: Some(ExternalVip::Fixed(external_vip.parse().unwrap())),
            mtu: Some(9000),
        };
        let occupied = addresses.iter().map(|(name, net)| Occupied {
            interface: (*name).to_owned(),
            network: net.parse().unwrap(),
            kind: OccupiedKind::Address,
        });
        Facts { network: Some(network), occupied: occupied.collect(), default_mtu: Some(1500), ..Facts::default() }
    }

    fn bad(facts: &Facts) -> Vec<String> {
        let findings = examine(facts).into_iter();
        findings.filter(|finding| finding.level == Level::Failure).map(|finding| finding.message).collect()
    }

    #[test]
    fn the_clouds_own_bridge_is_no_overlap() {
        assert!(bad(&facts("127.0.0.1", &[("octo-lab", "10.203.0.1/24"), ("eth0", "192.0.2.2/24")])).is_empty());
    }

    #[test]
    fn another_interface_in_the_subnet_is() {
        let found = bad(&facts("127.0.0.1", &[("tun0", "10.0.0.5/8")]));
        assert_eq!(found, ["10.203.0.0/24 overlaps the address 10.0.0.5/8 on tun0"]);
    }

    #[test]
    fn the_external_vip_has_to_be_here() {
        assert_eq!(bad(&facts("192.0.2.9", &[("eth0", "192.0.2.2/24")])), ["192.0.2.9 is no address of this machine"]);
        assert!(bad(&facts("192.0.2.2", &[("eth0", "192.0.2.2/24")])).is_empty());
    }

    #[test]
    fn a_vip_that_moves_needs_a_network_with_it_and_not_the_address() {
        let mut facts = facts("127.0.0.1", &[("eth0", "192.0.2.2/24")]);
        let mut moving = |vip: &str, link: &str| {
            facts.network.as_mut().unwrap().external_vip = Some(ExternalVip::Moving(vip.parse().unwrap()));
            let network = link.parse().unwrap();
            facts.occupied[0] = Occupied { interface: "eth0".to_owned(), network, kind: OccupiedKind::Link };
            bad(&facts)
        };
        assert!(moving("192.0.2.100", "192.0.2.0/24").is_empty());
        let found = moving("192.0.2.100", "198.51.100.0/24");
        assert_eq!(found, ["no interface has a subnet with 192.0.2.100: it cannot move here"]);
    }

    #[test]
    fn the_vip_concerns_those_that_can_have_it() {
        let mut settings = Settings::default();
        let vip = |settings: &Settings, roles: Option<&[Role]>| {
            let node = roles.map(|roles| NodeSettings {
                name: Name::fixed("ctl1"),
                address: [192, 0, 2, 1].into(),
                engine: "unix:///run/docker.sock".to_owned(),
                roles: roles.to_vec(),
                number: None,
                tls: None,
            });
            WantedNetwork::of(settings, node.as_ref()).external_vip
        };
        let control = [Role::Control, Role::Compute];
        assert_eq!(vip(&settings, Some(&control)), Some(ExternalVip::Fixed(Ipv4Addr::LOCALHOST)));
        settings.network.external_vip = [192, 0, 2, 100].into();
        let wanted = settings.network.external_vip;
        assert_eq!(vip(&settings, None), Some(ExternalVip::Fixed(wanted)));
        assert_eq!(vip(&settings, Some(&control)), Some(ExternalVip::Moving(wanted)));
        assert_eq!(vip(&settings, Some(&[Role::Witness])), None);
    }

    #[test]
    fn a_taken_port_names_who_has_it() {
        let taken = BTreeMap::from([((Ipv4Addr::LOCALHOST, 5000), "nginx (pid 7)".to_owned())]);
        let facts = Facts { taken_ports: Some(taken), ..Facts::default() };
        assert_eq!(bad(&facts), ["127.0.0.1:5000 is taken by nginx (pid 7)"]);
    }
}
