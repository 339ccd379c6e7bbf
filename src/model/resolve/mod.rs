//! Resolving: settings and catalog become the desired state. After this nobody asks what the
//! operator meant. It expects validated input, and leaves out what validation would have refused.

mod access;
mod identity;
mod network;
mod process;
mod secrets;

pub use secrets::{rings, secrets};

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::{Catalog, Container, Distro, File, Image, Job, Part, Service};
use crate::model::demo;
use crate::model::desired::{
    Desired, DesiredContainer, DesiredImage, DesiredJob, DesiredNode, DesiredService, ProcessSpec,
};
use crate::model::name::Name;
use crate::model::node::{Role, Site, Topology, belongs, name_on};
use crate::model::settings::Settings;
use crate::model::state_copy::StateCopy;
use network::Addresses;

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

/// The services of a cloud: those of its profile, those added, and all that these need, as far as a
/// cloud of this topology has containers of them.
pub fn enabled(settings: &Settings, catalog: &Catalog) -> BTreeSet<Name> {
    let profile = catalog.profiles.get(&settings.profile);
    let mut enabled = with_needs(profile.into_iter().flatten().chain(&settings.services), catalog);
    let topology = Topology::of(settings);
    enabled.retain(|name| {
        let containers = catalog.services.get(name).map(|service| &service.containers);
        let here = |container: &Container| container.topology.is_none_or(|wanted| wanted == topology);
        containers.is_none_or(|containers| containers.is_empty() || containers.values().any(here))
    });
    enabled
}

/// The services that a cloud has only if it names them: neither it nor any profile has or needs them now.
pub fn left_out<'a>(settings: &Settings, catalog: &'a Catalog) -> Vec<&'a Name> {
    let named = with_needs(catalog.profiles.values().flatten().chain(&settings.services), catalog);
    catalog.services.keys().filter(|name| !named.contains(*name)).collect()
}

/// Services with all that they need.
fn with_needs<'a>(services: impl Iterator<Item = &'a Name>, catalog: &'a Catalog) -> BTreeSet<Name> {
    let mut all = BTreeSet::new();
    let mut open: Vec<&Name> = services.collect();
    while let Some(name) = open.pop() {
        if let Some(service) = catalog.services.get(name)
            && all.insert(name.clone())
        {
            open.extend(&service.needs);
        }
    }
    all
}

/// The same with what they are.
fn services<'a>(settings: &Settings, catalog: &'a Catalog) -> BTreeMap<&'a Name, &'a Service> {
    enabled(settings, catalog).iter().filter_map(|name| catalog.services.get_key_value(name)).collect()
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
pub fn image_user<'a>(catalog: &'a Catalog, image: &Name) -> Option<&'a crate::model::catalog::User> {
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

/// Makes the desired state of a cloud, as it is seen from where octo is.
pub fn resolve(settings: &Settings, catalog: &Catalog, images: &ResolvedImages, site: &Site) -> Desired {
    let services = services(settings, catalog);
    let topology = Topology::of(settings);
    let nodes = network::nodes(settings, site);
    Resolver { settings, catalog, images, services, topology, nodes, site }.desired()
}

struct Resolver<'a> {
    settings: &'a Settings,
    catalog: &'a Catalog,
    images: &'a ResolvedImages,
    services: BTreeMap<&'a Name, &'a Service>,
    topology: Topology,
    nodes: BTreeMap<Name, DesiredNode>,
    site: &'a Site,
}

impl<'a> Resolver<'a> {
    fn desired(&self) -> Desired {
        let addresses = self.addresses();
        let network = network::of_node(self.settings, &self.site.local, &self.nodes);
        let mut desired = Desired {
            cloud: self.settings.cloud.clone(),
            node: self.site.local.clone(),
            topology: self.topology,
            nodes: self.nodes.clone(),
            distro: self.images.distro,
            images: self.images(),
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            databases: BTreeMap::new(),
            message_users: BTreeSet::new(),
            identity: self.identity(&network),
            secrets: secrets(self.settings, self.catalog),
            state_copy: StateCopy::default(),
            services: self.desired_services(),
            access: self.access(&addresses, &network),
            log_directory: self.settings.logging.directory.clone(),
            provider: self.provider_network(),
            uplink: self.settings.network.management.uplink.clone(),
            network,
            frontends: self.frontends(&addresses),
        };
        for (name, service) in &self.services {
            self.add_containers(name, service, &addresses, &mut desired);
            self.add_jobs(name, service, &addresses, &mut desired);
            desired.databases.extend(service.databases.iter().map(|database| (database.clone(), (*name).clone())));
            if service.message_bus && self.provider(Part::MessageBus).is_some() {
                desired.message_users.insert((*name).clone());
            }
        }
        desired.volumes = self.desired_volumes(&desired);
        desired
    }

