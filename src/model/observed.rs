//! The observed state: one read-only snapshot of what exists. It makes no choice, and whoever
//! plans from it treats it as stale. No type of an engine's client appears here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Serialize;

use super::identity::IdentityObject;
use super::name::Name;
use super::state_copy::StateCopy;

/// What exists of one cloud, and what stands in its way. Containers, networks, volumes and files of
/// all nodes stand together, since their names tell the node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Observed {
    /// The other nodes.
    pub peers: BTreeMap<Name, Reached<ObservedPeer>>,
    /// The tags of wanted images and bases that the engine here has; all clouds of a machine share them.
    pub images: BTreeSet<String>,
    /// The management bridge, if the host has it: its addresses.
    pub bridge: Option<ObservedBridge>,
    /// Among several nodes: the one that has the internal VIP, as far as it is heard from here.
    pub vip_holder: Option<Name>,
    /// Docker networks of this cloud.
    pub networks: BTreeMap<String, ObservedNetwork>,
    /// Volumes of this cloud.
    pub volumes: BTreeSet<String>,
    /// Containers of this cloud, by name.
    pub containers: BTreeMap<String, ObservedContainer>,
    /// Among several nodes: the containers that some load balancer has out of its load.
    pub drained: BTreeSet<String>,
    /// Those of them that another one still gives work.
    pub partly_drained: BTreeSet<String>,
    /// Jobs' containers of this cloud, by name.
    pub job_containers: BTreeMap<String, JobContainer>,
    /// What the cloud's compute service has made on the node that octo runs on.
    pub instances: ObservedInstances,
    /// Containers of other clouds that leave no room for one of this cloud: name -> whose it is.
    pub rivals: BTreeMap<String, String>,
    /// Names of containers, networks or volumes that octo wants but that belong to somebody else.
    pub foreign: BTreeSet<String>,
    /// Rendered files on disk: owner (container or job) -> digest of the whole set.
    pub files: BTreeMap<String, String>,
    /// Secrets that are stored.
    pub secrets: BTreeSet<String>,
    /// Among several nodes: the copies of octo's state that they have.
    pub state_copies: BTreeMap<Name, StateCopy>,
    /// Whether anything else of the state directory exists (recorded choices, audit log).
    pub state: bool,
    /// The database server.
    pub database: Reached<ObservedDatabase>,
    /// The message bus.
    pub message_bus: Reached<ObservedMessageBus>,
    /// The identity service.
    pub identity: Reached<ObservedIdentity>,
    /// Host ports that others listen on, of those that the cloud wants: (address, port) -> who.
    pub taken_ports: BTreeMap<(Ipv4Addr, u16), String>,
    /// Addresses and routes of the host. None at all means that they are not known.
    pub occupied: Vec<Occupied>,
}

/// An address or a route of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Occupied {
    /// The interface.
    pub interface: String,
    /// An address with its prefix, or where a route leads.
    pub network: Ipv4Net,
    /// What it is.
    pub kind: OccupiedKind,
}

/// What occupies addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OccupiedKind {
    /// An interface's own address.
    Address,
    /// A route to neighbours on an interface.
    Link,
    /// A route through a gateway.
    Gateway,
}

impl Occupied {
    /// Whether a subnet cannot be used beside it. A route through a gateway to more than the
    /// subnet does no harm, since the subnet's own route is more specific.
    pub fn collides(&self, subnet: Ipv4Net) -> bool {
        let inside = subnet.contains(&self.network.trunc());
        inside || (self.kind != OccupiedKind::Gateway && self.network.trunc().contains(&subnet.trunc()))
    }
}

/// Whether the host answers at an address: all of 127.0.0.0/8 is on loopback, and 0.0.0.0 stands
/// for every address.
pub fn is_here(address: Ipv4Addr, occupied: &[Occupied]) -> bool {
    let is_own = |own: &Occupied| own.kind == OccupiedKind::Address && own.network.addr() == address;
    address.is_loopback() || address.is_unspecified() || occupied.iter().any(is_own)
}

impl Observed {
    /// Whether a container runs and answers as the catalog says.
    pub fn works(&self, container: &str) -> bool {
        let found = self.containers.get(container);
        found.is_some_and(|found| found.state == RunState::Running && found.health == ObservedHealth::Healthy)
    }

    /// Why a node does not answer, if it does not; `here` is the one that octo runs on.
    pub fn silence(&self, node: &Name, here: &Name) -> Option<&str> {
        match self.peers.get(node) {
            Some(Reached::Answered(_)) => None,
            Some(Reached::Silent(why)) => Some(why),
            _ if node == here => None,
            Some(Reached::Absent) | None => Some("nobody asked it"),
        }
    }
}

impl fmt::Display for Occupied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, network, kind } = self;
        match kind {
            OccupiedKind::Address => write!(formatter, "the address {network} on {interface}"),
            OccupiedKind::Link | OccupiedKind::Gateway => write!(formatter, "the route to {network} on {interface}"),
        }
    }
}

