//! Copies of what octo has to remember of a cloud. Each control node has one, so that octo can go on
//! there when the machine is lost that it ran on.

use serde::Serialize;

use super::desired::Desired;
use super::name::Name;
use super::node::{Role, Topology};

/// What a copy holds, without the content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StateCopy {
    /// How often the secrets had changed: whoever has changed them more often has those that are in use.
    pub generation: u64,
    /// The digest of the secrets.
    pub secrets: String,
    /// The digest of all else that octo needs to go on: configuration.yaml, and what the images stand on.
    pub rest: String,
}

impl StateCopy {
    /// Whether another one has the same content.
    pub fn is_like(&self, other: &Self) -> bool {
        self.secrets == other.secrets && self.rest == other.rest
    }
}

/// Whether a node should have a copy: each control node among several, and the one that octo runs on, so that
/// octo finds there later what it has changed while others were away.
pub fn keeps_copy(desired: &Desired, node: &Name) -> bool {
    let is_control = || desired.nodes.get(node).is_some_and(|described| described.roles.contains(&Role::Control));
    desired.topology == Topology::Several && (*node == desired.node || is_control())
}
