//! Resolving: settings and catalog become the desired state. After this nobody asks what the
//! operator meant. It expects validated input, and leaves out what validation would have refused.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::address;
use super::catalog::{Attachment, Catalog, Container, Distro, File, Health, Image, Job, Part, SecretKind, Service};
use super::demo;
use super::desired::{
    Access, Desired, DesiredContainer, DesiredFrontend, DesiredImage, DesiredJob, DesiredNetwork, DesiredProvider,
    DesiredService, DesiredVolume, ProcessSpec,
};
use super::identity::{IdentityObject, SERVICE_PROJECT};
use super::name::Name;
use super::path::directory;
use super::secret;
use super::settings::Settings;
use super::volume::VolumeReference;

/// The images as they were rendered: what resolving needs to know of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedImages {
    /// The distribution inside them.
    pub distro: Distro,
    /// The tag that images without a parent are `FROM`.
    pub base: String,
    /// Tags by catalog name.
    pub tags: BTreeMap<Name, String>,
}

/// The services of a cloud: those of its profile, those added, and all that these need.
pub fn enabled(settings: &Settings, catalog: &Catalog) -> BTreeSet<Name> {
    let mut enabled = BTreeSet::new();
    let profile = catalog.profiles.get(&settings.profile);
    let mut open: Vec<&Name> = profile.into_iter().flatten().chain(&settings.services).collect();
    while let Some(name) = open.pop() {
        if let Some(service) = catalog.services.get(name)
            && enabled.insert(name.clone())
        {
            open.extend(&service.needs);
        }
    }
    enabled
}

/// The images of some services and that of instances, with their parents and with those that help
/// to build them.
pub fn images_of(services: &BTreeSet<Name>, catalog: &Catalog) -> BTreeSet<Name> {
    let mut images = BTreeSet::new();
    let mut open: Vec<&Name> =
        services.iter().filter_map(|name| catalog.services.get(name)).map(|service| &service.image).collect();
    open.extend(catalog.images.get_key_value(demo::IMAGE).map(|(name, _)| name));
    while let Some(name) = open.pop() {
        if let Some(image) = catalog.images.get(name)
            && images.insert(name.clone())
        {
            open.extend(image.parent.iter().chain(&image.uses));
        }
    }
    images
}

/// The user that an image's processes run as: its own, or its nearest parent's.
pub fn image_user<'a>(catalog: &'a Catalog, image: &Name) -> Option<&'a super::catalog::User> {
    let mut next = catalog.images.get(image);
    // Bounded by the number of images, should the parents form a circle.
    for _ in 0..=catalog.images.len() {
        let Image { user, parent, .. } = next?;
        if user.is_some() {
            return user.as_ref();
        }
        next = parent.as_ref().and_then(|parent| catalog.images.get(parent));
    }
    None
}

/// Bytes of a size such as `512M`; `None` if it is none.
pub fn bytes(size: &str) -> Option<u64> {
    let size = size.trim();
    let (digits, factor) = match size.strip_suffix(|c: char| c.is_ascii_alphabetic()) {
        None => (size, 1),
        Some(digits) => match size.as_bytes().last()?.to_ascii_uppercase() {
            b'K' => (digits, 1 << 10),
            b'M' => (digits, 1 << 20),
            b'G' => (digits, 1 << 30),
            _ => return None,
        },
    };
    digits.trim_end().parse::<u64>().ok()?.checked_mul(factor)
}

/// Makes the desired state of one node.
pub fn resolve(settings: &Settings, catalog: &Catalog, images: &ResolvedImages, node: &Name) -> Desired {
    let services: BTreeMap<&Name, &Service> =
        enabled(settings, catalog).iter().filter_map(|name| catalog.services.get_key_value(name)).collect();
    Resolver { settings, catalog, images, services }.desired(node)
}

struct Resolver<'a> {
    settings: &'a Settings,
    catalog: &'a Catalog,
    images: &'a ResolvedImages,
    services: BTreeMap<&'a Name, &'a Service>,
}

