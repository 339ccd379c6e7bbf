//! An in-memory world for tests: it is observed and changed like the real one, and refuses what the
//! real one would refuse.

mod jobs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::model::catalog::Part;
use crate::model::desired::Desired;
use crate::model::fingerprint;
use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::observed::{
    Observed, ObservedBridge, ObservedContainer, ObservedDatabase, ObservedHealth, ObservedIdentity, ObservedInstances,
    ObservedMessageBus, ObservedNetwork, ObservedPeer, Reached, RunState,
};
use crate::model::operation::Operation;

/// The world: what is observed, and what hides in volumes while nothing runs.
pub struct World {
    desired: Desired,
    state: Mutex<State>,
}

/// The value that operations change.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// All but the contents of the three parts.
    pub seen: Observed,
    /// What the database holds, running or not.
    pub database: ObservedDatabase,
    /// Databases that a job has filled, whole or up to where it was interrupted, which nobody can go on from.
    pub filled: BTreeMap<Name, bool>,
    /// What the message bus holds.
    pub message_bus: ObservedMessageBus,
    /// What the identity service holds.
    pub identity: ObservedIdentity,
    /// Containers that were started, in order.
    pub started: Vec<String>,
    /// Services that have made something on the node which only their removal jobs take away.
    pub traces: BTreeSet<Name>,
}

impl World {
    /// A world for a cloud.
    pub fn new(desired: Desired, mut state: State) -> Self {
        for node in desired.nodes.keys().filter(|node| **node != desired.node) {
            state.seen.peers.entry(node.clone()).or_insert_with(|| Reached::Answered(ObservedPeer::default()));
        }
        Self { desired, state: Mutex::new(state) }
    }

    /// Cuts a node off: what is on it goes on, and octo neither sees nor reaches it.
    pub fn cut_off(&self, node: &Name) {
        self.lock().seen.peers.insert(node.clone(), Reached::Silent("no route to host".to_owned()));
    }

    /// Ends that; images on it count as lost, so that they are sent again.
    pub fn bring_back(&self, node: &Name) {
        self.lock().seen.peers.insert(node.clone(), Reached::Answered(ObservedPeer::default()));
    }

    /// Whether octo reaches the node of what has this name.
    fn in_reach(&self, seen: &Observed, name: &str) -> bool {
        !matches!(seen.peers.get(self.desired.node_of(name)), Some(Reached::Silent(_)))
    }