    fn add_containers(&self, name: &Name, service: &Service, addresses: &Addresses, desired: &mut Desired) {
        let collects = service.provides == Some(Part::LogCollector);
        for (container_name, container) in &service.containers {
            for node in self.nodes_with(&container.roles, container.topology) {
                let full = self.full_name(name, container_name, node);
                let mut process = self.container_process(name, service, container_name, container, node);
                process.log_address = self.log_address(addresses, node).filter(|_| !collects);
                process.hosts.extend(self.neighbours(name, service, addresses));
                let host_ports = self.host_ports(service, container, desired, node);
                let container = DesiredContainer {
                    process,
                    node: node.clone(),
                    container: container_name.clone(),
                    address: addresses.get(&full).copied(),
                    health: self.health(service, container),
                    stop_signal: container.stop_signal.clone(),
                    stop_grace: container.stop_grace,
                    reload: container.reload.clone(),
                    drain: container.drain.clone(),
                    quorum: container.quorum.clone(),
                    forget: container.forget.clone(),
                    yields_to: container.yields_to.iter().cloned().collect(),
                    once_per_node: container.once_per_node,
                    host_ports,
                    files_digest: String::new(),
                };
                desired.containers.insert(full, container);
            }
        }
    }

    fn add_jobs(&self, name: &Name, service: &Service, addresses: &Addresses, desired: &mut Desired) {
        for (job_name, job) in &service.jobs {
            let base = self.base_name(name, job_name);
            let places: Vec<(String, &Name)> = if job.at_removal {
                let nodes = self.nodes_with(&job.roles, job.topology);
                nodes.map(|node| (name_on(&base, node, self.topology), node)).collect()
            } else {
                self.job_node(job).map(|node| (base, node)).into_iter().collect()
            };
            for (full, node) in places {
                let mut process = self.job_process(name, service, job_name, job, node);
                // At a removal there is no log collector any more.
                process.log_address = self.log_address(addresses, node).filter(|_| !job.at_removal);
                desired.jobs.insert(full, self.job(name, job_name, job, process, node));
            }
        }
    }

    fn job(&self, service: &Name, name: &Name, job: &Job, process: ProcessSpec, node: &Name) -> DesiredJob {
        let other = |other: &Name| {
            let base = self.base_name(service, other);
            if job.at_removal { name_on(&base, node, self.topology) } else { base }
        };
        DesiredJob {
            process,
            node: node.clone(),
            network: job.network,
            job: name.clone(),
            after: job.after.iter().map(other).collect(),
            fills: job.fills.iter().cloned().collect(),
            snapshots: job.snapshots.clone(),
            statements: job.statements.clone(),
            when_running: job.when_running,
            at_removal: job.at_removal,
            holds: job.holds && !job.when_running && !job.at_removal,
            timeout: job.timeout,
        }
    }

    /// `<cloud>-<service>-<part>`: what is the same on all nodes.
    fn base_name(&self, service: &Name, part: &Name) -> String {
        format!("{}-{service}-{part}", self.settings.cloud)
    }

    /// The full name of a container or volume on a node.
    fn full_name(&self, service: &Name, part: &Name, node: &Name) -> String {
        name_on(&self.base_name(service, part), node, self.topology)
    }

    /// The nodes that something is on, in the order of their numbers.
    fn nodes_with<'b>(
        &'b self,
        roles: &'b [Role],
        topology: Option<Topology>,
    ) -> impl Iterator<Item = &'b Name> + use<'b> {
        let here = topology.is_none_or(|topology| topology == self.topology);
        let mut nodes: Vec<_> = self.nodes.iter().filter(|(_, node)| here && belongs(roles, &node.roles)).collect();
        nodes.sort_by_key(|(_, node)| node.number);
        nodes.into_iter().map(|(name, _)| name)
    }

    /// The node that runs a job of the whole cloud: the first that can, and that answers.
    fn job_node(&self, job: &'a Job) -> Option<&Name> {
        let able: Vec<&Name> = self.nodes_with(&job.roles, job.topology).collect();
        able.iter().find(|node| !self.site.silent.contains_key(**node)).or(able.first()).copied()
    }

    /// The service that plays a part.
    fn provider(&self, part: Part) -> Option<(&'a Name, &'a Service)> {
        self.services
            .iter()
            .find(|(_, service)| service.provides == Some(part))
            .map(|(name, service)| (*name, *service))
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
                let known = service.needs.iter().filter(|needed| self.services.contains_key(*needed));
                let mut needs: BTreeSet<Name> = known.cloned().collect();
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
}

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
