//! The planner: from what should be and what is to what has to be done. Synchronous, sorted and
//! deterministic; it asks nobody and changes nothing.
//!
//! Plans are made from a snapshot in which parts of the cloud may not answer yet. What is unknown
//! counts as missing, since every operation can be repeated. Where that would be wrong (starting a
//! service whose database may be empty) the plan leaves it out with a note, and whoever carries
//! plans out observes and plans again until nothing is left to do.

mod container;
mod image;
mod init;
#[cfg(test)]
mod instance_tests;
mod load;
#[cfg(test)]
mod load_tests;
mod network;
mod nodes;
#[cfg(test)]
mod nodes_tests;
mod power;
mod removal;
#[cfg(test)]
mod removal_tests;
#[cfg(test)]
pub(crate) mod several_tests;
mod state;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
pub(crate) mod tests;
mod upgrade;
#[cfg(test)]
mod upgrade_tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::demo;
use super::desired::Desired;
use super::name::Name;
use super::observed::{Observed, RunState};
use super::operation::Operation;
use super::plan::{NodeId, Obstacle, Plan};

/// What somebody wants of a cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "goal")]
pub enum Goal {
    /// Images exist.
    Build {
        /// Of these services and what they need; all for none.
        services: Vec<Name>,
    },
    /// One image exists, whether a service needs it or not.
    Image {
        /// Its name in the catalog.
        image: Name,
    },
    /// Containers exist and run, but for services that wait for their initialisation.
    Run {
        /// Of these services and what they need; all for none.
        services: Vec<Name>,
    },
    /// Databases, users, schemas and identity are complete, and everything runs.
    Init,
    /// All of the three before.
    Up,
    /// Containers are stopped: of the chosen services alone.
    Stop(Scope),
    /// Stopped containers run again: of the chosen services and what they need.
    Start(Scope),
    /// Nothing of the cloud is left, but for data.
    Remove {
        /// On this node alone; on all of them for none, with secrets and state if data goes too.
        node: Option<Name>,
        /// Whether data and logs go too.
        volumes: bool,
    },
    /// A node serves nothing that another serves too, and goes on running.
    Drain {
        /// The node.
        node: Name,
    },
    /// A node serves again what was taken out of the load.
    Ready {
        /// The node.
        node: Name,
    },
}

/// What of a cloud a goal is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    /// These services; all for none.
    pub services: Vec<Name>,
    /// Their containers on this node; on all of them for none.
    pub node: Option<Name>,
}

impl Scope {
    /// All that is on a node.
    pub fn of_node(node: Name) -> Self {
        Self { services: Vec::new(), node: Some(node) }
    }

    /// Whether it is all of the cloud.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it has what is on a node.
    pub fn has_node(&self, node: &Name) -> bool {
        self.node.as_ref().is_none_or(|chosen| chosen == node)
    }
}

impl Goal {
    /// The verb that a person types for it.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Build { .. } | Self::Image { .. } => "build",
            Self::Run { .. } => "run",
            Self::Init => "init",
            Self::Up => "up",
            Self::Stop(_) => "stop",
            Self::Start(_) => "start",
            Self::Remove { .. } => "rm",
            Self::Drain { .. } => "node drain",
            Self::Ready { .. } => "node ready",
        }
    }

    /// The services that somebody has chosen for it.
    pub fn services(&self) -> &[Name] {
        match self {
            Self::Build { services } | Self::Run { services } => services,
            Self::Stop(scope) | Self::Start(scope) => &scope.services,
            Self::Image { .. }
            | Self::Init
            | Self::Up
            | Self::Remove { .. }
            | Self::Drain { .. }
            | Self::Ready { .. } => &[],
        }
    }

    /// The node that somebody has chosen for it.
    pub fn node(&self) -> Option<&Name> {
        match self {
            Self::Stop(scope) | Self::Start(scope) => scope.node.as_ref(),
            Self::Remove { node, .. } => node.as_ref(),
            Self::Drain { node } | Self::Ready { node } => Some(node),
            Self::Build { .. } | Self::Image { .. } | Self::Run { .. } | Self::Init | Self::Up => None,
        }
    }
}

