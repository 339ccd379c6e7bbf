//! How each node of a cloud is.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::desired::Desired;
use super::name::Name;
use super::node::{Role, Topology};
use super::observed::Observed;
use super::resilience::Resilience;

/// How one node is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeStatus {
    /// The node.
    pub node: Name,
    /// Where the others reach it; `None` where there are none.
    pub address: Option<Ipv4Addr>,
    /// Where octo reaches its engine.
    pub engine: String,
    /// What it is for.
    pub roles: BTreeSet<Role>,
    /// Why its engine does not answer, if it does not.
    pub silence: Option<String>,
    /// How many containers it should have.
    pub containers: usize,
    /// How many of them work.
    pub working: usize,
    /// Which of them are out of the load.
    pub out_of_load: Vec<String>,
    /// Whether it has the internal VIP, as far as that is known.
    pub has_vip: bool,
    /// Whether nothing would be lost with it that works now.
    pub may_fail: bool,
    /// What would be lost with it, in words.
    pub costs: Vec<String>,
}

impl NodeStatus {
    /// The nodes of a cloud, in the order of their numbers. `engine` is where each one's engine is.
    pub fn all(desired: &Desired, observed: &Observed, engine: &dyn Fn(&Name) -> String) -> Vec<Self> {
        let costs = Resilience::of(desired, observed).map(|resilience| resilience.costs);
        let holder = vip_holder(desired, observed);
        let status = |node: &Name| {
            let here = || desired.containers.iter().filter(|(_, container)| container.node == *node);
            let costs = match &costs {
                Some(costs) => costs.get(node).cloned().unwrap_or_default(),
                None => vec!["it is all of the cloud".to_owned()],
            };
            let described = desired.nodes.get(node);
            Self {
                node: node.clone(),
                address: described.and_then(|described| described.address),
                engine: engine(node),
                roles: described.map(|described| described.roles.clone()).unwrap_or_default(),
                silence: observed.silence(node, &desired.node).map(str::to_owned),
                containers: here().count(),
                working: here().filter(|(name, _)| observed.works(name)).count(),
                out_of_load: here()
                    .map(|(name, _)| name)
                    .filter(|name| observed.drained.contains(*name))
                    .cloned()
                    .collect(),
                has_vip: holder == Some(node),
                may_fail: costs.is_empty(),
                costs,
            }
        };
        desired.nodes_in_order().into_iter().map(|(node, _)| status(node)).collect()
    }
}

/// The node that has the internal VIP: in a cloud of one, its bridge has it or nobody.
fn vip_holder<'a>(desired: &'a Desired, observed: &'a Observed) -> Option<&'a Name> {
    match desired.topology {
        Topology::Several => observed.vip_holder.as_ref(),
        Topology::Single => {
            let bridge = observed.bridge.as_ref()?;
            bridge.addresses.contains(&desired.network.internal_vip).then_some(&desired.node)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::planner::several_tests::pair;
    use crate::model::planner::tests::{cloud, up};

    fn all(desired: &Desired, observed: &Observed) -> Vec<NodeStatus> {
        NodeStatus::all(desired, observed, &|node| format!("unix:///{node}.sock"))
    }

    #[test]
    fn what_a_node_lacks_is_told_of_that_node() {
        let desired = pair();
        let world = up(&desired);
        world.cut_off(&Name::fixed("wit"));
        let mut observed = world.snapshot();
        observed.drained.insert("lab-app-api.ctl2".to_owned());
        observed.vip_holder = Some(Name::fixed("ctl2"));
        let nodes = all(&desired, &observed);
        let names: Vec<&str> = nodes.iter().map(|status| status.node.as_str()).collect();
        assert_eq!(names, ["node", "ctl2", "wit"]);
        let [first, second, witness] = nodes.as_slice() else { panic!("{nodes:?}") };
        assert_eq!((first.working, first.containers, first.has_vip), (4, 4, false));
        assert_eq!((second.out_of_load.as_slice(), second.has_vip), (&["lab-app-api.ctl2".to_owned()][..], true));
        assert_eq!(
            (second.may_fail, second.costs.as_slice()),
            (false, &["database would have 1 of 3 votes".to_owned()][..])
        );
        assert_eq!((witness.silence.as_deref(), witness.working), (Some("no route to host"), 0));
        assert_eq!((witness.engine.as_str(), witness.may_fail), ("unix:///wit.sock", true));
    }

    #[test]
    fn the_only_node_may_not_fail() {
        let desired = cloud(|_, _| ());
        let nodes = all(&desired, &up(&desired).snapshot());
        assert_eq!((nodes.len(), nodes[0].has_vip, nodes[0].may_fail), (1, true, false));
    }
}