/// A node that octo does not run on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObservedPeer {
    /// The tags of wanted images that its engine has.
    pub images: BTreeSet<String>,
    /// What the cloud's compute service has made there.
    pub instances: ObservedInstances,
}

/// Something that answers, or not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reached<T> {
    /// Nobody asked: what is needed to ask does not run.
    #[default]
    Absent,
    /// It was asked and did not answer.
    Silent(String),
    /// It answered.
    Answered(T),
}

impl<T> Reached<T> {
    /// What it answered.
    pub fn answer(&self) -> Option<&T> {
        match self {
            Self::Answered(answer) => Some(answer),
            Self::Absent | Self::Silent(_) => None,
        }
    }
}

/// The management bridge on the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObservedBridge {
    /// Its addresses.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Whether it is up.
    pub up: bool,
}

/// A Docker network.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObservedNetwork {
    /// The bridge that it stands on.
    pub bridge: String,
    /// Its subnet, as text.
    pub subnet: String,
    /// Names of the containers that are on it now.
    pub containers: BTreeSet<String>,
}

/// The instances on a node. They are users' and not octo's, but they end with the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObservedInstances {
    /// UUIDs of those of which a container runs.
    pub running: BTreeSet<String>,
    /// UUIDs of all, running or not.
    pub all: BTreeSet<String>,
    /// Tags of the images that were loaded for them.
    pub images: BTreeSet<String>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ObservedContainer {
    /// The engine's id.
    pub id: String,
    /// The service in its label.
    pub service: Name,
    /// The fingerprint in its label.
    pub fingerprint: String,
    /// The digest of the files that its process has read: the label of its creation, or what a
    /// later reload recorded.
    pub files_digest: String,
    /// The image's tag as it was asked for.
    pub image: String,
    /// What it does.
    pub state: RunState,
    /// Whether it works.
    pub health: ObservedHealth,
    /// When it was created, RFC 3339.
    pub created: String,
    /// When its process started, RFC 3339.
    pub started: Option<String>,
    /// How often the engine has restarted it.
    pub restarts: u64,
    /// Whether the engine starts it again whenever it has ended, also after a restart of its own
    /// and of the node.
    pub kept_running: bool,
    /// Whether its network interface is certainly not on the management bridge any more: somebody
    /// has removed the bridge under the running container.
    pub detached: bool,
}

/// What a container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Created and never started.
    Created,
    /// Its process lives.
    Running,
    /// Its process is frozen.
    Paused,
    /// The engine is about to start it again.
    Restarting,
    /// Its process has ended, with this exit code.
    Exited(i64),
    /// The engine failed to remove it, or is removing it.
    Dead,
}

/// Whether a container works.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservedHealth {
    /// Nobody asked, since it does not run.
    Unknown,
    /// It answered as the catalog says.
    Healthy,
    /// It did not, for this reason.
    Unhealthy(String),
}

/// The container of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobContainer {
    /// The job's fingerprint in its label.
    pub fingerprint: String,
    /// What it does.
    pub state: RunState,
}

/// What the database server holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObservedDatabase {
    /// Databases.
    pub databases: BTreeSet<Name>,
    /// Users with the right password -> databases that they own.
    pub users: BTreeMap<Name, BTreeSet<Name>>,
    /// The record of jobs, by full job name.
    pub jobs: BTreeMap<String, JobRecord>,
}

/// The record of a job in the `octo` database.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct JobRecord {
    /// The fingerprint of the last run that ended well.
    pub finished: Option<String>,
    /// The fingerprint of a run that was started and has no end recorded.
    pub started: Option<String>,
}

/// What the message bus holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObservedMessageBus {
    /// Users with the right password and full permissions on the virtual host `/`.
    pub users: BTreeSet<Name>,
}

/// What the identity service holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ObservedIdentity {
    /// The objects that octo could have made. A user appears only if the password is right.
    pub objects: BTreeSet<IdentityObject>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_collides_with_neighbours_and_with_more_specific_routes() {
        let collides = |network: &str, kind| {
            let occupied = Occupied { interface: "eth0".to_owned(), network: network.parse().unwrap(), kind };
            occupied.collides("10.203.0.0/24".parse().unwrap())
        };
        assert!(collides("10.203.0.7/32", OccupiedKind::Address));
        assert!(collides("10.1.2.3/8", OccupiedKind::Address), "its neighbours are all of 10.0.0.0/8");
        assert!(collides("10.0.0.0/8", OccupiedKind::Link));
        assert!(!collides("10.0.0.0/8", OccupiedKind::Gateway), "less specific");
        assert!(collides("10.203.0.128/25", OccupiedKind::Gateway));
        assert!(!collides("10.204.0.1/24", OccupiedKind::Address));
    }
}