/// Plans how to reach a goal.
pub fn plan(goal: &Goal, desired: &Desired, observed: &Observed) -> Plan {
    let mut planner = Planner::new(desired, observed);
    match goal {
        Goal::Build { services } => {
            for service in desired.closure(services) {
                planner.image_of(&service);
            }
            // Later there may be no way to the packages that it is made of.
            if services.is_empty() && desired.boots_instances() {
                planner.image(&Name::fixed(demo::IMAGE));
            }
        }
        Goal::Image { image } => {
            planner.image(image);
        }
        Goal::Run { services } => {
            planner.images = Images::MustExist;
            planner.run(&desired.closure(services), services.is_empty());
        }
        Goal::Init => {
            planner.images = Images::MustExist;
            planner.init(Containers::MustExist);
        }
        Goal::Up => {
            let all = desired.closure(&[]);
            planner.run(&all, true);
            planner.init(Containers::Planned);
        }
        Goal::Stop(scope) => planner.stop(scope),
        Goal::Start(scope) => planner.start(scope),
        Goal::Remove { node, volumes } => {
            planner.remove(&Scope { services: Vec::new(), node: node.clone() }, *volumes);
        }
        Goal::Drain { node } => planner.drain_node(node),
        Goal::Ready { node } => planner.ready_node(node),
    }
    planner.finish()
}

/// Whether missing images are built, or stand in the way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Images {
    Build,
    MustExist,
}

/// Whether missing containers stand in the way, or are part of the same plan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Containers {
    MustExist,
    Planned,
}

/// A plan in the making: what was added so far, by what it makes.
struct Planner<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
    plan: Plan,
    images: Images,
    /// Nodes by operation, so that nothing is added twice.
    nodes: BTreeMap<Operation, NodeId>,
    /// Containers that were created and wait for `init`.
    held: BTreeSet<String>,
    /// Images whose absence is an obstacle already.
    missing_images: BTreeSet<Name>,
    /// What has to work before a container of the next node is made anew: those of the nodes before it.
    rolled: Vec<NodeId>,
    /// What takes the load from the node that is being planned, before anything of it is made anew.
    relief: Vec<NodeId>,
}

impl<'a> Planner<'a> {
    fn new(desired: &'a Desired, observed: &'a Observed) -> Self {
        Self {
            desired,
            observed,
            plan: Plan::default(),
            images: Images::Build,
            nodes: BTreeMap::new(),
            held: BTreeSet::new(),
            missing_images: BTreeSet::new(),
            rolled: Vec::new(),
            relief: Vec::new(),
        }
    }

    /// Adds an operation unless it is already there, and returns its place.
    fn add(
        &mut self,
        operation: Operation,
        cause: impl Into<String>,
        after: impl IntoIterator<Item = NodeId>,
    ) -> NodeId {
        if let Some(id) = self.nodes.get(&operation) {
            return *id;
        }
        let id = self.plan.add(operation.clone(), cause, after);
        self.nodes.insert(operation, id);
        id
    }

    /// The place of an operation, if the plan has it.
    fn node(&self, operation: &Operation) -> Option<NodeId> {
        self.nodes.get(operation).copied()
    }

    fn obstacle(&mut self, message: impl Into<String>, repair: impl Into<String>) {
        let obstacle = Obstacle { message: message.into(), repair: repair.into() };
        if !self.plan.obstacles.contains(&obstacle) {
            self.plan.obstacles.push(obstacle);
        }
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.plan.notes.contains(&note) {
            self.plan.notes.push(note);
        }
    }

    /// Services in an order in which each stands after all that it needs.
    fn service_order(&self, scope: &BTreeSet<Name>) -> Vec<Name> {
        fn visit(desired: &Desired, name: &Name, seen: &mut BTreeSet<Name>, order: &mut Vec<Name>) {
            let Some(service) = desired.services.get(name) else { return };
            if seen.insert(name.clone()) {
                for needed in &service.needs {
                    visit(desired, needed, seen, order);
                }
                order.push(name.clone());
            }
        }
        let mut seen = BTreeSet::new();
        let mut order = Vec::new();
        for name in scope {
            visit(self.desired, name, &mut seen, &mut order);
        }
        order.retain(|name| scope.contains(name));
        order
    }

    /// The nodes after which a service's containers work, as far as the plan has to wait for them.
    fn ready(&self, service: &Name) -> Vec<NodeId> {
        self.desired
            .containers_of(service)
            .filter_map(|(container, _)| self.node(&Operation::AwaitHealth { container: container.clone() }))
            .collect()
    }

    /// The nodes after which everything works that a service needs.
    fn needs_ready(&self, service: &Name) -> Vec<NodeId> {
        let needs = self.desired.services.get(service).map(|service| &service.needs);
        needs.into_iter().flatten().flat_map(|needed| self.ready(needed)).collect()
    }

    /// The nodes that none waits for: after them, after all.
    fn last_nodes(&self) -> Vec<NodeId> {
        let awaited: BTreeSet<NodeId> = self.plan.nodes.iter().flat_map(|node| node.after.iter().copied()).collect();
        self.plan.nodes.iter().map(|node| node.id).filter(|id| !awaited.contains(id)).collect()
    }

    fn running(&self, container: &str) -> bool {
        self.observed.containers.get(container).is_some_and(|found| found.state == RunState::Running)
    }

    fn finish(self) -> Plan {
        self.plan
    }
}
