//! Planning of removal, from what exists: also what no file describes any more.

use std::collections::BTreeMap;

use crate::model::catalog::Attachment;
use crate::model::desired::DesiredJob;
use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::observed::Reached;
use crate::model::operation::Operation;
use crate::model::plan::NodeId;
use crate::model::plural::plural;

use super::init::job_order;
use super::{Planner, Scope};

const CAUSE: &str = "asked for";

impl<'a> Planner<'a> {
    /// Plans that nothing is left, of all or on one node, but data, or not even data.
    pub(super) fn remove(&mut self, chosen: &Scope, volumes: bool) {
        self.stop(chosen);
        if chosen.is_whole() {
            // For the notes on those that do not answer.
            self.nodes();
        }
        let (desired, observed) = (self.desired, self.observed);
        let here = |name: &&String| chosen.has_node(desired.node_of(name));
        let jobs = self.removal_jobs(chosen, volumes);
        let gone = self.remove_containers(chosen, &jobs);
        let mut all: Vec<NodeId> = gone.values().copied().collect();
        all.extend(self.run_removal_jobs(chosen, &jobs, &all));
        let mut networks = Vec::new();
        for network in observed.networks.keys().filter(here) {
            let remove = Operation::RemoveNetwork { network: network.clone() };
            networks.push(self.add(remove, CAUSE, all.iter().copied()));
        }
        if observed.bridge.is_some() && self.desired.topology == Topology::Single {
            let bridge = self.desired.network.bridge.clone();
            let after = if networks.is_empty() { all.clone() } else { networks };
            self.add(Operation::RemoveBridge { bridge }, CAUSE, after);
        }
        for owner in observed.files.keys().filter(here).filter(|owner| !jobs.iter().any(|(job, _)| job == owner)) {
            // Without containers they are all that says that the service's jobs are due.
            let due = jobs.iter().filter(|(_, job)| self.service_of(owner) == Some(&job.process.service));
            let ran = due.filter_map(|(job, _)| self.node(&Operation::RunJob { job: (*job).clone() }));
            let after: Vec<NodeId> = gone.get(owner.as_str()).copied().into_iter().chain(ran).collect();
            self.add(Operation::RemoveFiles { owner: owner.clone() }, CAUSE, after);
        }
        if volumes {
            self.remove_data(chosen, &all, !jobs.is_empty());
            return;
        }
        let kept = observed.volumes.iter().filter(here).count();
        match &chosen.node {
            _ if kept == 0 => {}
            None => self.note(format!("{kept} volumes and the secrets are kept: octo rm --volumes")),
            Some(node) => {
                let kept = plural(kept, "volume");
                self.note(format!("{kept} of {node} and the secrets are kept: octo rm --node {node} --volumes"));
            }
        }
        let kept: usize = self.instances(chosen).iter().map(|(_, found)| found.all.len()).sum();
        if kept > 0 {
            let kept = plural(kept, "instance");
            self.note(format!("{kept} of the cloud's users are kept, stopped, for when it is back: octo up"));
        }
    }

    /// The jobs that take away what services have made outside of themselves: those of a service
    /// before those of what it needs. What prevents one is no reason to keep the rest of the cloud.
    fn removal_jobs(&mut self, chosen: &Scope, volumes: bool) -> Vec<(&'a String, &'a DesiredJob)> {
        let desired = self.desired;
        let mut order = self.service_order(&desired.closure(&[]));
        order.reverse();
        let mut jobs = Vec::new();
        for service in order {
            if !self.is_left(chosen, &service, volumes) {
                continue;
            }
            for (name, job) in job_order(desired, &service, true) {
                if !chosen.has_node(&job.node) || !self.in_reach(name) {
                    continue;
                }
                match self.prevented(job) {
                    None => jobs.push((name, job)),
                    Some(why) => self.plan.left_out.push(format!(
                        "job {name} is left out, and what {service} has made on this node may stay: {why}"
                    )),
                }
            }
        }
        jobs
    }

    /// Whether something of a service is left that its removal jobs have not seen yet. Without
    /// `volumes` these outlive the removal, and say nothing: files do, which go after the jobs.
    fn is_left(&self, chosen: &Scope, service: &Name, volumes: bool) -> bool {
        let observed = self.observed;
        let here = |name: &str| chosen.has_node(self.desired.node_of(name));
        let owns = |name: &String| here(name) && self.service_of(name) == Some(service);
        observed.containers.iter().any(|(name, found)| here(name) && found.service == *service)
            || observed.job_containers.keys().any(owns)
            || observed.files.keys().any(owns)
            || (volumes
                && observed
                    .volumes
                    .iter()
                    .filter(|volume| here(volume))
                    .any(|volume| self.desired.volumes.get(volume).is_some_and(|known| known.service == *service)))
    }

