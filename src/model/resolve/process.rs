//! What a container's or job's process needs around it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Resolver, bytes, files_of};
use crate::model::catalog::{Attachment, Container, Job, Service};
use crate::model::desired::{Desired, DesiredVolume, ProcessSpec};
use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::path::directory;
use crate::model::volume::VolumeReference;

impl Resolver<'_> {
    fn process(&self, name: &Name, service: &Service, command: &[String], files: &BTreeSet<&String>) -> ProcessSpec {
        let external_name = &self.settings.network.external_name;
        ProcessSpec {
            service: name.clone(),
            image: self.images.tags.get(&service.image).cloned().unwrap_or_default(),
            command: command.to_vec(),
            user: None,
            environment: BTreeMap::new(),
            volumes: BTreeMap::new(),
            file_directories: files.iter().map(|path| directory(path).to_owned()).collect(),
            tmpfs: BTreeMap::new(),
            read_only: true,
            capabilities: BTreeSet::new(),
            apparmor: None,
            devices: BTreeSet::new(),
            memory: bytes(&self.settings.limits.memory).unwrap_or(1 << 30),
            pids: self.settings.limits.pids,
            cpu_shares: None,
            sysctls: BTreeMap::new(),
            engine_socket: None,
            host_pid: false,
            hosts: external_name.iter().map(|name| (name.clone(), self.settings.network.external_vip)).collect(),
            init: true,
            log_address: None,
            log_directory: None,
        }
    }

    pub(super) fn container_process(
        &self,
        name: &Name,
        service: &Service,
        container_name: &Name,
        container: &Container,
        node: &Name,
    ) -> ProcessSpec {
        let files = files_of(service, Some(container_name), None).into_keys().collect();
        let mut process = self.process(name, service, &container.command, &files);
        let limits = self
            .settings
            .limits
            .containers
            .iter()
            .find(|(limited, _)| limited.as_str() == format!("{name}-{container_name}"));
        let limits = limits.map(|(_, limits)| limits);
        process.user.clone_from(&container.user);
        process.environment.clone_from(&container.environment);
        process.volumes = self.volumes(name, &container.volumes, node);
        process.tmpfs.clone_from(&container.tmpfs);
        process.read_only = container.read_only;
        process.capabilities = container.capabilities.iter().cloned().collect();
        process.apparmor.clone_from(&container.apparmor);
        process.devices = container.devices.iter().cloned().collect();
        process.init = container.init;
        process.sysctls = self.sysctls(container.network);
        process.engine_socket.clone_from(&container.engine_socket);
        process.host_pid = container.host_pid;
        let memory = limits.and_then(|limits| limits.memory.as_ref()).or(container.memory.as_ref());
        process.memory = memory.and_then(|memory| bytes(memory)).unwrap_or(process.memory);
        process.pids = limits.and_then(|limits| limits.pids).or(container.pids).unwrap_or(process.pids);
        process.cpu_shares = container.cpu_shares;
        process.log_directory =
            container.log_directory.as_ref().map(|inside| (self.settings.logging.directory.clone(), inside.clone()));
        process
    }

    pub(super) fn job_process(
        &self,
        name: &Name,
        service: &Service,
        job_name: &Name,
        job: &Job,
        node: &Name,
    ) -> ProcessSpec {
        let files = files_of(service, None, Some(job_name)).into_keys().collect();
        let mut process = self.process(name, service, &job.command, &files);
        process.user.clone_from(&job.user);
        process.sysctls = self.sysctls(job.network);
        process.volumes = self.volumes(name, &job.volumes, node);
        process.tmpfs.clone_from(&job.tmpfs);
        process.capabilities = job.capabilities.iter().cloned().collect();
        process.apparmor.clone_from(&job.apparmor);
        process
    }

    /// With several nodes whoever waits for an answer over TCP may wait for a node that is off. A program that
    /// turns on keepalive, as database drivers and servers do, learns of it within seconds instead of two hours,
    /// and at once when another node has the address. See tcp(7).
    fn sysctls(&self, network: Attachment) -> BTreeMap<String, String> {
        if network != Attachment::Management || self.topology == Topology::Single {
            return BTreeMap::new();
        }
        let keepalive = [("time", "1"), ("intvl", "1"), ("probes", "5")];
        keepalive.map(|(key, value)| (format!("net.ipv4.tcp_keepalive_{key}"), value.to_owned())).into()
    }

    fn volumes(
        &self,
        service: &Name,
        volumes: &BTreeMap<String, VolumeReference>,
        node: &Name,
    ) -> BTreeMap<String, String> {
        let full = |reference: &VolumeReference| {
            self.full_name(reference.service.as_ref().unwrap_or(service), &reference.volume, node)
        };
        volumes.iter().map(|(path, reference)| (path.clone(), full(reference))).collect()
    }

    /// Every volume that a container or job mounts, with the service that it belongs to.
    pub(super) fn desired_volumes(&self, desired: &Desired) -> BTreeMap<String, DesiredVolume> {
        let mut volumes = BTreeMap::new();
        for (name, service) in &self.services {
            let containers = service.containers.iter().flat_map(|(container, wanted)| {
                let nodes = desired.containers_of(name).filter(move |(_, found)| found.container == *container);
                nodes.map(move |(_, found)| (&found.node, &wanted.volumes))
            });
            let jobs = service.jobs.iter().flat_map(|(job, wanted)| {
                let nodes =
                    desired.jobs.values().filter(move |found| found.process.service == **name && found.job == *job);
                nodes.map(move |found| (&found.node, &wanted.volumes))
            });
            for (node, mounted) in containers.chain(jobs) {
                for reference in mounted.values() {
                    let owner = reference.service.as_ref().unwrap_or(name);
                    let volume = DesiredVolume { service: owner.clone(), node: node.clone() };
                    volumes.insert(self.full_name(owner, &reference.volume, node), volume);
                }
            }
        }
        volumes
    }
}

#[cfg(test)]
mod tests {
    use crate::model::planner::several_tests::pair;
    use crate::model::planner::tests::cloud;

    #[test]
    fn of_several_nodes_only_what_has_a_network_of_its_own_gives_up_a_silent_peer() {
        for (name, container) in &pair().containers {
            assert_eq!(container.process.sysctls.is_empty(), container.address.is_none(), "{name}");
        }
        assert!(cloud(|_, _| ()).containers.values().all(|container| container.process.sysctls.is_empty()));
    }
}
