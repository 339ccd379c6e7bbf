//! Planning of what containers stand on: bridge, network, volumes.

use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::operation::Operation;
use crate::model::plan::NodeId;

use super::Planner;

impl Planner<'_> {
    /// The operation after which the management network exists on a node. On a single node its bridge
    /// has its addresses then; among several the engine makes the bridge, and one of the cloud's
    /// containers gives it what the engine does not know of.
    pub(super) fn network(&mut self, node: &Name) -> Option<NodeId> {
        let desired = self.desired.nodes.get(node).map(|node| &node.network)?;
        if self.observed.foreign.contains(&desired.name) {
            self.obstacle(
                format!("a network {} exists that is not of this cloud", desired.name),
                format!("docker network rm {}, or another `cloud:` in configuration.yaml", desired.name),
            );
            return None;
        }
        let create = Operation::CreateNetwork { network: desired.name.clone() };
        let Some(found) = self.observed.networks.get(&desired.name) else {
            self.free_subnet(node, &[&desired.bridge]);
            let bridge = self.bridge(None);
            return Some(self.add(create, "absent", bridge));
        };
        let cause = if found.subnet != desired.subnet.to_string() {
            format!("subnet changed from {} to {}", found.subnet, desired.subnet)
        } else if found.bridge != desired.bridge {
            format!("bridge changed from {} to {}", found.bridge, desired.bridge)
        } else {
            return self.bridge(None);
        };
        self.free_subnet(node, &[&desired.bridge, &found.bridge]);
        // The bridge goes too: it has addresses of the old subnet, or another name.
        let emptied: Vec<_> = found.containers.iter().map(|name| self.remove_container(name, &cause, &[])).collect();
        let gone = self.add(Operation::RemoveNetwork { network: desired.name.clone() }, &cause, emptied);
        if self.desired.topology == Topology::Several {
            return Some(self.add(create, &cause, [gone]));
        }
        let gone = self.add(Operation::RemoveBridge { bridge: found.bridge.clone() }, &cause, [gone]);
        let bridge = self.bridge(Some((&cause, gone)));
        Some(self.add(create, &cause, bridge))
    }

    /// Refuses a subnet that the host reaches in another way already. `own` are bridges of this
    /// cloud. What other nodes reach is not known here.
    fn free_subnet(&mut self, node: &Name, own: &[&str]) {
        if *node != self.desired.node {
            return;
        }
        let subnet = self.desired.network.subnet;
        let mut others = self.observed.occupied.iter().filter(|other| !own.contains(&other.interface.as_str()));
        if let Some(other) = others.find(|other| other.collides(subnet)) {
            self.obstacle(
                format!("the management subnet {subnet} overlaps {other}"),
                "choose another `network.management.subnet` in configuration.yaml",
            );
        }
    }

    /// The node after which the bridge has its addresses: also after a restart of the host, which
    /// forgets them. `anew` is why and after what it is made anew.
    fn bridge(&mut self, anew: Option<(&str, NodeId)>) -> Option<NodeId> {
        if self.desired.topology == Topology::Several {
            return None;
        }
        let desired = &self.desired.network;
        let ensure = Operation::EnsureBridge { bridge: desired.bridge.clone() };
        if let Some((cause, gone)) = anew {
            return Some(self.add(ensure, cause, [gone]));
        }
        let cause = match &self.observed.bridge {
            None => "absent".to_owned(),
            Some(found) if !found.addresses.contains(&desired.gateway) => format!("has no address {}", desired.gateway),
            Some(found) if !found.addresses.contains(&desired.internal_vip) => {
                format!("has no address {}", desired.internal_vip)
            }
            Some(found) if !found.up => "is down".to_owned(),
            Some(_) => return None,
        };
        Some(self.add(ensure, cause, []))
    }

    /// The node after which a volume exists.
    pub(super) fn volume(&mut self, volume: &str) -> Option<NodeId> {
        if self.observed.foreign.contains(volume) {
            self.obstacle(
                format!("a volume {volume} exists that is not of this cloud"),
                "another `cloud:` in configuration.yaml, or remove that volume".to_owned(),
            );
            return None;
        }
        if self.observed.volumes.contains(volume) {
            return None;
        }
        // A volume without any stored secret would look like one whose secrets are lost.
        let secrets = self.secrets();
        Some(self.add(Operation::CreateVolume { volume: volume.to_owned() }, "absent", secrets))
    }
}