    /// The images on a node, if it answers.
    fn images<'a>(&self, state: &'a State, node: &Name) -> Option<&'a BTreeSet<String>> {
        match state.seen.peers.get(node) {
            None => Some(&state.seen.images),
            Some(peer) => peer.answer().map(|peer| &peer.images),
        }
    }

    fn send_images(&self, state: &mut State, node: &Name) -> Result<(), String> {
        let wanted = self.desired.containers.values().filter(|container| container.node == *node);
        let wanted: BTreeSet<String> = wanted.map(|container| container.process.image.clone()).collect();
        require(wanted.is_subset(&state.seen.images), "built images")?;
        match state.seen.peers.get_mut(node) {
            Some(Reached::Answered(peer)) => peer.images.extend(wanted),
            _ => return Err(format!("needs node {node}")),
        }
        Ok(())
    }

    /// The state as it is.
    pub fn state(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The snapshot that a planner sees: contents only of what runs.
    pub fn snapshot(&self) -> Observed {
        let state = self.lock();
        let mut seen = state.seen.clone();
        seen.containers.retain(|name, _| self.in_reach(&state.seen, name));
        // They forget it when they end, and what does not run tells nothing.
        if !self.balanced(&state) {
            seen.drained.clear();
            seen.partly_drained.clear();
        }
        seen.job_containers.retain(|name, _| self.in_reach(&state.seen, name));
        seen.networks.retain(|name, _| self.in_reach(&state.seen, name));
        seen.volumes.retain(|name| self.in_reach(&state.seen, name));
        seen.files.retain(|name, _| self.in_reach(&state.seen, name));
        let runs = |part| self.runs(&state, part);
        seen.database = answer(runs(Part::Database), &state.database);
        seen.message_bus = answer(runs(Part::MessageBus), &state.message_bus);
        seen.identity = answer(runs(Part::Identity) && runs(Part::Database), &state.identity);
        seen
    }

    /// Whether a part answers: on a single node with all of its containers, among several with any.
    fn runs(&self, state: &State, part: Part) -> bool {
        let works =
            |name: &String| state.seen.containers.get(name).is_some_and(|found| found.state == RunState::Running);
        self.desired.provider(part).is_some_and(|provider| {
            let mut containers = self.desired.containers_of(provider).map(|(name, _)| name);
            match self.desired.topology {
                Topology::Single => containers.all(works),
                Topology::Several => containers.any(works),
            }
        })
    }

    fn owned(&self, service: &Name) -> BTreeSet<Name> {
        self.desired.databases.iter().filter(|(_, owner)| *owner == service).map(|(name, _)| name.clone()).collect()
    }

    /// Performs one operation, and refuses what the real world would refuse.
    pub fn apply(&self, operation: &Operation) -> Result<(), String> {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some(name) = operation.subject() {
            require(self.in_reach(&state.seen, name), "a node that answers")?;
        }
        match operation {
            Operation::StoreSecrets { .. } => state.seen.secrets = self.desired.secrets.keys().cloned().collect(),
            Operation::CopyState { node } => {
                let secrets: BTreeSet<String> = self.desired.secrets.keys().cloned().collect();
                require(secrets.is_subset(&state.seen.secrets), "stored secrets")?;
                if *node != self.desired.node {
                    let peer = state.seen.peers.get(node).and_then(Reached::answer).ok_or("no such node")?;
                    require(!peer.images.is_empty(), "an image on the node")?;
                }
                state.seen.state_copies.insert(node.clone(), self.desired.state_copy.clone());
            }
            Operation::PrepareBase { tag } => {
                state.seen.images.insert(tag.clone());
            }
            Operation::BuildImage { image, tag } => {
                for needed in &self.desired.images[image].after {
                    require(state.seen.images.contains(&self.desired.images[needed].tag), "parent image")?;
                }
                state.seen.images.insert(tag.clone());
            }
            Operation::SendImages { node, .. } => self.send_images(state, node)?,
            Operation::EnsureBridge { .. } => {
                let network = &self.desired.network;
                let addresses = [network.gateway, network.internal_vip].into();
                state.seen.bridge = Some(ObservedBridge { addresses, up: true });
            }
            Operation::CreateNetwork { network } => {
                require(self.has_bridge(state), "bridge")?;
                let desired = &self.desired.network;
                let made = ObservedNetwork {
                    bridge: desired.bridge.clone(),
                    subnet: desired.subnet.to_string(),
                    containers: BTreeSet::new(),
                };
                state.seen.networks.insert(network.clone(), made);
            }
            Operation::CreateVolume { volume } => {
                state.seen.volumes.insert(volume.clone());
            }
            Operation::WriteFiles { owner } => {
                let secrets: BTreeSet<String> = self.desired.secrets.keys().cloned().collect();
                require(secrets.is_subset(&state.seen.secrets), "stored secrets")?;
                let digest = self.desired.containers.get(owner).map(|container| container.files_digest.clone());
                state.seen.files.insert(owner.clone(), digest.unwrap_or_default());
            }
            Operation::CreateContainer { container } => self.create(state, container)?,
            Operation::StartContainer { container } => {
                require(self.has_bridge(state), "bridge")?;
                let found = state.seen.containers.get_mut(container).ok_or("no such container")?;
                found.state = RunState::Running;
                found.kept_running = true;
                found.health = ObservedHealth::Unhealthy("starting".to_owned());
                found.detached = false;
                state.started.push(container.clone());
                let service = &self.desired.containers[container].process.service;
                if self.desired.jobs.values().any(|job| job.at_removal && job.process.service == *service) {
                    state.traces.insert(service.clone());
                }
            }
            Operation::KeepRunning { container } => {
                state.seen.containers.get_mut(container).ok_or("no such container")?.kept_running = true;
            }
            Operation::ReloadContainer { container } => {
                let digest = self.desired.containers[container].files_digest.clone();
                state.seen.containers.get_mut(container).ok_or("no such container")?.files_digest = digest;
            }
            Operation::AwaitHealth { container } => {
                let found = state.seen.containers.get_mut(container).ok_or("no such container")?;
                require(found.state == RunState::Running && !found.detached, "running container on its network")?;
                found.health = ObservedHealth::Healthy;
            }
            Operation::ForgetMember { container } => {
                require(!state.seen.containers.contains_key(container), "a member that is gone")?;
            }
            Operation::AwaitAnswer { part } => {
                require(self.runs(state, *part), "running containers")?;
            }
            Operation::DrainServer { container } => {
                require(self.balanced(state), "a load balancer that runs")?;
                let frontends = self.desired.frontends_of(container).flat_map(|frontend| &frontend.backends);
                let others = frontends.filter(|other| other.name != *container && state.seen.works(&other.name));
                require(others.count() > 0, "another server")?;
                state.seen.drained.insert(container.clone());
                state.seen.partly_drained.remove(container);
            }
            Operation::RestoreServer { container } => {
                require(state.seen.works(container), "a server that works")?;
                state.seen.drained.remove(container);
                state.seen.partly_drained.remove(container);
            }
            Operation::StopContainer { container } => {
                let found = state.seen.containers.get_mut(container).ok_or("no such container")?;
                if found.state != RunState::Created {
                    found.state = RunState::Exited(0);
                }
                found.kept_running = false;
                found.health = ObservedHealth::Unknown;
            }
            Operation::RemoveContainer { container } => {
                let stopped = state.seen.containers.get(container).is_none_or(|found| found.state != RunState::Running);
                require(stopped, "stopped container")?;
                state.seen.containers.remove(container);
                state.seen.job_containers.remove(container);
                for network in state.seen.networks.values_mut() {
                    network.containers.remove(container);
                }
            }
            Operation::StopInstances { .. } => state.seen.instances.running.clear(),
            Operation::RemoveInstances { .. } => {
                require(state.seen.instances.running.is_empty(), "stopped instances")?;
                state.seen.instances = ObservedInstances::default();
            }
            Operation::CreateDatabase { database } => {
                state.database.databases.insert(database.clone());
            }
            Operation::DropDatabase { database } => {
                state.database.databases.remove(database);
                state.filled.remove(database);
            }
            Operation::EnsureDatabaseUser { user } => {
                let owned = self.owned(user);
                require(owned.is_subset(&state.database.databases), "databases")?;
                state.database.users.insert(user.clone(), owned);
            }
            Operation::EnsureMessageUser { user } => {
                state.message_bus.users.insert(user.clone());
            }
            Operation::RunJob { job } => self.run_job(state, job)?,
            Operation::EnsureIdentity { object } => {
                for other in self.desired.identity.iter().filter(|other| object.needs(other)) {
                    require(state.identity.objects.contains(other), &other.to_string())?;
                }
                // Another URL replaces the endpoint's.
                state.identity.objects.retain(|known| known.key() != object.key());
                state.identity.objects.insert(object.clone());
            }
            Operation::IssueToken => {}
            Operation::RemoveNetwork { network } => {
                let empty = state.seen.networks.get(network).is_none_or(|found| found.containers.is_empty());
                require(empty, "empty network")?;
                state.seen.networks.remove(network);
            }
            Operation::RemoveBridge { .. } => state.seen.bridge = None,
            Operation::RemoveVolume { volume } => {
                state.seen.volumes.remove(volume);
            }
            Operation::RemoveFiles { owner } => {
                state.seen.files.remove(owner);
            }
            Operation::RemoveLogs { node } => {
                let here = |name: &String| self.desired.node_of(name) == node;
                require(!state.seen.containers.keys().any(here), "containers gone")?;
                if *node != self.desired.node {
                    state.seen.state_copies.remove(node);
                }
            }
            Operation::RemoveState => {
                state.seen.secrets.clear();
                state.seen.state_copies.clear();
                state.seen.state = false;
            }
        }
        Ok(())
    }

    fn balanced(&self, state: &State) -> bool {
        self.desired
            .load_balancers()
            .any(|(name, ..)| state.seen.containers.get(name).is_some_and(|found| found.state == RunState::Running))
    }

    /// Among several nodes the engines make the bridges.
    fn has_bridge(&self, state: &State) -> bool {
        state.seen.bridge.is_some() || self.desired.topology == Topology::Several
    }

    fn create(&self, state: &mut State, container: &str) -> Result<(), String> {
        let desired = &self.desired.containers[container];
        require(!state.seen.containers.contains_key(container), "free name")?;
        let images = self.images(state, &desired.node).ok_or("no such node")?;
        require(images.contains(&desired.process.image), "image")?;
        require(state.seen.files.get(container) == Some(&desired.files_digest), "files")?;
        require(desired.process.volumes.values().all(|volume| state.seen.volumes.contains(volume)), "volumes")?;
        let network = &self.desired.nodes[&desired.node].network.name;
        let network = state.seen.networks.get_mut(network).ok_or("no network")?;
        if desired.address.is_some() {
            network.containers.insert(container.to_owned());
        }
        let created = ObservedContainer {
            id: format!("id-{container}"),
            service: desired.process.service.clone(),
            fingerprint: fingerprint::of_container(desired),
            files_digest: desired.files_digest.clone(),
            image: desired.process.image.clone(),
            state: RunState::Created,
            health: ObservedHealth::Unknown,
            created: "2026-01-01T00:00:00Z".to_owned(),
            started: None,
            restarts: 0,
            kept_running: false,
            detached: false,
        };
        state.seen.containers.insert(container.to_owned(), created);
        Ok(())
    }

    /// Switches the node off and on: the engine starts again what it is to keep running, and nothing
    /// that was never started.
    pub fn reboot(&self) {
        for found in self.lock().seen.containers.values_mut().filter(|found| found.state != RunState::Created) {
            found.state = if found.kept_running { RunState::Running } else { RunState::Exited(137) };
            found.health = if found.kept_running { ObservedHealth::Healthy } else { ObservedHealth::Unknown };
        }
    }
}

fn answer<T: Clone>(runs: bool, content: &T) -> Reached<T> {
    if runs { Reached::Answered(content.clone()) } else { Reached::Absent }
}

fn require(condition: bool, what: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("needs {what}")) }
}