impl<'a> Resolver<'a> {
    fn desired(&self, node: &Name) -> Desired {
        let addresses = self.addresses();
        let network = self.network();
        let frontends = self.frontends(&addresses);
        let log_address = self.log_address(&addresses);
        let mut desired = Desired {
            cloud: self.settings.cloud.clone(),
            node: node.clone(),
            distro: self.images.distro,
            images: self.images(),
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            databases: BTreeMap::new(),
            message_users: BTreeSet::new(),
            identity: self.identity(&network),
            secrets: self.secrets(),
            services: self.desired_services(),
            access: self.access(&addresses, &network),
            log_directory: self.settings.logging.directory.clone(),
            provider: self.provider_network(),
            network,
            frontends,
        };
        for (name, service) in &self.services {
            for (container_name, container) in &service.containers {
                let full = self.full_name(name, container_name);
                let collects = service.provides == Some(Part::LogCollector);
                let mut process = self.container_process(name, service, container_name, container);
                process.log_address = log_address.clone().filter(|_| !collects);
                let host_ports = self.host_ports(service, container, &desired);
                desired.containers.insert(
                    full.clone(),
                    DesiredContainer {
                        process,
                        container: container_name.clone(),
                        address: addresses.get(&full).copied(),
                        health: self.health(service, container),
                        stop_signal: container.stop_signal.clone(),
                        stop_grace: container.stop_grace,
                        reload: container.reload.clone(),
                        once_per_node: container.once_per_node,
                        host_ports,
                        files_digest: String::new(),
                    },
                );
            }
            for (job_name, job) in &service.jobs {
                let mut process = self.job_process(name, service, job_name, job);
                // At a removal there is no log collector any more.
                process.log_address = log_address.clone().filter(|_| !job.at_removal);
                desired.jobs.insert(self.full_name(name, job_name), self.job(name, job_name, job, process));
            }
            desired.databases.extend(service.databases.iter().map(|database| (database.clone(), (*name).clone())));
            if service.message_bus && self.provider(Part::MessageBus).is_some() {
                desired.message_users.insert((*name).clone());
            }
        }
        desired.volumes = self.desired_volumes();
        desired
    }

    /// `<cloud>-<service>-<part>`.
    fn full_name(&self, service: &Name, part: &Name) -> String {
        format!("{}-{service}-{part}", self.settings.cloud)
    }

    fn provider(&self, part: Part) -> Option<(&'a Name, &'a Service)> {
        self.services
            .iter()
            .find(|(_, service)| service.provides == Some(part))
            .map(|(name, service)| (*name, *service))
    }

    fn addresses(&self) -> BTreeMap<String, Ipv4Addr> {
        let wanted = self.services.iter().flat_map(|(name, service)| {
            service
                .containers
                .iter()
                .filter(|(_, container)| container.network == Attachment::Management)
                .map(|(container_name, container)| (self.full_name(name, container_name), container.address))
        });
        address::plan(self.settings.network.management.subnet, &wanted.collect())
    }

    fn network(&self) -> DesiredNetwork {
        let network = &self.settings.network;
        let subnet = network.management.subnet.trunc();
        DesiredNetwork {
            name: format!("{}-management", self.settings.cloud),
            bridge: self.settings.bridge(),
            subnet,
            gateway: address::gateway(subnet),
            internal_vip: network.internal_vip.unwrap_or_else(|| address::internal_vip(subnet)),
            external_vip: network.external_vip,
            mtu: network.management.mtu,
        }
    }

    fn provider_network(&self) -> DesiredProvider {
        let provider = &self.settings.network.provider;
        DesiredProvider {
            bridge: provider.bridge.clone(),
            interface: provider.interface.clone(),
            address: provider.host_address(),
        }
    }

