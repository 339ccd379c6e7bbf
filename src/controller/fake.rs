//! An in-memory world for tests: it is observed and changed like the real one, and refuses what the
//! real one would refuse.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::model::catalog::{Attachment, Part};
use crate::model::desired::Desired;
use crate::model::fingerprint;
use crate::model::name::Name;
use crate::model::observed::{
    JobContainer, JobRecord, Observed, ObservedBridge, ObservedContainer, ObservedDatabase, ObservedHealth,
    ObservedIdentity, ObservedInstances, ObservedMessageBus, ObservedNetwork, Reached, RunState,
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
    pub fn new(desired: Desired, state: State) -> Self {
        Self { desired, state: Mutex::new(state) }
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
        let runs = |part| {
            self.desired.provider(part).is_some_and(|provider| {
                self.desired.containers_of(provider).all(|(name, _)| {
                    state.seen.containers.get(name).is_some_and(|found| found.state == RunState::Running)
                })
            })
        };
        seen.database = answer(runs(Part::Database), &state.database);
        seen.message_bus = answer(runs(Part::MessageBus), &state.message_bus);
        seen.identity = answer(runs(Part::Identity) && runs(Part::Database), &state.identity);
        seen
    }

    fn owned(&self, service: &Name) -> BTreeSet<Name> {
        self.desired.databases.iter().filter(|(_, owner)| *owner == service).map(|(name, _)| name.clone()).collect()
    }

    /// Performs one operation, and refuses what the real world would refuse.
    pub fn apply(&self, operation: &Operation) -> Result<(), String> {
        let mut state = self.lock();
        let state = &mut *state;
        match operation {
            Operation::StoreSecrets { .. } => state.seen.secrets = self.desired.secrets.keys().cloned().collect(),
            Operation::PrepareBase { tag } => {
                state.seen.images.insert(tag.clone());
            }
            Operation::BuildImage { image, tag } => {
                for needed in &self.desired.images[image].after {
                    require(state.seen.images.contains(&self.desired.images[needed].tag), "parent image")?;
                }
                state.seen.images.insert(tag.clone());
            }
            Operation::EnsureBridge { .. } => {
                let network = &self.desired.network;
                let addresses = [network.gateway, network.internal_vip].into();
                state.seen.bridge = Some(ObservedBridge { addresses, up: true });
            }
            Operation::CreateNetwork { network } => {
                require(state.seen.bridge.is_some(), "bridge")?;
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
                require(state.seen.bridge.is_some(), "bridge")?;
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
            Operation::AwaitAnswer { part } => {
                let provider = self.desired.provider(*part).ok_or("no such part")?;
                let runs = self.desired.containers_of(provider).all(|(name, _)| {
                    state.seen.containers.get(name).is_some_and(|found| found.state == RunState::Running)
                });
                require(runs, "running containers")?;
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
            Operation::RemoveState => {
                state.seen.secrets.clear();
                state.seen.state = false;
            }
        }
        Ok(())
    }

    fn create(&self, state: &mut State, container: &str) -> Result<(), String> {
        let desired = &self.desired.containers[container];
        require(!state.seen.containers.contains_key(container), "free name")?;
        require(state.seen.images.contains(&desired.process.image), "image")?;
        require(state.seen.files.get(container) == Some(&desired.files_digest), "files")?;
        require(desired.process.volumes.values().all(|volume| state.seen.volumes.contains(volume)), "volumes")?;
        let network = state.seen.networks.get_mut(&self.desired.network.name).ok_or("no network")?;
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

    fn run_job(&self, state: &mut State, job: &str) -> Result<(), String> {
        let desired = &self.desired.jobs[job];
        let fingerprint = fingerprint::of_job(desired);
        require(state.seen.files.contains_key(job), "files")?;
        require(state.seen.images.contains(&desired.process.image), "image")?;
        require(desired.process.volumes.values().all(|volume| state.seen.volumes.contains(volume)), "volumes")?;
        let network = state.seen.networks.contains_key(&self.desired.network.name) && state.seen.bridge.is_some();
        require(desired.network == Attachment::Host || network, "network")?;
        if desired.at_removal {
            let service = &desired.process.service;
            require(state.seen.containers.values().all(|found| found.service != *service), "containers gone")?;
            state.traces.remove(service);
            state.seen.job_containers.remove(job);
            return Ok(());
        }
        for other in &desired.after {
            let done = state.database.jobs.get(other).is_some_and(|record| record.finished.is_some());
            require(done, "earlier job")?;
        }
        let owned = self.owned(&desired.process.service);
        require(owned.is_subset(&state.database.databases), "databases")?;
        state.seen.job_containers.remove(job);
        state.database.jobs.insert(job.to_owned(), JobRecord { finished: Some(fingerprint), started: None });
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

    /// Leaves a job half done, as a killed process does.
    pub fn interrupt_job(&self, job: &str, container: Option<RunState>) {
        let mut state = self.lock();
        let fingerprint = fingerprint::of_job(&self.desired.jobs[job]);
        let record = JobRecord { finished: None, started: Some(fingerprint.clone()) };
        state.database.jobs.insert(job.to_owned(), record);
        if let Some(container) = container {
            let container = JobContainer { fingerprint, state: container };
            state.seen.job_containers.insert(job.to_owned(), container);
        }
    }
}

fn answer<T: Clone>(runs: bool, content: &T) -> Reached<T> {
    if runs { Reached::Answered(content.clone()) } else { Reached::Absent }
}

fn require(condition: bool, what: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("needs {what}")) }
}
