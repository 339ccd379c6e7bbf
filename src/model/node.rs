//! Nodes: the machines of a cloud, what each is for, and how a name tells where its bearer is.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::Name;
use super::settings::{NodeSettings, Settings};

/// The node of a cloud that names none: the machine that octo runs on.
pub const LOCAL: &str = "local";

/// The longest name of a node, in characters: with those of cloud, service and container it is a
/// host name of at most 63, the limit of a DNS label.
pub const LONGEST_NODE_NAME: usize = 10;

/// What a node is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It has the APIs, a member of the database and of the message bus, and the load balancer.
    Control,
    /// It has instances.
    Compute,
    /// It has a vote wherever members decide by majority, and nothing else.
    Witness,
}

impl Role {
    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Compute => "compute",
            Self::Witness => "witness",
        }
    }
}

/// How many nodes a cloud has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// One machine, which configuration.yaml need not name.
    Single,
    /// Those of `nodes` in configuration.yaml.
    Several,
}

impl Topology {
    /// The topology that settings ask for.
    pub fn of(settings: &Settings) -> Self {
        if settings.nodes.is_empty() { Self::Single } else { Self::Several }
    }
}

/// Where octo is in a cloud of several nodes, and which of them it cannot reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The node that octo runs on.
    pub local: Name,
    /// Nodes whose engines do not answer, and why.
    pub silent: BTreeMap<Name, String>,
}

impl Site {
    /// The site of a cloud on the one machine that octo runs on.
    pub fn single() -> Self {
        Self { local: Name::fixed(LOCAL), silent: BTreeMap::new() }
    }
}

/// The number of a node: the operator's, else its place in the list, from 1.
pub fn number_of(place: usize, node: &NodeSettings) -> u8 {
    node.number.unwrap_or_else(|| u8::try_from(place + 1).unwrap_or(u8::MAX))
}

/// The nodes whose numbers would be others without some of the list, with the numbers that they have.
pub fn renumbered<'a>(nodes: &'a [NodeSettings], without: &BTreeSet<usize>) -> Vec<(&'a Name, u8)> {
    let stay = nodes.iter().enumerate().filter(|(place, _)| !without.contains(place));
    stay.enumerate()
        .map(|(later, (place, node))| (node, number_of(place, node), number_of(later, node)))
        .filter(|(_, number, later)| number != later)
        .map(|(node, number, _)| (&node.name, number))
        .collect()
}

/// Whether a container or job for some roles belongs on a node. One that names no role is part of
/// the control plane.
pub fn belongs(wanted: &[Role], node: &BTreeSet<Role>) -> bool {
    if wanted.is_empty() { node.contains(&Role::Control) } else { wanted.iter().any(|role| node.contains(role)) }
}

/// The full name of something on a node: the name itself in a cloud of one node, so that it stays
/// what it was, else with the node behind a dot, which no other part of a name has.
pub fn name_on(name: &str, node: &Name, topology: Topology) -> String {
    match topology {
        Topology::Single => name.to_owned(),
        Topology::Several => format!("{name}.{node}"),
    }
}

/// The node in a full name, if it has one.
pub fn node_in(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, node)| node)
}

/// The host name of a container: its full name in the form of a single DNS label, as Erlang's short
/// names and Nova's want it.
pub fn hostname(name: &str) -> String {
    name.replace('.', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_node_only_where_there_are_several() {
        let node = Name::fixed("ctl1");
        assert_eq!(name_on("lab-db-server", &node, Topology::Single), "lab-db-server");
        let name = name_on("pair-db-server", &node, Topology::Several);
        assert_eq!((name.as_str(), node_in(&name)), ("pair-db-server.ctl1", Some("ctl1")));
        assert_eq!((hostname(&name).as_str(), node_in("lab-db-server")), ("pair-db-server-ctl1", None));
    }

    #[test]
    fn a_number_that_is_written_stays_when_another_node_goes() {
        let node = |name, number| NodeSettings {
            name: Name::fixed(name),
            address: [192, 0, 2, 1].into(),
            engine: "unix:///run/docker.sock".to_owned(),
            roles: vec![Role::Control],
            number,
            tls: None,
        };
        let nodes = [node("ctl1", None), node("cmp1", None), node("ctl2", None), node("wit", Some(9))];
        assert_eq!(renumbered(&nodes, &[1].into()), [(&Name::fixed("ctl2"), 3)]);
        assert!(renumbered(&nodes, &[2].into()).is_empty() && renumbered(&nodes, &[3].into()).is_empty());
    }

    #[test]
    fn what_names_no_role_is_for_control_nodes() {
        let roles = |roles: &[Role]| roles.iter().copied().collect::<BTreeSet<_>>();
        assert!(belongs(&[], &roles(&[Role::Control, Role::Compute])));
        assert!(!belongs(&[], &roles(&[Role::Witness])));
        assert!(belongs(&[Role::Control, Role::Witness], &roles(&[Role::Witness])));
        assert!(!belongs(&[Role::Witness], &roles(&[Role::Compute])));
    }
}
