//! Findings about networks: the kernel, ports, addresses, names and what is far away.

use super::{Facts, Finding, KernelFeature, WantedNetwork};
use crate::model::observed::is_here;

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
    let vip = network.external_vip;
    Some(if is_here(vip, &facts.occupied) {
        Finding::ok("external VIP", format!("{vip} is on this machine"))
    } else {
        Finding::failure(
            "external VIP",
            format!("{vip} is no address of this machine"),
            "set `network.external_vip` in configuration.yaml to an address that `ip -4 address` shows",
        )
    })
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

    use std::net::Ipv4Addr;

    use super::super::{Level, examine};
    use super::*;
    use crate::model::observed::{Occupied, OccupiedKind};

    fn facts(external_vip: &str, addresses: &[(&str, &str)]) -> Facts {
        let network = WantedNetwork {
            bridge: "octo-lab".to_owned(),
            subnet: "10.203.0.0/24".parse().unwrap(),
            external_vip: external_vip.parse().unwrap(),
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
    fn a_taken_port_names_who_has_it() {
        let taken = BTreeMap::from([((Ipv4Addr::LOCALHOST, 5000), "nginx (pid 7)".to_owned())]);
        let facts = Facts { taken_ports: Some(taken), ..Facts::default() };
        assert_eq!(bad(&facts), ["127.0.0.1:5000 is taken by nginx (pid 7)"]);
    }
}
