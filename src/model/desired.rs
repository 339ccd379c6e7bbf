//! The desired state: settings and catalog fully resolved. No choice is left, no place in a file
//! is remembered, and no secret is held.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::catalog::{Attachment, Distro, Drain, Frontend, Health, Part, SecretKind};
use super::identity::IdentityObject;
use super::name::Name;
use super::node::{Role, Topology, node_in};
use super::settings::{ProviderPool, Uplink};
use super::state_copy::StateCopy;

/// Everything that should exist for one cloud, on all of its nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Desired {
    /// The cloud.
    pub cloud: Name,
    /// The node that octo runs on.
    pub node: Name,
    /// How many nodes there are.
    pub topology: Topology,
    /// The nodes; of a cloud of one, that one.
    pub nodes: BTreeMap<Name, DesiredNode>,
    /// The distribution inside the images.
    pub distro: Distro,
    /// Images by catalog name: those that the enabled services need, with parents.
    pub images: BTreeMap<Name, DesiredImage>,
    /// The management network as the node has it that octo runs on.
    pub network: DesiredNetwork,
    /// How the bridges of several nodes are one network.
    pub uplink: Uplink,
    /// The provider network.
    pub provider: DesiredProvider,
    /// Volumes by full name.
    pub volumes: BTreeMap<String, DesiredVolume>,
    /// Containers by full name (`<cloud>-<service>-<container>`).
    pub containers: BTreeMap<String, DesiredContainer>,
    /// One-off jobs by full name (`<cloud>-<service>-<job>`).
    pub jobs: BTreeMap<String, DesiredJob>,
    /// Databases: name -> the service that owns it.
    pub databases: BTreeMap<Name, Name>,
    /// Services with a user on the message bus.
    pub message_users: BTreeSet<Name>,
    /// What the identity service should hold.
    pub identity: BTreeSet<IdentityObject>,
    /// Secrets: `<service>.<name>` -> kind.
    pub secrets: BTreeMap<String, SecretKind>,
    /// What copies of octo's state should hold.
    pub state_copy: StateCopy,
    /// The enabled services, each with what it needs (transitively closed is not implied).
    pub services: BTreeMap<Name, DesiredService>,
    /// What the load balancer offers, by `<service>-<frontend>`.
    pub frontends: BTreeMap<String, DesiredFrontend>,
    /// Where octo itself reaches the parts of the cloud.
    pub access: Access,
    /// The directory on the host for log files.
    pub log_directory: String,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredNode {
    /// The number of its range in the management subnet; 0 where it is the only one.
    pub number: u8,
    /// Where the others reach it; `None` where there are none.
    pub address: Option<Ipv4Addr>,
    /// What it is for.
    pub roles: BTreeSet<Role>,
    /// The management network as this node has it.
    pub network: DesiredNetwork,
}

/// An enabled service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredService {
    /// Its image's catalog name.
    pub image: Name,
    /// The services that must be healthy before it starts.
    pub needs: BTreeSet<Name>,
    /// The part that it plays.
    pub provides: Option<Part>,
    /// Whether it is created and held by `run` until `init` has done its work: it has databases,
    /// jobs of `init`, a message-bus or identity user, or needs a service that has.
    pub held: bool,
}

/// An image to have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredImage {
    /// `octo/<name>:<digest>`, shared by all clouds of a machine; the digest covers recipe, context, lock and parent.
    pub tag: String,
    /// The catalog names of the images that must exist before it is built.
    pub after: BTreeSet<Name>,
    /// The base that this image is `FROM`, where it has no parent in the catalog.
    pub base: Option<String>,
}

/// The management network on one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredNetwork {
    /// The Docker network's name (`<cloud>-management`, with the node where there are several).
    pub name: String,
    /// The bridge on the host.
    pub bridge: String,
    /// Its subnet.
    pub subnet: Ipv4Net,
    /// The part of the subnet that this node's bridge and containers have their addresses in.
    pub range: Ipv4Net,
    /// The bridge's own address.
    pub gateway: Ipv4Addr,
    /// The internal VIP: a second address of the bridge on a single node, of the bridge of whichever
    /// node holds it among several.
    pub internal_vip: Ipv4Addr,
    /// The external VIP.
    pub external_vip: Ipv4Addr,
    /// The MTU, if the operator has set one.
    pub mtu: Option<u16>,
}

impl DesiredNetwork {
    /// The bridge's own hardware address. Without one the kernel gives it the lowest of its ports',
    /// which changes as containers come and go: whoever has learned the old one then reaches neither
    /// the gateway nor the VIP for half a minute.
    pub fn hardware_address(&self) -> [u8; 6] {
        let [first, second, third, fourth] = self.gateway.octets();
        // Locally administered, and another one for each subnet.
        [0x02, 0x6f, first, second, third, fourth]
    }
}

/// The provider network, which a container of the cloud makes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredProvider {
    /// The Open vSwitch bridge on the host.
    pub bridge: String,
    /// The interface that is a port of it.
    pub interface: Option<String>,
    /// The host's own address on it, with the subnet's prefix length.
    pub address: Option<Ipv4Net>,
    /// What of the network is for routers and floating IPs, if that is told.
    pub pool: Option<ProviderPool>,
}