    /// The service of a container or job, by its full name.
    fn service_of(&self, owner: &str) -> Option<&'a Name> {
        let container = self.desired.containers.get(owner).map(|container| &container.process);
        let job = || self.desired.jobs.get(owner).map(|job| &job.process);
        container.or_else(job).map(|process| &process.service)
    }

    /// Why a removal job cannot run, or must not.
    fn prevented(&self, job: &DesiredJob) -> Option<String> {
        let (desired, observed) = (self.desired, self.observed);
        let service = &job.process.service;
        let rival = desired.containers_of(service).find_map(|(name, _)| observed.rivals.get(name));
        if let Some(cloud) = rival {
            return Some(format!("cloud {cloud} has this node's {service} now"));
        }
        let images =
            observed.peers.get(&job.node).and_then(Reached::answer).map_or(&observed.images, |peer| &peer.images);
        if !images.contains(&job.process.image) {
            return Some(format!("image {} is not built", desired.services.get(service)?.image));
        }
        if let Some(volume) = job.process.volumes.values().find(|volume| !observed.volumes.contains(*volume)) {
            return Some(format!("volume {volume} does not exist"));
        }
        let network = &desired.network_on(&job.node).name;
        let bridge = observed.bridge.is_some() || desired.topology == Topology::Several;
        let connected = bridge && observed.networks.contains_key(network);
        (job.network == Attachment::Management && !connected).then(|| format!("network {network} does not work"))
    }

    /// Plans that all chosen containers go, and returns what removes each.
    fn remove_containers(
        &mut self,
        chosen: &Scope,
        jobs: &[(&'a String, &'a DesiredJob)],
    ) -> BTreeMap<&'a str, NodeId> {
        let (desired, observed) = (self.desired, self.observed);
        let mut gone = BTreeMap::new();
        let all = observed.containers.keys().chain(observed.job_containers.keys());
        for name in all.filter(|name| chosen.has_node(desired.node_of(name))) {
            let service = observed.containers.get(name).map(|found| &found.service);
            let mut after: Vec<NodeId> =
                self.node(&Operation::StopContainer { container: name.clone() }).into_iter().collect();
            // Should octo be killed in between, these files say that the job is still due.
            for (owner, _) in jobs.iter().filter(|(_, job)| Some(&job.process.service) == service) {
                after.push(self.add(Operation::WriteFiles { owner: (*owner).clone() }, "for the job", []));
            }
            let remove = Operation::RemoveContainer { container: name.clone() };
            gone.insert(name.as_str(), self.add(remove, CAUSE, after));
        }
        gone
    }

    /// Plans the jobs of the removal, when nothing of the cloud runs any more.
    fn run_removal_jobs(
        &mut self,
        chosen: &Scope,
        jobs: &[(&'a String, &'a DesiredJob)],
        containers: &[NodeId],
    ) -> Vec<NodeId> {
        let quiet: Vec<NodeId> = containers.iter().copied().chain(self.stopped_instances(chosen)).collect();
        let mut ran: Vec<(&Name, NodeId)> = Vec::new();
        for (name, job) in jobs {
            let service = &job.process.service;
            let mut after = quiet.clone();
            after.push(self.add(Operation::WriteFiles { owner: (*name).clone() }, "for the job", []));
            let dependents = ran
                .iter()
                .filter(|(earlier, _)| self.desired.closure(std::slice::from_ref(*earlier)).contains(service));
            after.extend(dependents.map(|(_, node)| *node));
            let cause = format!("takes away what {service} has made on this node");
            let node = self.add(Operation::RunJob { job: (*name).clone() }, cause, after);
            self.add(Operation::RemoveFiles { owner: (*name).clone() }, "not needed after the job", [node]);
            ran.push((service, node));
        }
        ran.into_iter().map(|(_, node)| node).collect()
    }

    /// The operations that stop instances.
    fn stopped_instances(&self, chosen: &Scope) -> Vec<NodeId> {
        let stops = self
            .instances(chosen)
            .into_iter()
            .map(|(node, found)| Operation::StopInstances { node, count: found.running.len() });
        stops.filter_map(|stop| self.node(&stop)).collect()
    }

    /// Plans that data goes, `before` which all else has. Running a job leaves traces in the state
    /// directory.
    fn remove_data(&mut self, chosen: &Scope, before: &[NodeId], jobs: bool) {
        let (desired, observed) = (self.desired, self.observed);
        let stopped = self.stopped_instances(chosen);
        for (node, instances) in self.instances(chosen) {
            if !instances.all.is_empty() || !instances.images.is_empty() {
                let count = instances.all.len();
                let after: Vec<NodeId> = before.iter().copied().chain(stopped.iter().copied()).collect();
                self.add(Operation::RemoveInstances { node, count }, CAUSE, after);
            }
        }
        let volumes: Vec<&String> =
            observed.volumes.iter().filter(|volume| chosen.has_node(desired.node_of(volume))).collect();
        // Before the volumes, which say that the logs are due.
        let logs = chosen.node.clone().filter(|_| !volumes.is_empty() || !self.plan.is_empty());
        let logs = logs.map(|node| self.add(Operation::RemoveLogs { node }, CAUSE, before.iter().copied()));
        for volume in volumes {
            let remove = Operation::RemoveVolume { volume: volume.clone() };
            self.add(remove, CAUSE, before.iter().copied().chain(logs));
        }
        if !chosen.is_whole() {
            return;
        }
        if self.nodes().len() < self.desired.nodes.len() {
            // Without the secrets what is left on the silent nodes could not be used again.
            return;
        }
        if self.observed.state || jobs || !self.observed.secrets.is_empty() {
            // Last of all: without the secrets nothing could be tried again.
            let last = self.last_nodes();
            self.add(Operation::RemoveState, CAUSE, last);
        }
    }
}
