//! Planning of stop and start: containers as they are, none made and none removed.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::fingerprint;
use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::observed::{ObservedContainer, ObservedHealth, RunState};
use crate::model::operation::Operation;
use crate::model::plan::NodeId;
use crate::model::resilience;

use super::init::Initialised;
use super::{Planner, Scope};

impl Planner<'_> {
    /// Plans that containers stop: what needs others before those others. A node that stops alone serves
    /// nothing any more before it does.
    pub(super) fn stop(&mut self, chosen: &Scope) {
        let scope: BTreeSet<Name> = if chosen.services.is_empty() {
            self.desired.services.keys().cloned().collect()
        } else {
            chosen.services.iter().cloned().collect()
        };
        let cause = "asked for";
        if chosen.services.is_empty() {
            for (name, found) in &self.observed.containers {
                let leftover = !self.desired.containers.contains_key(name);
                if leftover && chosen.has_node(self.desired.node_of(name)) && to_be_stopped(found) {
                    self.add(Operation::StopContainer { container: name.clone() }, cause, []);
                }
            }
        }
        let relieved = match &chosen.node {
            Some(node) => self.stops_alone(node, &scope),
            None => Vec::new(),
        };
        let mut order = self.service_order(&scope);
        order.reverse();
        for service in order {
            let mut after = self.stopped_dependents(&service);
            after.extend(&relieved);
            let desired = self.desired;
            for (name, _) in desired.containers_of(&service).filter(|(_, wanted)| chosen.has_node(&wanted.node)) {
                let Some(found) = self.observed.containers.get(name).filter(|found| to_be_stopped(found)) else {
                    continue;
                };
                let cause = if alive(found.state) { cause } else { "the engine would start it again" };
                self.add(Operation::StopContainer { container: name.clone() }, cause, after.iter().copied());
            }
        }
        if chosen.services.is_empty() {
            self.stop_instances(chosen, cause);
        }
        if let Some(node) = &chosen.node {
            self.weigh(node, &chosen.services);
        }
    }

    /// Tells what users lose with what stops on a node, while the rest of the cloud goes on.
    fn weigh(&mut self, node: &Name, services: &[Name]) {
        if self.desired.topology == Topology::Single {
            return;
        }
        let stops = |name: &str| self.node(&Operation::StopContainer { container: name.to_owned() }).is_some();
        let costs = resilience::costs(self.desired, self.observed, &stops);
        let services: Vec<&str> = services.iter().map(Name::as_str).collect();
        let lost = if services.is_empty() { node.to_string() } else { format!("{} of {node}", services.join(", ")) };
        self.plan.costs.extend(costs.into_iter().map(|cost| format!("without {lost} {cost}")));
    }

    /// Plans that a node serves nothing.
    fn stops_alone(&mut self, node: &Name, scope: &BTreeSet<Name>) -> Vec<NodeId> {
        self.answers(node);
        let desired = self.desired;
        let here = scope.iter().flat_map(|service| desired.containers_on(node, service));
        here.filter_map(|(name, _)| self.drain(name, "its node stops", &[])).collect()
    }

    /// Plans that instances stop with the whole cloud: after whoever would take that for their own
    /// end, and before what their network needs.
    fn stop_instances(&mut self, chosen: &Scope, cause: &str) {
        let keepers = self.desired.containers.iter().filter(|(_, container)| container.process.engine_socket.is_some());
        let stopped: Vec<NodeId> =
            keepers.filter_map(|(name, _)| self.node(&Operation::StopContainer { container: name.clone() })).collect();
        for (node, instances) in self.instances(chosen) {
            let count = instances.running.len();
            if count > 0 {
                self.add(Operation::StopInstances { node, count }, cause, stopped.iter().copied());
            }
        }
    }

    /// The stops of all containers whose services need this one.
    fn stopped_dependents(&self, service: &Name) -> Vec<NodeId> {
        self.desired
            .containers
            .iter()
            .filter(|(_, container)| {
                let dependent = self.desired.services.get(&container.process.service);
                dependent.is_some_and(|dependent| dependent.needs.contains(service))
            })
            .filter_map(|(name, _)| self.node(&Operation::StopContainer { container: name.clone() }))
            .collect()
    }

    /// Plans that stopped containers run again, in the order of need.
    pub(super) fn start(&mut self, chosen: &Scope) {
        let mut nodes = self.nodes();
        nodes.retain(|node| chosen.has_node(node));
        let networks: BTreeMap<&Name, Option<NodeId>> = nodes
            .into_iter()
            .map(|node| (node, if self.observed.networks.is_empty() { None } else { self.network(node) }))
            .collect();
        for service in self.service_order(&self.desired.closure(&chosen.services)) {
            let desired = self.desired;
            for (name, container) in desired.containers_of(&service) {
                let Some(network) = networks.get(&container.node).copied() else { continue };
                let Some(found) = self.observed.containers.get(name) else {
                    self.note(format!("{name} does not exist: octo run"));
                    continue;
                };
                if found.fingerprint != fingerprint::of_container(container) {
                    self.note(format!("{name} is not as its files say: octo run"));
                }
                match found.state {
                    RunState::Running | RunState::Restarting if found.detached => {
                        self.reattach(name, network.into_iter().collect());
                    }
                    RunState::Running | RunState::Restarting => {
                        self.keep_running(name, found);
                        if found.health != ObservedHealth::Healthy {
                            self.add(
                                Operation::AwaitHealth { container: name.clone() },
                                "does not answer yet",
                                network,
                            );
                        }
                    }
                    RunState::Created if self.initialised(&service) != Initialised::Yes => {
                        self.note(format!("{name} waits for its initialisation: octo init"));
                    }
                    RunState::Dead => self.obstacle(format!("the engine calls {name} dead"), "octo run"),
                    RunState::Created | RunState::Paused | RunState::Exited(_) => {
                        self.start_container(name, "stopped", network.into_iter().collect());
                    }
                }
            }
        }
        self.give_back(chosen);
    }
}

/// Whether it runs, or would after a restart of the node. The engine leaves alone what was never
/// started.
fn to_be_stopped(found: &ObservedContainer) -> bool {
    alive(found.state) || (found.kept_running && matches!(found.state, RunState::Exited(_)))
}

fn alive(state: RunState) -> bool {
    matches!(state, RunState::Running | RunState::Restarting | RunState::Paused)
}