/// A volume to have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredVolume {
    /// The service whose data it holds.
    pub service: Name,
    /// The node that it is on.
    pub node: Name,
}

/// What a process needs around it, as container or as job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessSpec {
    /// The service.
    pub service: Name,
    /// The image's tag.
    pub image: String,
    /// The process and its arguments.
    pub command: Vec<String>,
    /// `uid:gid` or what the catalog says; `None` is the image's user.
    pub user: Option<String>,
    /// Environment, sorted.
    pub environment: BTreeMap<String, String>,
    /// Volumes: path inside -> full volume name.
    pub volumes: BTreeMap<String, String>,
    /// Directories of rendered files that are mounted read-only (`/etc/keystone`).
    pub file_directories: BTreeSet<String>,
    /// Directories in memory: path -> options.
    pub tmpfs: BTreeMap<String, String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Added capabilities; all others are dropped.
    pub capabilities: BTreeSet<String>,
    /// The AppArmor profile; `None` is the engine's own.
    pub apparmor: Option<String>,
    /// Devices of the host.
    pub devices: BTreeSet<String>,
    /// Memory limit in bytes.
    pub memory: u64,
    /// Limit of processes and threads.
    pub pids: u32,
    /// Share of the processors where they are scarce; `None` is the engine's own, 1024.
    pub cpu_shares: Option<u32>,
    /// Settings of the kernel for its own network namespace: `sysctl` name -> value.
    pub sysctls: BTreeMap<String, String>,
    /// Where the node's engine socket is mounted.
    pub engine_socket: Option<String>,
    /// Whether it sees the node's processes.
    pub host_pid: bool,
    /// Extra names: name -> address.
    pub hosts: BTreeMap<String, Ipv4Addr>,
    /// Whether a minimal init is pid 1.
    pub init: bool,
    /// Where its output goes besides the engine's own log: the log collector's `address:port`.
    pub log_address: Option<String>,
    /// Host path and container path of the log directory, for the log collector.
    pub log_directory: Option<(String, String)>,
}

/// A container to have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredContainer {
    /// The process.
    pub process: ProcessSpec,
    /// The node that it is on.
    pub node: Name,
    /// Its name in the catalog.
    pub container: Name,
    /// Its address on the management network; `None` on the host network.
    pub address: Option<Ipv4Addr>,
    /// How octo tells that it works.
    pub health: Health,
    /// The signal that stops it; `None` is SIGTERM.
    pub stop_signal: Option<String>,
    /// Seconds that it may take to stop.
    pub stop_grace: u32,
    /// The signal that makes it read its files again.
    pub reload: Option<String>,
    /// Of a load balancer: how servers are taken out of its load.
    pub drain: Option<Drain>,
    /// What it has a vote in.
    pub quorum: Option<Name>,
    /// What in another member of its cluster has the cluster forget it; nothing if it is in none.
    pub forget: Vec<String>,
    /// Services of whose containers on the same node none is made anew while it runs.
    pub yields_to: BTreeSet<Name>,
    /// Whether a node has room for only one of it, whatever the cloud.
    pub once_per_node: bool,
    /// Ports that it opens on the host network (a frontend's on a VIP, or its own).
    pub host_ports: BTreeSet<(Ipv4Addr, u16)>,
    /// Digest of the rendered files; set once they are rendered.
    pub files_digest: String,
}

/// A one-off job to have done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredJob {
    /// The process. On the management network its address is whatever the network gives.
    pub process: ProcessSpec,
    /// The node that it runs on.
    pub node: Name,
    /// The network it lives on.
    pub network: Attachment,
    /// Its name in the catalog.
    pub job: Name,
    /// Full names of the jobs that must have ended before.
    pub after: BTreeSet<String>,
    /// Databases to make anew if the job was interrupted before it ever succeeded.
    pub fills: BTreeSet<Name>,
    /// What octo fills them with in the job's place if all are empty: database -> SQL file in the image.
    pub snapshots: BTreeMap<Name, String>,
    /// What octo executes afterwards, either way: database -> SQL file of the job.
    pub statements: BTreeMap<Name, String>,
    /// Whether it runs when the service's containers are healthy, instead of before they start.
    pub when_running: bool,
    /// Whether it runs when the cloud is removed, and at no other time.
    pub at_removal: bool,
    /// Whether the service's containers wait for it.
    pub holds: bool,
    /// Seconds that it may take.
    pub timeout: u32,
}

/// What the load balancer offers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredFrontend {
    /// The service behind it.
    pub service: Name,
    /// As the catalog has it.
    pub frontend: Frontend,
    /// Where it is answered: full container name -> address, in the order of the nodes.
    pub backends: Vec<DesiredBackend>,
}