    fn images(&self) -> BTreeMap<Name, DesiredImage> {
        let wanted = images_of(&self.services.keys().map(|name| (*name).clone()).collect(), self.catalog);
        wanted
            .into_iter()
            .filter_map(|name| {
                let image = self.catalog.images.get(&name)?;
                let desired = DesiredImage {
                    tag: self.images.tags.get(&name)?.clone(),
                    after: image.parent.iter().chain(&image.uses).cloned().collect(),
                    base: image.parent.is_none().then(|| self.images.base.clone()),
                };
                Some((name, desired))
            })
            .collect()
    }

    fn desired_services(&self) -> BTreeMap<Name, DesiredService> {
        let collector = self.provider(Part::LogCollector).map(|(name, _)| name);
        let mut services: BTreeMap<Name, DesiredService> = self
            .services
            .iter()
            .map(|(name, service)| {
                let mut needs: BTreeSet<Name> = service.needs.iter().cloned().collect();
                needs.extend(collector.filter(|collector| collector != name).cloned());
                let held = !service.databases.is_empty()
                    || service.jobs.values().any(|job| !job.at_removal)
                    || service.message_bus
                    || service.identity.as_ref().is_some_and(|identity| identity.user.is_some());
                let desired = DesiredService { image: service.image.clone(), needs, provides: service.provides, held };
                ((*name).clone(), desired)
            })
            .collect();
        loop {
            let held: BTreeSet<Name> =
                services.iter().filter(|(_, service)| service.held).map(|(name, _)| name.clone()).collect();
            let caught = services
                .values_mut()
                .filter(|service| !service.held && service.needs.iter().any(|needed| held.contains(needed)))
                .map(|service| service.held = true)
                .count();
            if caught == 0 {
                return services;
            }
        }
    }

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
            engine_socket: None,
            host_pid: false,
            hosts: external_name.iter().map(|name| (name.clone(), self.settings.network.external_vip)).collect(),
            init: true,
            log_address: None,
            log_directory: None,
        }
    }

    fn container_process(
        &self,
        name: &Name,
        service: &Service,
        container_name: &Name,
        container: &Container,
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
        process.volumes = self.volumes(name, &container.volumes);
        process.tmpfs.clone_from(&container.tmpfs);
        process.read_only = container.read_only;
        process.capabilities = container.capabilities.iter().cloned().collect();
        process.apparmor.clone_from(&container.apparmor);
        process.devices = container.devices.iter().cloned().collect();
        process.init = container.init;
        process.engine_socket.clone_from(&container.engine_socket);
        process.host_pid = container.host_pid;
        let memory = limits.and_then(|limits| limits.memory.as_ref()).or(container.memory.as_ref());
        process.memory = memory.and_then(|memory| bytes(memory)).unwrap_or(process.memory);
        process.pids = limits.and_then(|limits| limits.pids).or(container.pids).unwrap_or(process.pids);
        process.log_directory =
            container.log_directory.as_ref().map(|inside| (self.settings.logging.directory.clone(), inside.clone()));
        process
    }

    fn job_process(&self, name: &Name, service: &Service, job_name: &Name, job: &Job) -> ProcessSpec {
        let files = files_of(service, None, Some(job_name)).into_keys().collect();
        let mut process = self.process(name, service, &job.command, &files);
        process.user.clone_from(&job.user);
        process.volumes = self.volumes(name, &job.volumes);
        process.tmpfs.clone_from(&job.tmpfs);
        process.capabilities = job.capabilities.iter().cloned().collect();
        process.apparmor.clone_from(&job.apparmor);
        process
    }

    fn job(&self, service: &Name, name: &Name, job: &Job, process: ProcessSpec) -> DesiredJob {
        DesiredJob {
            process,
            network: job.network,
            job: name.clone(),
            after: job.after.iter().map(|other| self.full_name(service, other)).collect(),
            fills: job.fills.iter().cloned().collect(),
            when_running: job.when_running,
            at_removal: job.at_removal,
            holds: job.holds && !job.when_running && !job.at_removal,
            timeout: job.timeout,
        }
    }

    fn volumes(&self, service: &Name, volumes: &BTreeMap<String, VolumeReference>) -> BTreeMap<String, String> {
        let full = |reference: &VolumeReference| {
            self.full_name(reference.service.as_ref().unwrap_or(service), &reference.volume)
        };
        volumes.iter().map(|(path, reference)| (path.clone(), full(reference))).collect()
    }

    /// Every volume that a container or job mounts, with the service that it belongs to.
    fn desired_volumes(&self) -> BTreeMap<String, DesiredVolume> {
        let mut volumes = BTreeMap::new();
        for (name, service) in &self.services {
            let containers = service.containers.values().map(|container| &container.volumes);
            let jobs = service.jobs.values().map(|job| &job.volumes);
            for reference in containers.chain(jobs).flat_map(BTreeMap::values) {
                let owner = reference.service.as_ref().unwrap_or(name);
                volumes.insert(self.full_name(owner, &reference.volume), DesiredVolume { service: owner.clone() });
            }
        }
        volumes
    }

    fn log_address(&self, addresses: &BTreeMap<String, Ipv4Addr>) -> Option<String> {
        let (name, service) = self.provider(Part::LogCollector)?;
        let (container_name, container) = service.containers.first_key_value()?;
        let address = addresses.get(&self.full_name(name, container_name))?;
        Some(format!("{address}:{}", container.ports.first()?))
    }

    /// What a container on the host network listens on: the load balancer on the VIPs, others on
    /// every address. One without ports does not listen.
    fn host_ports(&self, service: &Service, container: &Container, desired: &Desired) -> BTreeSet<(Ipv4Addr, u16)> {
        if container.network != Attachment::Host || container.ports.is_empty() {
            return BTreeSet::new();
        }
        if service.provides != Some(Part::LoadBalancer) {
            return container.ports.iter().map(|port| (Ipv4Addr::UNSPECIFIED, *port)).collect();
        }
        let mut ports = BTreeSet::from([(desired.network.internal_vip, self.settings.network.stats_port)]);
        for frontend in desired.frontends.values().map(|frontend| &frontend.frontend) {
            ports.insert((desired.network.internal_vip, frontend.port));
            if frontend.external {
                ports.insert((desired.network.external_vip, frontend.port));
            }
        }
        ports
    }

    /// The load balancer answers about itself at the port that the operator chose for statistics.
    fn health(&self, service: &Service, container: &Container) -> Health {
        match &container.health {
            Health::Http { path, .. } if service.provides == Some(Part::LoadBalancer) => {
                Health::Http { port: self.settings.network.stats_port, path: path.clone() }
            }
            health => health.clone(),
        }
    }

    fn frontends(&self, addresses: &BTreeMap<String, Ipv4Addr>) -> BTreeMap<String, DesiredFrontend> {
        let mut frontends = BTreeMap::new();
        for (name, service) in &self.services {
            for (frontend_name, frontend) in &service.frontends {
                let full = self.full_name(name, &frontend.container);
                let port = frontend.backend_port.unwrap_or(frontend.port);
                let backends = addresses.get(&full).map(|address| (full, (*address, port)));
                frontends.insert(
                    format!("{name}-{frontend_name}"),
                    DesiredFrontend {
                        service: (*name).clone(),
                        frontend: frontend.clone(),
                        backends: backends.into_iter().collect(),
                    },
                );
            }
        }
        frontends
    }

    fn identity(&self, network: &DesiredNetwork) -> BTreeSet<IdentityObject> {
        let mut objects = BTreeSet::new();
        if self.provider(Part::Identity).is_none() {
            return objects;
        }
        for service in self.services.values() {
            let Some(identity) = &service.identity else { continue };
            if let Some(user) = &identity.user {
                let user = user.to_string();
                objects.insert(IdentityObject::Project { name: SERVICE_PROJECT.to_owned() });
                for role in &identity.roles {
                    objects.insert(IdentityObject::Role { name: role.clone() });
                    let project = SERVICE_PROJECT.to_owned();
                    objects.insert(IdentityObject::Assignment { user: user.clone(), role: role.clone(), project });
                }
                objects.insert(IdentityObject::User { name: user });
            }
            let Some(entry) = &identity.catalog else { continue };
            let Some(frontend) = service.frontends.get(&entry.frontend) else { continue };
            objects.insert(IdentityObject::Service { r#type: entry.r#type.clone(), name: entry.name.clone() });
            for (interface, host) in [
                ("admin", network.internal_vip.to_string()),
                ("internal", network.internal_vip.to_string()),
                ("public", self.external_host(network)),
            ] {
                objects.insert(IdentityObject::Endpoint {
                    r#type: entry.r#type.clone(),
                    interface: interface.to_owned(),
                    region: self.settings.region.clone(),
                    url: format!("http://{host}:{}{}", frontend.port, entry.path),
                });
            }
        }
        objects
    }

    fn external_host(&self, network: &DesiredNetwork) -> String {
        self.settings.network.external_name.clone().unwrap_or_else(|| network.external_vip.to_string())
    }

    fn access(&self, addresses: &BTreeMap<String, Ipv4Addr>, network: &DesiredNetwork) -> Access {
        let direct = |part| {
            let (name, service) = self.provider(part)?;
            let (container, _) = service.containers.first_key_value()?;
            Some((name, service, *addresses.get(&self.full_name(name, container))?))
        };
        let identity = self.provider(Part::Identity).and_then(|(name, service)| {
            let entry = service.identity.as_ref()?.catalog.as_ref()?;
            Some((name, service.frontends.get(&entry.frontend)?.port, &entry.path))
        });
        Access {
            database: direct(Part::Database).and_then(|(name, service, address)| {
                let port = service.containers.values().next()?.ports.first()?;
                Some((name.clone(), format!("{address}:{port}")))
            }),
            message_bus: direct(Part::MessageBus)
                .map(|(name, _, address)| (name.clone(), format!("http://{address}:{MESSAGE_BUS_MANAGEMENT_PORT}"))),
            identity: identity
                .map(|(name, port, path)| (name.clone(), format!("http://{}:{port}{path}", network.internal_vip))),
            public_identity: identity
                .map(|(_, port, path)| format!("http://{}:{port}{path}", self.external_host(network))),
        }
    }

    fn secrets(&self) -> BTreeMap<String, SecretKind> {
        let mut secrets = BTreeMap::new();
        for (name, service) in &self.services {
            let mut add = |own: &str, kind| {
                secrets.insert(secret::full_name(name.as_str(), own), kind);
            };
            for (own, kind) in &service.secrets {
                add(own.as_str(), *kind);
            }
            if !service.databases.is_empty() {
                add(secret::DATABASE, SecretKind::Password);
            }
            if service.message_bus {
                add(secret::MESSAGE_BUS, SecretKind::Password);
            }
            if service.identity.as_ref().is_some_and(|identity| identity.user.is_some()) {
                add(secret::IDENTITY, SecretKind::Password);
            }
            match service.provides {
                Some(Part::Database) => add(secret::DATABASE_ROOT, SecretKind::Password),
                Some(Part::MessageBus) => add(secret::MESSAGE_BUS_ADMIN, SecretKind::Password),
                Some(Part::Identity) => add(secret::ADMINISTRATOR, SecretKind::Password),
                _ => {}
            }
        }
        secrets
    }
}

/// The port of RabbitMQ's management plugin, from its documentation.
const MESSAGE_BUS_MANAGEMENT_PORT: u16 = 15672;

/// The files of a container or of a job: its service's and its own.
pub fn files_of<'a>(
    service: &'a Service,
    container: Option<&Name>,
    job: Option<&Name>,
) -> BTreeMap<&'a String, &'a File> {
    let container = container.and_then(|name| service.containers.get(name)).map(|container| &container.files);
    let job = job.and_then(|name| service.jobs.get(name)).map(|job| &job.files);
    service.files.iter().chain(container.into_iter().flatten()).chain(job.into_iter().flatten()).collect()
}
