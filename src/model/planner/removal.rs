//! Planning of removal, from what exists: also what no file describes any more.

use std::collections::BTreeMap;

use crate::model::operation::Operation;
use crate::model::plan::NodeId;
use crate::model::plural::plural;

use super::Planner;

impl Planner<'_> {
    /// Plans that nothing is left but data, or not even data.
    pub(super) fn remove(&mut self, volumes: bool) {
        let cause = "asked for";
        self.stop(&[]);
        let mut gone: BTreeMap<&str, NodeId> = BTreeMap::new();
        for name in self.observed.containers.keys().chain(self.observed.job_containers.keys()) {
            let stop = self.node(&Operation::StopContainer { container: name.clone() });
            let remove = Operation::RemoveContainer { container: name.clone() };
            gone.insert(name, self.add(remove, cause, stop));
        }
        let all: Vec<NodeId> = gone.values().copied().collect();
        let mut networks = Vec::new();
        for network in self.observed.networks.keys() {
            let remove = Operation::RemoveNetwork { network: network.clone() };
            networks.push(self.add(remove, cause, all.iter().copied()));
        }
        if self.observed.bridge.is_some() {
            let bridge = self.desired.network.bridge.clone();
            let after = if networks.is_empty() { all.clone() } else { networks };
            self.add(Operation::RemoveBridge { bridge }, cause, after);
        }
        for owner in self.observed.files.keys() {
            let remove = Operation::RemoveFiles { owner: owner.clone() };
            self.add(remove, cause, gone.get(owner.as_str()).copied());
        }
        if volumes {
            self.remove_data(cause, &all);
            return;
        }
        if !self.observed.volumes.is_empty() {
            let kept = self.observed.volumes.len();
            self.note(format!("{kept} volumes and the secrets are kept: octo rm --volumes"));
        }
        if !self.observed.instances.all.is_empty() {
            let kept = plural(self.observed.instances.all.len(), "instance");
            self.note(format!("{kept} of the cloud's users are kept, stopped, for when it is back: octo up"));
        }
    }

    fn remove_data(&mut self, cause: &str, containers: &[NodeId]) {
        let instances = &self.observed.instances;
        if !instances.all.is_empty() || !instances.images.is_empty() {
            let count = instances.all.len();
            let stopped = self.node(&Operation::StopInstances { count: instances.running.len() });
            let after: Vec<NodeId> = containers.iter().copied().chain(stopped).collect();
            self.add(Operation::RemoveInstances { count }, cause, after);
        }
        for volume in &self.observed.volumes {
            let remove = Operation::RemoveVolume { volume: volume.clone() };
            self.add(remove, cause, containers.iter().copied());
        }
        if self.observed.state || !self.observed.secrets.is_empty() {
            // Last of all: without the secrets nothing could be tried again.
            let last = self.last_nodes();
            self.add(Operation::RemoveState, cause, last);
        }
    }
}
