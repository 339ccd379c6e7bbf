//! Planning of containers: made, made anew, told to read their files again, started.

use std::collections::BTreeSet;

use crate::model::desired::{DesiredContainer, DesiredJob};
use crate::model::fingerprint;
use crate::model::name::Name;
use crate::model::observed::{ObservedContainer, ObservedHealth, RunState, is_here};
use crate::model::operation::Operation;
use crate::model::plan::NodeId;

use super::Planner;
use super::init::Initialised;

impl Planner<'_> {
    /// Plans all containers of some services. `whole` says that these are all of the cloud, so
    /// that what is left over can go.
    pub(super) fn run(&mut self, scope: &BTreeSet<Name>, whole: bool) {
        if whole {
            self.leftovers();
        }
        self.load_first();
        self.upgrade_first(scope);
        let mut nodes = self.nodes();
        // Whatever moves the VIPs does so only once if no other node has to change after theirs.
        nodes.sort_by_key(|node| self.observed.vip_holder.as_ref() == Some(*node));
        for node in nodes {
            let network = self.network(node);
            let sent = self.images_sent(node, scope);
            self.state_copy(node);
            self.relieve(node, scope, network.into_iter().chain(sent).collect());
            for service in self.service_order(scope) {
                let image = self.image_here(node, &service);
                let desired = self.desired;
                for (name, container) in desired.containers_on(node, &service) {
                    self.container(name, container, network.into_iter().chain(image).chain(sent).collect());
                }
            }
            self.resumed(node);
            self.back_in_load(node);
            self.rolled(node);
        }
        if !self.held.is_empty() {
            self.note("next: octo init");
        }
    }

    /// Plans one container, after what it stands on.
    pub(super) fn container(&mut self, name: &str, desired: &DesiredContainer, standing_on: Vec<NodeId>) {
        if self.observed.foreign.contains(name) {
            self.obstacle(
                format!("a container {name} exists that is not of this cloud"),
                format!("docker rm {name}, or another `cloud:` in configuration.yaml"),
            );
            return;
        }
        let mut before: Vec<NodeId> = standing_on;
        for volume in desired.process.volumes.values() {
            before.extend(self.volume(volume));
        }
        let found = self.observed.containers.get(name);
        if let Some(cause) = self.cause_to_make(name, desired) {
            if found.is_some() {
                // What the new one stands on comes first: until then the old one serves, and so do those
                // of the other nodes.
                before.extend(self.rolled.iter().copied());
                before.extend(self.relief.iter().copied());
                before.push(self.remove_container(name, &cause, &before));
            }
            before.extend(self.files(name, &desired.files_digest, found.map(|_| cause.as_str())));
            let create = Operation::CreateContainer { container: name.to_owned() };
            let created = self.add(create, &cause, before);
            self.started(name, desired, None, &cause, vec![created]);
        } else if let Some(found) = found.filter(|_| self.has_yielded(name, desired).is_none()) {
            before.extend(self.files(name, &desired.files_digest, None));
            self.started(name, desired, Some(found), "", before);
        }
    }

    /// The node after which the image of a job can be read, which takes a container of it: its service's first.
    pub(super) fn image_readable(&self, job: &DesiredJob) -> Option<NodeId> {
        let (first, _) = self.desired.containers_on(&job.node, &job.process.service).next()?;
        self.node(&Operation::CreateContainer { container: first.clone() })
    }

    /// Why a container has to be made, if it has.
    pub(super) fn cause_to_make(&self, name: &str, desired: &DesiredContainer) -> Option<String> {
        match self.observed.containers.get(name) {
            None => Some("absent".to_owned()),
            Some(_) if self.node(&Operation::RemoveContainer { container: name.to_owned() }).is_some() => {
                Some("its network is made anew".to_owned())
            }
            Some(found) => self.outdated(found, desired),
        }
    }

    /// Why a container has to be made anew, if it has.
    fn outdated(&self, found: &ObservedContainer, desired: &DesiredContainer) -> Option<String> {
        if found.state == RunState::Dead {
            return Some("the engine calls it dead".to_owned());
        }
        if found.fingerprint == fingerprint::of_container(desired) {
            return None;
        }
        Some(if found.image != desired.process.image {
            "image changed".to_owned()
        } else if found.files_digest != desired.files_digest {
            format!("files changed in {}", join(&desired.process.file_directories))
        } else {
            "settings changed".to_owned()
        })
    }

    /// The node after which the rendered files of a container are on disk.
    fn files(&mut self, owner: &str, digest: &str, cause: Option<&str>) -> Option<NodeId> {
        let cause = match self.observed.files.get(owner) {
            Some(found) if found == digest => return None,
            Some(_) => cause.unwrap_or("differ from what was rendered"),
            None => "absent",
        };
        let mut after: Vec<NodeId> = self.secrets().into_iter().collect();
        // On another node files are written through a container.
        after.extend(self.sent(self.desired.node_of(owner)));
        after.extend(self.node(&Operation::RemoveContainer { container: owner.to_owned() }));
        Some(self.add(Operation::WriteFiles { owner: owner.to_owned() }, cause, after))
    }

    /// Plans that a container runs, has read its files, and works. `found` is what is there now,
    /// unless it is made anew.
    fn started(
        &mut self,
        name: &str,
        desired: &DesiredContainer,
        found: Option<&ObservedContainer>,
        cause: &str,
        before: Vec<NodeId>,
    ) {
        let service = &desired.process.service;
        let state = found.map(|found| found.state);
        if matches!(state, Some(RunState::Running | RunState::Restarting)) {
            let Some(found) = found else { return };
            if found.detached {
                self.reattach(name, before);
                return;
            }
            self.keep_running(name, found);
            let mut waits = before;
            if desired.reload.is_some() && found.files_digest != desired.files_digest {
                let reload = Operation::ReloadContainer { container: name.to_owned() };
                waits = vec![self.add(reload, "files changed", waits)];
            } else if found.health == ObservedHealth::Healthy {
                return;
            }
            let cause = match &found.health {
                ObservedHealth::Unhealthy(reason) => reason.clone(),
                ObservedHealth::Healthy | ObservedHealth::Unknown => "reloaded".to_owned(),
            };
            self.add(Operation::AwaitHealth { container: name.to_owned() }, cause, waits);
            return;
        }
        let was_started = matches!(state, Some(RunState::Exited(_) | RunState::Paused));
        let may_start = match self.initialised(service) {
            _ if self.needs_held(service) => false,
            Initialised::Yes => true,
            Initialised::No => false,
            Initialised::Unknown => was_started,
        };
        if !may_start {
            self.held.insert(name.to_owned());
            return;
        }
        let cause = if cause.is_empty() { stopped_cause(state) } else { cause };
        let before = before.into_iter().chain(self.jobs_planned(service)).collect();
        self.start_container(name, cause, before);
    }

    /// Plans the start of a container that is there (or will be), after what its service needs,
    /// and that octo waits for it.
    pub(super) fn start_container(&mut self, name: &str, cause: &str, before: Vec<NodeId>) {
        let Some(desired) = self.desired.containers.get(name) else { return };
        if let Some(cloud) = self.observed.rivals.get(name) {
            self.obstacle(
                format!("the node has room for only one {}, and cloud {cloud} has it", desired.process.service),
                format!("stop that cloud first: octo stop, with its own configuration.yaml (cloud: {cloud})"),
            );
        }
        let ports = desired.host_ports.iter().filter(|_| desired.node == self.desired.node);
        for (address, port) in ports {
            let network = &self.desired.network;
            let own = [network.gateway, network.internal_vip].contains(address);
            if !own && !self.observed.occupied.is_empty() && !is_here(*address, &self.observed.occupied) {
                self.obstacle(
                    format!("{address}, where {name} is to listen, is no address of this machine"),
                    "set `network.external_vip` in configuration.yaml to an address that `ip -4 address` shows",
                );
            }
            if let Some(holder) = self.observed.taken_ports.get(&(*address, *port)) {
                self.obstacle(
                    format!("port {port} of {address}, which {name} needs, is taken by {holder}"),
                    format!("stop {holder}, or set another address or port in configuration.yaml"),
                );
            }
        }
        let after: Vec<NodeId> = before.into_iter().chain(self.needs_ready(&desired.process.service)).collect();
        let start = self.add(Operation::StartContainer { container: name.to_owned() }, cause, after);
        self.add(Operation::AwaitHealth { container: name.to_owned() }, "started", [start]);
    }

    /// Plans that a container which runs does so after a restart of the node too. octo may have
    /// been killed when it had announced a stop, and not stopped it yet.
    pub(super) fn keep_running(&mut self, name: &str, found: &ObservedContainer) {
        if !found.kept_running {
            let keep = Operation::KeepRunning { container: name.to_owned() };
            self.add(keep, "the engine would not start it again", []);
        }
    }

    /// Plans that the engine connects a container with the bridge again, which it only does when
    /// it starts one.
    pub(super) fn reattach(&mut self, name: &str, before: Vec<NodeId>) {
        let cause = format!("its network interface is not on bridge {}", self.desired.network.bridge);
        let stop = Operation::StopContainer { container: name.to_owned() };
        let stopped = self.add(stop, &cause, []);
        self.start_container(name, &cause, before.into_iter().chain([stopped]).collect());
    }

    /// Whether a service needs one whose containers wait for their initialisation.
    fn needs_held(&self, service: &Name) -> bool {
        let needs = self.desired.services.get(service).map(|service| &service.needs);
        needs.into_iter().flatten().any(|needed| {
            self.needs_held(needed) || self.desired.containers_of(needed).any(|(name, _)| self.held.contains(name))
        })
    }

    /// Plans that a container is gone, stopped before if it runs.
    pub(super) fn remove_container(&mut self, name: &str, cause: &str, after: &[NodeId]) -> NodeId {
        let remove = Operation::RemoveContainer { container: name.to_owned() };
        if !self.running(name) {
            return self.add(remove, cause, after.iter().copied());
        }
        let stop = Operation::StopContainer { container: name.to_owned() };
        let stopped = self.add(stop, cause, after.iter().copied());
        self.add(remove, cause, [stopped])
    }

    /// Plans that what no file describes any more goes: containers and files, never data.
    fn leftovers(&mut self) {
        let cause = "no longer in services.yaml or configuration.yaml";
        for name in self.observed.containers.keys().filter(|name| !self.desired.containers.contains_key(*name)) {
            self.remove_container(name, cause, &[]);
        }
        for owner in self.observed.files.keys() {
            if !self.desired.containers.contains_key(owner) && !self.desired.jobs.contains_key(owner) {
                let gone = self.node(&Operation::RemoveContainer { container: owner.clone() });
                self.add(Operation::RemoveFiles { owner: owner.clone() }, cause, gone);
            }
        }
        for volume in self.observed.volumes.iter().filter(|volume| !self.desired.volumes.contains_key(*volume)) {
            self.note(format!("volume {volume} is no longer used; it is kept: docker volume rm {volume}"));
        }
    }
}

fn stopped_cause(state: Option<RunState>) -> &'static str {
    match state {
        Some(RunState::Exited(_)) => "stopped",
        Some(RunState::Paused) => "paused",
        _ => "not started yet",
    }
}

fn join(directories: &BTreeSet<String>) -> String {
    directories.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