/// One place where a frontend is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DesiredBackend {
    /// The container's full name.
    pub name: String,
    /// The node that it is on.
    pub node: Name,
    /// Its address.
    pub address: Ipv4Addr,
    /// The port there.
    pub port: u16,
}

/// Where octo reaches the parts of the cloud that it configures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Access {
    /// The database's service, and `address:port` of its members in the order of the nodes.
    pub database: Option<(Name, Vec<String>)>,
    /// The message bus's service, and the URLs of its members' management interfaces.
    pub message_bus: Option<(Name, Vec<String>)>,
    /// The identity service and its URL on the internal VIP, with version.
    pub identity: Option<(Name, String)>,
    /// The same on the external VIP, for clients.
    pub public_identity: Option<String>,
}

impl Desired {
    /// The container names of a service, in order.
    pub fn containers_of<'a>(&'a self, service: &'a Name) -> impl Iterator<Item = (&'a String, &'a DesiredContainer)> {
        self.containers.iter().filter(move |(_, container)| container.process.service == *service)
    }

    /// The bytes that the way between nodes takes of each packet's size: with VXLAN an outer IP
    /// header, UDP's, its own, and the header of the frame within (RFC 7348).
    pub fn uplink_overhead(&self) -> u32 {
        match (self.topology, &self.uplink) {
            (Topology::Several, Uplink::Vxlan(_)) => 50,
            _ => 0,
        }
    }

    /// The management network as a node has it.
    pub fn network_on(&self, node: &Name) -> &DesiredNetwork {
        self.nodes.get(node).map_or(&self.network, |node| &node.network)
    }

    /// The nodes in the order of their numbers.
    pub fn nodes_in_order(&self) -> Vec<(&Name, &DesiredNode)> {
        let mut nodes: Vec<_> = self.nodes.iter().collect();
        nodes.sort_by_key(|(_, node)| node.number);
        nodes
    }

    /// The containers of a service on one node, in order.
    pub fn containers_on<'a>(
        &'a self,
        node: &'a Name,
        service: &'a Name,
    ) -> impl Iterator<Item = (&'a String, &'a DesiredContainer)> {
        self.containers_of(service).filter(move |(_, container)| container.node == *node)
    }

    /// The load balancers that servers can be taken out of the load of.
    pub fn load_balancers(&self) -> impl Iterator<Item = (&String, &DesiredContainer, &Drain)> {
        self.containers.iter().filter_map(|(name, container)| Some((name, container, container.drain.as_ref()?)))
    }

    /// The frontends that a container answers.
    pub fn frontends_of<'a>(&'a self, container: &'a str) -> impl Iterator<Item = &'a DesiredFrontend> {
        let answers = move |backend: &DesiredBackend| backend.name == container;
        self.frontends.values().filter(move |frontend| frontend.backends.iter().any(answers))
    }

    /// The node of a container, job, volume or network by its full name.
    pub fn node_of(&self, name: &str) -> &Name {
        let known = node_in(name).and_then(|node| self.nodes.get_key_value(node)).map(|(node, _)| node);
        let job = || self.jobs.get(name).map(|job| &job.node);
        known.or_else(job).unwrap_or(&self.node)
    }

    /// The devices that containers on the node of octo itself are given.
    pub fn devices(&self) -> impl Iterator<Item = &String> {
        let here = self.containers.values().filter(|container| container.node == self.node);
        here.flat_map(|container| &container.process.devices)
    }

    /// Whether some container makes instances, through its node's engine.
    pub fn boots_instances(&self) -> bool {
        self.containers.values().any(|container| container.process.engine_socket.is_some())
    }

    /// The services and all that they need, transitively; everything for an empty list.
    pub fn closure(&self, services: &[Name]) -> BTreeSet<Name> {
        if services.is_empty() {
            return self.services.keys().cloned().collect();
        }
        let mut found = BTreeSet::new();
        let mut open: Vec<&Name> = services.iter().collect();
        while let Some(name) = open.pop() {
            if let Some(service) = self.services.get(name)
                && found.insert(name.clone())
            {
                open.extend(&service.needs);
            }
        }
        found
    }

    /// The identity objects that a service itself depends on: its user and that user's roles.
    pub fn identity_of<'a>(&'a self, service: &'a Name) -> impl Iterator<Item = &'a IdentityObject> {
        self.identity.iter().filter(move |object| match object {
            IdentityObject::User { name } => name == service.as_str(),
            IdentityObject::Assignment { user, .. } => user == service.as_str(),
            _ => false,
        })
    }

    /// The services that one needs and that do not wait for an initialisation themselves: what
    /// its jobs can rely on.
    pub fn infrastructure_of<'a>(&'a self, service: &Name) -> impl Iterator<Item = &'a Name> {
        let needs = self.services.get(service).map(|service| &service.needs);
        needs.into_iter().flatten().filter(|needed| self.services.get(*needed).is_none_or(|service| !service.held))
    }

    /// The service that plays a part.
    pub fn provider(&self, part: Part) -> Option<&Name> {
        self.services.iter().find(|(_, service)| service.provides == Some(part)).map(|(name, _)| name)
    }
}
