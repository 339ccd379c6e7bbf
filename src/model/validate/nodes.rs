//! Rules about the nodes of a cloud: who they are, where they are reached, and how many votes they
//! have.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::super::address;
use super::super::node::{LONGEST_NODE_NAME, Role, number_of};
use super::super::plural::plural;
use super::super::problem::{FileId, Place, Problem, Step};
use super::super::settings::NodeSettings;
use super::{Input, steps};

/// Engines that octo knows how to reach.
const SCHEMES: [&str; 3] = ["unix://", "tcp://", "ssh://"];

fn place(index: usize, key: &'static str) -> Place {
    Place::value(FileId::CONFIGURATION, steps!["nodes", index, key])
}

fn all<'a>(input: &Input<'a>) -> impl Iterator<Item = (usize, &'a NodeSettings)> + use<'a> {
    input.settings.nodes.iter().enumerate()
}

/// Names are parts of host names.
pub fn names(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (index, node) in all(input) {
        let name = node.name.as_str();
        if name.len() > LONGEST_NODE_NAME || name.contains('_') {
            let help = format!("use lowercase letters, digits and hyphens, at most {LONGEST_NODE_NAME}");
            found.push(Problem::new(place(index, "name"), format!("`{name}` cannot be a node's name")).with_help(help));
        }
    }
}

/// No two nodes have the same name, address, or number.
pub fn distinct(input: &Input<'_>, found: &mut Vec<Problem>) {
    once(input, found, "name", |_, node| node.name.clone());
    once(input, found, "address", |_, node| node.address);
    once(input, found, "number", number_of);
}

fn once<T: Ord + Display>(
    input: &Input<'_>,
    found: &mut Vec<Problem>,
    key: &'static str,
    value: impl Fn(usize, &NodeSettings) -> T,
) {
    let mut holders: BTreeMap<T, &NodeSettings> = BTreeMap::new();
    for (index, node) in all(input) {
        let own = value(index, node);
        if let Some(holder) = holders.get(&own) {
            let message = format!("{key} {own} of node `{}` is that of `{}` too", node.name, holder.name);
            found.push(Problem::new(place(index, key), message).with_help("give each node one of its own"));
        } else {
            holders.insert(own, node);
        }
    }
}

/// Each node has a range of the management subnet, and none has that of the VIP.
pub fn ranges(input: &Input<'_>, found: &mut Vec<Problem>) {
    let subnet = input.settings.network.management.subnet.trunc();
    let mut full = false;
    for (index, node) in all(input) {
        let number = number_of(index, node);
        let range = address::node_range(subnet, number);
        if !subnet.contains(&range) || range == subnet {
            if std::mem::replace(&mut full, true) {
                continue;
            }
            found.push(
                Problem::new(
                    Place::value(FileId::CONFIGURATION, steps!["network", "management", "subnet"]),
                    format!("the management subnet `{subnet}` has no room for node `{}`, number {number}", node.name),
                )
                .with_help("each node has a /24 of it, and the first is for the VIP: use a /16 such as 10.203.0.0/16"),
            );
        } else if let Some(vip) = input.settings.network.internal_vip.filter(|vip| range.contains(vip)) {
            let place = Place::value(FileId::CONFIGURATION, steps!["network", "internal_vip"]);
            found.push(
                Problem::new(place, format!("the internal VIP `{vip}` is in the range of node `{}`", node.name))
                    .with_help(format!("leave it out: it is `{}` then", address::internal_vip(subnet))),
            );
        }
        if subnet.contains(&node.address) {
            let message = format!("address {} of node `{}` is in the management subnet", node.address, node.name);
            found.push(
                Problem::new(place(index, "address"), message)
                    .with_help("name the address that the machine has without octo"),
            );
        }
    }
}

/// Roles are there, and a witness is nothing but that.
pub fn roles(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (index, node) in all(input) {
        if node.roles.is_empty() {
            let message = format!("node `{}` has no role", node.name);
            found.push(Problem::new(place(index, "roles"), message).with_help("name some: control, compute, witness"));
        }
        if node.roles.contains(&Role::Witness) && node.roles.contains(&Role::Control) {
            let message = format!("node `{}` is witness and control node at once", node.name);
            found.push(
                Problem::new(place(index, "roles"), message)
                    .with_help("a control node has a vote anyway: leave `witness` out"),
            );
        }
    }
}

/// A majority can be told from a minority, also when one node is gone.
pub fn votes(input: &Input<'_>, found: &mut Vec<Problem>) {
    if !input.settings.nodes.is_empty() {
        found.extend(votes_of(&input.settings.nodes));
    }
}

/// Why nodes cannot decide by majority, if they cannot.
pub fn votes_of(nodes: &[NodeSettings]) -> Option<Problem> {
    let with = |role| nodes.iter().filter(|node| node.roles.contains(&role)).count();
    let (control, witnesses) = (with(Role::Control), with(Role::Witness));
    let (message, help) = if control == 0 {
        ("no node is a control node".to_owned(), "give one the role `control`")
    } else if control == 2 && witnesses == 0 {
        (
            "two control nodes cannot tell the end of the other from the end of the line between them".to_owned(),
            "add a third machine with the role `witness`, however small: it has the third vote",
        )
    } else if (control + witnesses) % 2 == 0 {
        (
            format!("{} have an even number of votes", plural(control + witnesses, "node")),
            "one vote less survives as much: use one, three or five control nodes, or two with one witness",
        )
    } else if control == 1 && witnesses > 0 {
        (
            "a witness is of no use to a single control node".to_owned(),
            "leave the witness out, or add a second control node",
        )
    } else {
        return None;
    };
    Some(Problem::new(Place::key(FileId::CONFIGURATION, [Step::from("nodes")]), message).with_help(help))
}

/// Engines are reached in a way that octo knows, and certificates are for TCP.
pub fn engines(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (index, node) in all(input) {
        if !SCHEMES.iter().any(|scheme| node.engine.starts_with(scheme)) {
            let message = format!("`{}` is no endpoint of an engine", node.engine);
            found.push(
                Problem::new(place(index, "engine"), message)
                    .with_help("write unix:///var/run/docker.sock, tcp://ADDRESS:PORT or ssh://USER@ADDRESS"),
            );
        }
        if node.tls.is_some() && !node.engine.starts_with("tcp://") {
            let message = format!("the engine of node `{}` is not reached by TCP, and has no certificates", node.name);
            found.push(Problem::new(place(index, "tls"), message).with_help("leave `tls` out, or use tcp://"));
        }
    }
}

/// Among several control nodes the external VIP moves: an address on loopback cannot.
pub fn external_vip(input: &Input<'_>, found: &mut Vec<Problem>) {
    let control = input.settings.nodes.iter().filter(|node| node.roles.contains(&Role::Control)).count();
    let vip = input.settings.network.external_vip;
    if control > 1 && vip.is_loopback() {
        let place = Place::value(FileId::CONFIGURATION, steps!["network", "external_vip"]);
        found.push(
            Problem::new(
                place,
                format!("the external VIP `{vip}` is on loopback, where no other node can take it over"),
            )
            .with_help("name a free address of the network that the control nodes share with users"),
        );
    }
}
