//! Planning of load: before anything of a node is made anew, what the node serves is out of the load of
//! the load balancers, and what works again is given its share. What is out of the load is observed, so
//! that nothing stays out when octo was killed.

use std::collections::BTreeSet;

use crate::model::catalog::Part;
use crate::model::desired::DesiredContainer;
use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::operation::Operation;
use crate::model::plan::NodeId;
use crate::model::plural::plural;

use super::{Planner, Scope};

impl Planner<'_> {
    /// Plans what comes before anything is taken out of the load: load balancers read changed files, since
    /// a new process of one has everything in its load, and what a killed octo has left out is back.
    pub(super) fn load_first(&mut self) {
        if self.desired.topology == Topology::Single {
            return;
        }
        let desired = self.desired;
        for (name, container, _) in desired.load_balancers() {
            if self.in_reach(name) && self.running(name) && self.cause_to_make(name, container).is_none() {
                self.container(name, container, Vec::new());
                let reload = self.node(&Operation::ReloadContainer { container: name.clone() });
                let works = reload.and_then(|_| self.node(&Operation::AwaitHealth { container: name.clone() }));
                self.rolled.extend(works);
            }
        }
        let back = self.give_back(&Scope::default());
        self.rolled.extend(back);
    }

    /// Plans that a node serves nothing and goes on running. What nobody else would serve stays in the
    /// load, and is told.
    pub(super) fn drain_node(&mut self, node: &Name) {
        self.answers(node);
        let (desired, observed) = (self.desired, self.observed);
        for (name, _) in desired.containers.iter().filter(|(_, container)| container.node == *node) {
            let is_out = observed.drained.contains(name) && !observed.partly_drained.contains(name);
            let has_load = desired.frontends_of(name).next().is_some() && observed.works(name);
            if has_load && !is_out && self.drain(name, "asked for", &[]).is_none() {
                self.note(format!("{name} stays in the load: nobody else serves the same"));
            }
        }
        if observed.vip_holder.as_ref() == Some(node) {
            self.note(format!("{node} keeps the VIPs until it stops: octo stop --node {node}"));
        }
        let chosen = Scope::of_node(node.clone());
        let running: usize = self.instances(&chosen).iter().map(|(_, found)| found.running.len()).sum();
        if running > 0 {
            self.note(format!("{} on {node} go on running", plural(running, "instance")));
        }
    }

    /// Plans that what was left out of the load on a node is given its share again.
    pub(super) fn ready_node(&mut self, node: &Name) {
        self.answers(node);
        self.give_back(&Scope::of_node(node.clone()));
        let (desired, observed) = (self.desired, self.observed);
        let here = desired.containers.iter().filter(|(_, container)| container.node == *node);
        for (name, _) in here.filter(|(name, _)| observed.drained.contains(*name) && !observed.works(name)) {
            self.note(format!("{name} does not work, and stays out of the load: octo up"));
        }
    }

    /// Plans that what works on some nodes and was left out of the load is given its share again.
    pub(super) fn give_back(&mut self, chosen: &Scope) -> Vec<NodeId> {
        let known = |name: &&String| self.desired.containers.contains_key(*name);
        let here = |name: &&String| chosen.has_node(self.desired.node_of(name));
        let left_out = self.observed.drained.iter().filter(known).filter(here);
        let left_out: Vec<&String> = left_out.filter(|name| self.in_reach(name) && self.observed.works(name)).collect();
        let after = self.rolled.clone();
        let cause = "it was left out of the load";
        left_out
            .into_iter()
            .map(|name| self.add(Operation::RestoreServer { container: name.clone() }, cause, after.iter().copied()))
            .collect()
    }

    /// Plans that a container gets nothing new to do, if others serve the same.
    pub(super) fn drain(&mut self, name: &str, cause: &str, after: &[NodeId]) -> Option<NodeId> {
        let container = self.desired.containers.get(name)?;
        if !self.observed.works(name) || !self.others_serve(name, container) {
            return None;
        }
        Some(self.add(Operation::DrainServer { container: name.to_owned() }, cause, after.iter().copied()))
    }

    /// Plans that a node on which something is made anew serves nothing meanwhile: neither what is made
    /// anew itself, nor what uses it there. What nobody else would serve stays in the load.
    pub(super) fn relieve(&mut self, node: &Name, scope: &BTreeSet<Name>, before: Vec<NodeId>) {
        self.relief.clear();
        if self.desired.topology == Topology::Single {
            return;
        }
        let desired = self.desired;
        let made_anew: BTreeSet<&Name> = scope
            .iter()
            .filter(|service| {
                let mut here = desired.containers_on(node, service);
                here.any(|(name, wanted)| self.running(name) && self.cause_to_make(name, wanted).is_some())
            })
            .collect();
        let after: Vec<NodeId> = before.into_iter().chain(self.rolled.iter().copied()).collect();
        for (name, container) in desired.containers.iter().filter(|(_, container)| container.node == *node) {
            let service = &container.process.service;
            let Some(cause) = made_anew.iter().find(|changed| self.suffers(service, changed)) else { continue };
            let drained = self.drain(name, &format!("{cause} of {node} is made anew"), &after);
            self.relief.extend(drained);
        }
        self.yielded(node, &made_anew, &after);
    }

    /// Plans that what yields to something that is made anew on a node stops, before anything there does. What it
    /// holds is elsewhere then.
    fn yielded(&mut self, node: &Name, made_anew: &BTreeSet<&Name>, after: &[NodeId]) {
        let desired = self.desired;
        for (name, container) in desired.containers.iter().filter(|(_, container)| container.node == *node) {
            let mut yields = std::iter::once(&container.process.service).chain(&container.yields_to);
            let Some(cause) = yields.find(|service| made_anew.contains(service)) else { continue };
            if !container.yields_to.is_empty() && self.running(name) {
                let stop = Operation::StopContainer { container: name.clone() };
                let after: Vec<NodeId> = after.iter().chain(&self.relief).copied().collect();
                let stopped = self.add(stop, format!("{cause} of {node} is made anew"), after);
                self.relief.push(stopped);
            }
        }
    }

    /// Plans that what has yielded on a node, and is not made anew itself, is started again.
    pub(super) fn resumed(&mut self, node: &Name) {
        let desired = self.desired;
        for (name, container) in desired.containers.iter().filter(|(_, container)| container.node == *node) {
            let is_removed = self.node(&Operation::RemoveContainer { container: name.clone() }).is_some();
            if let Some(stopped) = self.has_yielded(name, container).filter(|_| !is_removed) {
                let others = container.yields_to.iter().flat_map(|service| desired.containers_on(node, service));
                let works = |(other, _): (&String, _)| self.node(&Operation::AwaitHealth { container: other.clone() });
                let after = others.filter_map(works).chain([stopped]).collect();
                self.start_container(name, "it was stopped meanwhile", after);
            }
        }
    }

    /// The stop of a container that yields, if the plan has it.
    pub(super) fn has_yielded(&self, name: &str, container: &DesiredContainer) -> Option<NodeId> {
        let stopped = || self.node(&Operation::StopContainer { container: name.to_owned() });
        if container.yields_to.is_empty() { None } else { stopped() }
    }

    /// Plans that what is out of the load on a node is given its share again when everything works that
    /// the plan makes there. What does not work is observed again after this plan.
    pub(super) fn back_in_load(&mut self, node: &Name) {
        let desired = self.desired;
        let here = || desired.containers.iter().filter(|(_, container)| container.node == *node).map(|(name, _)| name);
        let works: Vec<NodeId> =
            here().filter_map(|name| self.node(&Operation::AwaitHealth { container: name.clone() })).collect();
        for name in here() {
            let drained = self.node(&Operation::DrainServer { container: name.clone() });
            let awaited = self.node(&Operation::AwaitHealth { container: name.clone() });
            let stopped = self.node(&Operation::StopContainer { container: name.clone() });
            // An octo that was killed may have left it out before it worked.
            let is_out = drained.is_some() || (self.observed.drained.contains(name) && awaited.is_some());
            if is_out && (awaited.is_some() || stopped.is_none()) {
                let restore = Operation::RestoreServer { container: name.clone() };
                self.add(restore, "it was taken out of the load", works.iter().copied().chain(drained));
            }
        }
    }

    /// Whether a service serves worse while another is made anew: it is that, or needs it for its
    /// answers, directly or not.
    fn suffers(&self, service: &Name, other: &Name) -> bool {
        let log = self.desired.provider(Part::LogCollector);
        service == other || (log != Some(other) && self.desired.closure(std::slice::from_ref(service)).contains(other))
    }

    /// Whether a container has load, and for all of it there is another that works and is in the load.
    fn others_serve(&self, name: &str, container: &DesiredContainer) -> bool {
        let mut frontends = self.desired.frontends_of(name).peekable();
        let balanced = self.desired.load_balancers().any(|(balancer, ..)| self.running(balancer));
        balanced
            && frontends.peek().is_some()
            && frontends.all(|frontend| {
                frontend.backends.iter().any(|other| other.node != container.node && self.serves_by_then(&other.name))
            })
    }

    /// Whether a container works and is in the load, or does before anything of a later node is taken out
    /// of it.
    fn serves_by_then(&self, name: &str) -> bool {
        let planned = |operation| self.node(&operation).is_some();
        let awaited = || planned(Operation::AwaitHealth { container: name.to_owned() });
        let restored = || planned(Operation::RestoreServer { container: name.to_owned() });
        (self.observed.works(name) || awaited()) && (!self.observed.drained.contains(name) || restored())
    }
}
