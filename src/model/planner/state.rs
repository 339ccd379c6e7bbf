//! Planning of what octo itself has to remember: secrets, and copies of them on other nodes.

use crate::model::name::Name;
use crate::model::operation::Operation;
use crate::model::plan::NodeId;
use crate::model::state_copy::keeps_copy;

use super::Planner;

impl Planner<'_> {
    /// The node after which all secrets are stored. Nothing that uses a secret may come before:
    /// a secret that is lost after use would lock octo out.
    pub(super) fn secrets(&mut self) -> Option<NodeId> {
        let count = self.desired.secrets.keys().filter(|name| !self.observed.secrets.contains(*name)).count();
        if count > 0 && self.observed.secrets.is_empty() && !self.observed.volumes.is_empty() {
            // Volumes are made after the first secrets: what opened these is lost.
            let volumes = self.observed.volumes.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let repair = match self.observed.state_copies.keys().next() {
                Some(node) => format!("{node} has a copy: octo secrets restore {node}"),
                None => "restore the state directory from a backup, or destroy the data: octo rm --volumes".to_owned(),
            };
            self.obstacle(
                format!("the secrets of this cloud are lost, and its data is still there: {volumes}"),
                repair,
            );
        }
        (count > 0).then(|| self.add(Operation::StoreSecrets { count }, "not generated before", []))
    }

    /// Plans that a node has a copy of the secrets, if it should: never one of old secrets in place of new ones.
    pub(super) fn state_copy(&mut self, node: &Name) {
        if !keeps_copy(self.desired, node) {
            return;
        }
        let wanted = &self.desired.state_copy;
        let cause = match self.observed.state_copies.get(node) {
            Some(found) if found.is_like(wanted) => return,
            Some(found) if found.secrets != wanted.secrets => {
                let is_elsewhere = *node != self.desired.node;
                if is_elsewhere && found.generation >= wanted.generation && !self.observed.secrets.is_empty() {
                    self.obstacle(
                        format!("{node} has other secrets of this cloud, which are not older than those here"),
                        format!("use them, and keep those here in secrets.json.old: octo secrets restore {node}"),
                    );
                    return;
                }
                "secrets changed"
            }
            Some(_) => "configuration changed",
            None => "absent",
        };
        let after: Vec<NodeId> = self.secrets().into_iter().chain(self.sent(node)).collect();
        self.add(Operation::CopyState { node: node.clone() }, cause, after);
    }
}
